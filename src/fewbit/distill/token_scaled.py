"""Token-scaled logit distillation (TSLD): the teacher's own error at each token says how much is learned there.

    ce[n] = -log teacher(label[n])                        no gradient
    w[n]  = exp(ce[n] / tau) / sum_m exp(ce[m] / tau)     over the positions of one sequence
    L     = hard_weight * hard + weight * mean over sequences of  T**2 * sum_n w[n] * soft term[n]

Where teacher and label say the same, little can be learned from the teacher; where it is unsure, its distribution says
most. With a large tau all positions weigh the same.

References:
    Kim, Lee, Lee, Hong, Chang, Sung, Choi 2023, "Token-scaled logit distillation for ternary weight generative
    language models" (arXiv 2308.06744).
"""

from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from fewbit.batches import labels_of
from fewbit.distill.logits import demand_loss, demand_same_shape, teacher_scores
from fewbit.distill.position_terms import entropies, label_losses, soft_terms
from fewbit.errors import ArgumentError, DataError
from fewbit.settings import curve, number, whole
from fewbit.train import CrossEntropy, HardLoss, Schedule, constant, outputs_of

Score = Literal["label", "entropy"]


class Parts(NamedTuple):
    """The two terms of a loss, each with its weight.

    Examples:
        >>> from torch import tensor
        >>> sum(Parts(hard=tensor(1.0), soft=tensor(0.5)))
        tensor(1.5000)
    """

    hard: Tensor
    soft: Tensor


class TokenScaledKD:
    """Distillation of each token by how badly the teacher predicts it, beside a hard objective.

    Positions that the hard objective leaves out (padding) have no weight. The authors sum the soft loss over a batch
    of 4 sequences: that is the default weight.

    Args:
        teacher: a network with the outputs of the student; it runs in eval mode without gradient and stays as it is.
        tau: above 0; the smaller, the more the positions with the largest score count.
        weight: of the soft loss, a number or a function of progress.
        hard_weight: of the hard objective; 0 leaves it out.
        temperature: T > 0 of the soft terms; the scores are taken at 1.
        score: ``label``, the teacher's cross-entropy, or ``entropy``, for networks without a label for each position,
            such as those of CTC.
        clip: scores above this quantile of the batch are lowered to it; wrong labels have the largest scores.
        top: so many of the teacher's likeliest classes keep their probability, all others together are one class.
        hard: objective with a `loss` method; default `CrossEntropy`.

    Raises:
        ArgumentError: a setting is out of range.

    Examples:
        >>> from fewbit.models import Decoder
        >>> teacher, student = Decoder(9, 8, 2, 1), Decoder(9, 8, 2, 1)
        >>> text = torch.randint(0, 9, (4, 13))
        >>> loss = TokenScaledKD(teacher)(student, (text[:, :-1], text[:, 1:]), progress=0.0)
        >>> loss.requires_grad
        True
    """

    def __init__(
        self,
        teacher: nn.Module,
        tau: Annotated[float, number(above=True)] = 10.0,
        weight: Annotated[float | Schedule, curve()] = 4.0,
        hard_weight: Annotated[float, number()] = 1.0,
        temperature: Annotated[float, number(above=True)] = 1.0,
        score: Score = "label",
        clip: Annotated[float, number(0, 1, above=True)] = 1.0,
        top: Annotated[int | None, whole(1)] = None,
        hard: HardLoss | None = None,
    ) -> None:
        if min(tau, temperature) <= 0 or hard_weight < 0 or not 0 < clip <= 1 or (top is not None and top < 1):
            raise ArgumentError(
                f"TokenScaledKD: tau={tau}, temperature={temperature}, hard_weight={hard_weight}, clip={clip}, "
                f"top={top}; wanted above 0, above 0, at least 0, above 0 to 1, and at least 1"
            )
        if score not in _SCORES:
            raise ArgumentError(f"TokenScaledKD: no score {score!r}; there are {', '.join(_SCORES)}")
        self.teacher, self.tau, self.temperature, self.top = teacher, tau, temperature, top
        self.weight: Schedule = weight if callable(weight) else constant(float(weight))
        self.hard_weight, self.score, self.clip, self.hard = hard_weight, score, clip, hard or CrossEntropy()
        demand_loss(self.hard, "TokenScaledKD")

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        hard, soft = self.parts(model, batch, progress)
        return hard + soft

    def parts(self, model: nn.Module, batch: Any, progress: float) -> Parts:
        """The hard and the soft term of the loss, to be logged apart."""
        student = outputs_of(model, batch)
        return self._parts(student, teacher_scores(self.teacher, batch), batch, progress)

    def compare(self, student: Tensor, teacher: Tensor, batch: Any, progress: float) -> Tensor:
        """Loss of the student's scores against the teacher's and the labels."""
        hard, soft = self._parts(student, teacher, batch, progress)
        return hard + soft

    def _parts(self, student: Tensor, teacher: Tensor, batch: Any, progress: float) -> Parts:
        if student.dim() != 3:
            raise DataError(
                f"TokenScaledKD: the student gives {tuple(student.shape)}, wanted (batch, time, classes): weights are "
                "shared out among the positions of a sequence"
            )
        demand_same_shape(student, teacher, "TokenScaledKD")
        valid = self.hard.valid_mask(student, batch)
        weights = token_weights(position_scores(teacher, batch, valid, self.score), valid, self.tau, self.clip)
        terms = soft_terms(student, teacher, self.temperature, self.top)
        soft = (weights * terms).sum(1).mean() * self.temperature**2
        hard = self.hard.loss(student, batch) if self.hard_weight else torch.zeros_like(soft)
        return Parts(self.hard_weight * hard, self.weight(progress) * soft)


