"""What training minimises.

An objective is ``(model, batch, progress) -> loss``, a scalar with gradient; `progress` runs from 0 at the start of
training to 1 at its end. Objectives with a `loss` method can be mixed by others (`fewbit.distill.LogitKD`).
"""

from typing import Annotated, Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.batches import call_of, first_tensor, labels_of, output_of
from fewbit.errors import DataError
from fewbit.settings import curve, whole
from fewbit.train.schedules import Schedule


class Objective(Protocol):
    """What `fewbit.train.fit` minimises.

    Examples:
        >>> from torch import nn, zeros
        >>> from fewbit.train import fit
        >>> def squared_error(model, batch, progress):
        ...     return (model(batch[0]) - batch[1]).square().mean()
        >>> len(fit(nn.Linear(2, 1), [(zeros(4, 2), zeros(4, 1))], squared_error, epochs=3, progress=False).losses)
        3
    """

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        """Loss of a batch; the model is left as it was found."""
        ...


class HardLoss(Protocol):
    """An objective whose loss can be computed from existing outputs.

    Examples:
        >>> from torch import tensor, zeros
        >>> hard: HardLoss = CrossEntropy()
        >>> hard.valid_mask(zeros(1, 3, 5), (None, tensor([[4, 2, -100]])))
        tensor([[ True,  True, False]])
    """

    def loss(self, outputs: Tensor, batch: Any) -> Tensor:
        """Loss of the model's `outputs` for this batch."""
        ...

    def valid_mask(self, outputs: Tensor, batch: Any) -> Tensor:
        """Booleans over all axes of `outputs` but the classes: true where a position is not padding."""
        ...


class CTCBatch(NamedTuple):
    """A batch of sequences with unaligned labels.

    inputs ``(batch, time, features)``; input_lengths ``(batch,)`` in frames; targets: the concatenated labels of all
    sequences; target_lengths ``(batch,)``. alignment: classes of the input frames ``(batch, time)`` where
    they are known, 0 between labels.

    Examples:
        >>> from torch import tensor, zeros
        >>> batch = CTCBatch(zeros(2, 50, 8), tensor([50, 40]), tensor([1, 2, 3]), tensor([2, 1]))
        >>> batch.targets.split(batch.target_lengths.tolist())  # the labels of each sequence
        (tensor([1, 2]), tensor([3]))
    """

    inputs: Tensor
    input_lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    alignment: Tensor | None = None


def outputs_of(model: nn.Module, batch: Any) -> Tensor:
    """The model's scores for a batch of any kind (`fewbit.batches`), without states and other extras.

    Raises:
        DataError: the batch is empty, or the model gives no tensor.

    Examples:
        >>> from torch import zeros
        >>> from fewbit.nn import LSTM
        >>> outputs_of(LSTM(3, 4), (zeros(2, 5, 3), "labels")).shape  # without the state
        torch.Size([2, 5, 4])
    """
    first = first_tensor(batch)
    if not first.numel():
        raise DataError(f"a batch of shape {tuple(first.shape)} is empty and has no loss; leave empty batches out")
    args, named = call_of(model, batch)
    return output_of(model(*args, **named))


class PartOf:
    """An objective for one of several consecutive trainings, which sees the progress through all of them.

    A weight that falls from 1 to 0 then falls once, not once in each training.

    Args:
        objective: what is minimised.
        start, end: progress through all trainings at which this one starts and ends, 0..1.

    Examples:
        >>> from torch import tensor
        >>> second = PartOf(lambda model, batch, progress: tensor(progress), start=0.5, end=1.0)
        >>> second(None, None, progress=0.5)
        tensor(0.7500)
    """

    def __init__(self, objective: Objective, start: float, end: float) -> None:
        self.objective, self.start, self.end = objective, start, end

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        return self.objective(model, batch, self.start + (self.end - self.start) * progress)


