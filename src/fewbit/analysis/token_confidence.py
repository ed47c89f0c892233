"""Where a teacher is sure of itself, and where it is right: what token-scaled distillation gives its weight to.

At every position with a label: the teacher's cross-entropy of the label, its largest probability, and the weight of the
position in `fewbit.distill.TokenScaledKD`, in units of an even share (``weight * positions of its sequence``).

References:
    Kim, Lee, Lee, Hong, Chang, Sung, Choi 2023 (arXiv 2308.06744).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.analysis.report import Cell, Table
from fewbit.batches import labels_of
from fewbit.distill import label_losses, token_weights
from fewbit.errors import DataError
from fewbit.inference import inference_mode
from fewbit.train import CrossEntropy, outputs_of

QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0)


@dataclass(frozen=True)
class JudgedToken:
    """One position: what stands there, and what the teacher says of it.

    loss: cross-entropy of the label in nats; largest: probability of the likeliest class; share: weight over an even
    share.

    Examples:
        >>> token = JudgedToken(sequence=0, position=3, label=7, loss=2.0, largest=0.4, share=1.1)
        >>> token.share > 1  # more than if all positions weighed the same
        True
    """

    sequence: int
    position: int
    label: int
    loss: float
    largest: float
    share: float


@dataclass(frozen=True)
class TeacherConfidence:
    """What `teacher_confidence` found.

    Examples:
        >>> tokens = tuple(JudgedToken(0, i, i % 2, float(i), 0.9 - 0.2 * i, 0.9 + 0.1 * i) for i in range(3))
        >>> found = TeacherConfidence(10.0, 1, tokens)
        >>> round(found.correlation, 2), [table.title for table in found.tables()][:2]
        (-1.0, ['3 positions of 1 sequence, tau = 10', 'By label'])
    """

    tau: float
    sequences: int
    tokens: tuple[JudgedToken, ...]

    @property
    def correlation(self) -> float:
        """Pearson's, of the loss with the largest probability; 0 where one of both does not vary."""
        pairs = torch.tensor([(token.loss, token.largest) for token in self.tokens], dtype=torch.float64).T
        found = torch.corrcoef(pairs)[0, 1] if pairs.shape[1] > 1 else torch.zeros(())
        return float(found.nan_to_num(0.0))

    def tables(self) -> tuple[Table, ...]:
        """Quantiles, means by label and by position, and all positions."""
        columns = ("loss (nats)", "largest probability", "share of weight")
        measured = torch.tensor([(t.loss, t.largest, t.share) for t in self.tokens], dtype=torch.float64)
        quantiles = torch.quantile(measured, torch.tensor(QUANTILES, dtype=torch.float64), dim=0).tolist()
        plural = "" if self.sequences == 1 else "s"
        return (
            Table(
                f"{len(self.tokens)} positions of {self.sequences} sequence{plural}, tau = {self.tau:g}",
                ("quantile", *columns),
                tuple((q, *row) for q, row in zip(QUANTILES, quantiles, strict=True)),
            ),
            Table("By label", ("label", "positions", *columns), self._means([t.label for t in self.tokens])),
            Table("By position", ("position", "positions", *columns), self._means([t.position for t in self.tokens])),
            Table(
                "All positions",
                ("sequence", "position", "label", *columns),
                tuple((t.sequence, t.position, t.label, t.loss, t.largest, t.share) for t in self.tokens),
            ),
        )

    def _means(self, keys: list[int]) -> tuple[tuple[Cell, ...], ...]:
        """Of all tokens with the same key: the key, how many there are, and their means."""
        rows: dict[int, list[JudgedToken]] = {}
        for key, token in zip(keys, self.tokens, strict=True):
            rows.setdefault(key, []).append(token)
        return tuple(
            (
                key,
                len(found),
                sum(token.loss for token in found) / len(found),
                sum(token.largest for token in found) / len(found),
                sum(token.share for token in found) / len(found),
            )
            for key, found in sorted(rows.items())
        )


def teacher_confidence(
    teacher: nn.Module, batches: Iterable[Any], *, tau: float = 10.0, clip: float = 1.0, ignore: int = -100
) -> TeacherConfidence:
    """Judge a teacher on batches with a label for each position; the teacher stays as it is.

    Args:
        teacher: its scores are ``(batch, time, classes)``.
        batches: some hundred sequences show enough; every position is kept.
        tau, clip: of the weights, as in `fewbit.distill.TokenScaledKD`.
        ignore: label of padding.

    Raises:
        DataError: there is no position with a label.

    Examples:
        >>> from fewbit.models import Decoder
        >>> text = torch.randint(0, 9, (4, 13))
        >>> found = teacher_confidence(Decoder(9, 8, 2, 1), [(text[:, :-1], text[:, 1:])])
        >>> len(found.tokens), found.sequences
        (48, 4)
    """
    tokens: list[JudgedToken] = []
    sequences = 0
    for batch in batches:
        with inference_mode(teacher):
            scores, labels = outputs_of(teacher, batch), labels_of(batch)
            valid = CrossEntropy(ignore).valid_mask(scores, batch)
            losses = label_losses(scores, labels.masked_fill(~valid, 0))
            shares = token_weights(losses, valid, tau, clip) * valid.sum(1, keepdim=True)
            largest = torch.softmax(scores.float(), -1).amax(-1)
        tokens += _judged(sequences, valid, labels, losses, largest, shares)
        sequences += len(labels)
    if not tokens:
        raise DataError("teacher_confidence: no position has a label; give batches of (inputs, labels)")
    return TeacherConfidence(tau, sequences, tuple(tokens))


def _judged(first: int, valid: Tensor, *measured: Tensor) -> list[JudgedToken]:
    places = valid.nonzero().tolist()
    columns = [tensor[valid].tolist() for tensor in measured]
    return [
        JudgedToken(first + sequence, position, *values)
        for (sequence, position), values in zip(places, zip(*columns, strict=True), strict=True)
    ]