def token_weights(scores: Tensor, valid: Tensor, tau: float, clip: float = 1.0) -> Tensor:
    """Softmax of ``scores / tau`` over the valid positions of each sequence; 0 elsewhere.

    Args:
        scores: ``(batch, time)``, in nats.
        valid: ``(batch, time)`` booleans.
        tau: the larger, the more even the weights are.
        clip: scores above this quantile of all valid ones are lowered to it.

    Examples:
        >>> from torch import tensor
        >>> scores, valid = tensor([[0.0, 10.0, 99.0]]), tensor([[True, True, False]])
        >>> token_weights(scores, valid, tau=10.0).round(decimals=3)  # 1 to e
        tensor([[0.2690, 0.7310, 0.0000]])
    """
    scores = scores.float()
    if clip < 1 and bool(valid.any()):
        scores = scores.clamp_max(torch.quantile(scores[valid], clip))
    # A sequence without valid positions has a softmax of nothing, which is no number.
    return torch.softmax((scores / tau).masked_fill(~valid, -torch.inf), 1).masked_fill(~valid, 0.0)


def position_scores(teacher: Tensor, batch: Any, valid: Tensor, score: Score = "label") -> Tensor:
    """How unsure the teacher is at each position, in nats: ``(batch, time)``, without gradient.

    Args:
        teacher: its scores ``(batch, time, classes)``.
        batch: with labels ``(batch, time)``, for ``label``.
        valid: ``(batch, time)`` booleans; what is scored elsewhere means nothing.
        score: ``label`` or ``entropy``.

    Raises:
        DataError: there is not one label for each position.

    Examples:
        >>> from torch import ones, tensor, zeros
        >>> batch = zeros(1, 2), tensor([[3, -100]])
        >>> position_scores(zeros(1, 2, 4), batch, tensor([[True, False]]))[0, 0]  # ln 4
        tensor(1.3863)
    """
    with torch.no_grad():
        return _SCORES[score](teacher, batch, valid)


def _label_scores(teacher: Tensor, batch: Any, valid: Tensor) -> Tensor:
    labels = labels_of(batch)
    if labels.shape != valid.shape:
        raise DataError(
            f"TokenScaledKD: labels {tuple(labels.shape)}, wanted one for each of the {tuple(valid.shape)} positions; "
            "for CTC and other labels without places give score='entropy'"
        )
    return label_losses(teacher, labels.masked_fill(~valid, 0))


def _entropy_scores(teacher: Tensor, _: Any, __: Tensor) -> Tensor:
    return entropies(teacher)


_SCORES = {"label": _label_scores, "entropy": _entropy_scores}