class CrossEntropy:
    """Cross-entropy of ``outputs (..., classes)`` against the labels of the batch, of the same leading shape.

    Args:
        ignore: label of padding, which has no loss.

    Examples:
        >>> from torch import nn, zeros
        >>> round(float(CrossEntropy()(nn.Identity(), (zeros(2, 5, 4), zeros(2, 5).long()), progress=0.0)), 3)  # ln 4
        1.386
    """

    def __init__(self, ignore: Annotated[int, whole(-(2**63))] = -100) -> None:
        self.ignore = ignore

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        return self.loss(outputs_of(model, batch), batch)

    def loss(self, outputs: Tensor, batch: Any) -> Tensor:
        """Mean over all labels but `ignore`."""
        labels = labels_of(batch)
        if outputs.shape[:-1] != labels.shape:
            raise DataError(
                f"CrossEntropy: outputs {tuple(outputs.shape)} need labels {tuple(outputs.shape[:-1])}, classes last; "
                f"got {tuple(labels.shape)}"
            )
        flat = outputs.reshape(-1, outputs.shape[-1])
        return functional.cross_entropy(flat, labels.reshape(-1), ignore_index=self.ignore)

    def valid_mask(self, outputs: Tensor, batch: Any) -> Tensor:
        """Positions whose label is not `ignore`."""
        return cast(Tensor, labels_of(batch) != self.ignore)


class CTC:
    """Connectionist temporal classification over a `CTCBatch`; class 0 is the blank.

    The mean over sequences of ``-ln p(labels | input) / labels``. A sequence too short for its labels counts 0. If
    the model lowers the frame rate, lengths shrink in proportion (rounded up).

    Examples:
        >>> from torch import nn, tensor, zeros
        >>> batch = CTCBatch(zeros(1, 6, 3), tensor([6]), tensor([1, 2]), tensor([2]))
        >>> round(float(CTC()(nn.Identity(), batch, progress=0.0)), 3)
        1.172

    References:
        Graves, Fernandez, Gomez, Schmidhuber 2006.
    """

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        return self.loss(outputs_of(model, batch), batch)

    def loss(self, outputs: Tensor, batch: Any) -> Tensor:
        """Mean of the loss for each label over the sequences of the batch."""
        if not isinstance(batch, CTCBatch):
            raise DataError(f"CTC wants a CTCBatch, not a {type(batch).__name__}")
        return functional.ctc_loss(
            functional.log_softmax(outputs, dim=-1).transpose(0, 1),
            batch.targets,
            self._lengths(outputs, batch),
            batch.target_lengths,
            zero_infinity=True,
        )

    def valid_mask(self, outputs: Tensor, batch: Any) -> Tensor:
        """Frames before the end of each sequence."""
        frames = torch.arange(outputs.shape[1], device=outputs.device)
        return frames < self._lengths(outputs, batch)[:, None]

    def _lengths(self, outputs: Tensor, batch: Any) -> Tensor:
        frames_in, frames_out = batch.inputs.shape[1], outputs.shape[1]
        lengths = torch.ceil(batch.input_lengths * (frames_out / max(frames_in, 1))).long()
        return lengths.clamp_max(frames_out)


class GuidedCTC:
    """CTC helped over its first plateau by a known alignment: ``(1 - a) * CTC + a * framewise cross-entropy``.

    CTC alone first learns to output only blanks, and with little data it stays there for long. Where the alignment is
    known (joined recordings), a weight ``a`` that soon falls to 0 shortens this phase.

    Args:
        weight: ``a`` as a function of training progress.

    Examples:
        >>> from torch import nn, tensor, zeros
        >>> lengths, labels, alignment = tensor([6]), tensor([1, 2]), tensor([[1, 1, 0, 0, 2, 2]])
        >>> batch = CTCBatch(zeros(1, 6, 3), lengths, labels, tensor([2]), alignment)
        >>> objective = GuidedCTC(lambda progress: max(0.0, 0.9 - 2 * progress))
        >>> [round(float(objective(nn.Identity(), batch, progress)), 2) for progress in (0.0, 1.0)]
        [1.11, 1.17]
    """

    def __init__(self, weight: Annotated[Schedule, curve(0, 1)]) -> None:
        self.weight = weight
        self.ctc = CTC()

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        outputs = outputs_of(model, batch)
        loss = self.ctc.loss(outputs, batch)
        weight = self.weight(progress)
        if not weight:
            return loss
        if batch.alignment is None:
            raise DataError("GuidedCTC: the batch has no alignment; use CTC, or give the classes of its frames")
        stride = round(batch.alignment.shape[1] / outputs.shape[1])
        frames = batch.alignment[:, ::stride][:, : outputs.shape[1]]
        return (1 - weight) * loss + weight * functional.cross_entropy(outputs.transpose(1, 2), frames)
