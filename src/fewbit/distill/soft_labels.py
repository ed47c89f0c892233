"""Cross-entropy against distributions that come with the batch.

    l = mean over labelled steps of  - sum_k q_k ln p_k,   p = softmax(student)

References:
    Shin, Hwang, Sung 2016, "Generative knowledge transfer for neural language models" (arXiv 1608.04077).
"""

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from fewbit.errors import DataError
from fewbit.train import outputs_of


class TextBatch(NamedTuple):
    """Text and what follows each of its symbols.

    inputs ``(streams, steps)``: classes. labels ``(streams, steps, classes)``: distribution of the symbol after each
    of them; a row of zeros is no label. begins: whether new streams start here.

    Examples:
        >>> from torch import tensor
        >>> from torch.nn.functional import one_hot
        >>> text = tensor([[0, 2, 1]])  # one stream; its labels are what follows
        >>> batch = TextBatch(text[:, :-1], one_hot(text[:, 1:], 3).float(), begins=True)
        >>> batch.labels.argmax(-1)
        tensor([[2, 1]])
    """

    inputs: Tensor
    labels: Tensor
    begins: bool = False


class SoftLabels:
    """Learn the distributions ``batch[1]``; a `fewbit.train.TruncatedBPTT` restarts where a `TextBatch` begins streams.

    Its gradient on the scores is ``p - q``. It equals the Kullback-Leibler divergence of the student from the labels
    up to a constant; with one-hot labels it is plain cross-entropy.

    Examples:
        >>> from torch import nn, tensor, zeros
        >>> batch = TextBatch(zeros(1, 2, 4), tensor([[[1.0, 0, 0, 0], [0, 0, 0, 0]]]))  # the second has no label
        >>> round(float(SoftLabels()(nn.Identity(), batch, progress=0.0)), 3)  # ln 4
        1.386
    """

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        restart = getattr(model, "restart", None)
        if getattr(batch, "begins", False) and restart is not None:
            restart()
        return self.loss(outputs_of(model, batch), batch)

    def loss(self, outputs: Tensor, batch: Any) -> Tensor:
        """Mean over all labelled positions; 0 where there are none."""
        q = batch[1]
        if q.shape != outputs.shape:
            raise DataError(
                f"SoftLabels: outputs {tuple(outputs.shape)} need labels of the same shape, a distribution for each "
                f"step; got {tuple(q.shape)}"
            )
        terms = -(q * functional.log_softmax(outputs, dim=-1)).sum(-1)
        mean: Tensor = terms.sum() / self.valid_mask(outputs, batch).sum().clamp_min(1)
        return mean

    def valid_mask(self, outputs: Tensor, batch: Any) -> Tensor:
        """Positions that have a label."""
        found: Tensor = (batch[1] != 0).any(-1)
        return found
