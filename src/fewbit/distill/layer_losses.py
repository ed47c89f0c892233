"""Squared differences of inner signals of a student and its teacher, over what counts.

Hidden pairs of a causal or padded attention, and padding itself, are in no mean.
"""

import torch
from torch import Tensor

from fewbit.errors import ArgumentError

HIDDEN = torch.finfo(torch.float32).min / 2
"""Scores below are those of hidden pairs (`fewbit.nn.Attention` gives them the lowest number)."""


def seen_pairs(scores: Tensor) -> Tensor:
    """Booleans ``(batch, 1, time, time)``: which pairs of query and key count; of scores ``(batch, heads, ...)``."""
    return scores[:, :1] > HIDDEN


def score_loss(student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Mean over heads and visible pairs ``(batch, heads, time, time)`` whose query is in ``valid: (batch, time)``."""
    counted = (teacher > HIDDEN) & valid[:, None, :, None]
    return _mean_square(student, teacher, counted)


def signal_loss(student: Tensor, teacher: Tensor, valid: Tensor, name: str = "signal") -> Tensor:
    """Mean over the numbers of all valid positions ``(batch, time, width)``.

    Raises:
        ArgumentError: the signals have different shapes, or are no real numbers.
    """
    if student.shape != teacher.shape or not student.is_floating_point():
        kind = str(student.dtype).removeprefix("torch.")
        raise ArgumentError(
            f"{name}: the teacher has {tuple(teacher.shape)}, the student {tuple(student.shape)} ({kind}); wanted real "
            "numbers of one shape; leave 'hidden' out of taps where attention stands in no block of its own"
        )
    return _mean_square(student, teacher, valid[..., None].expand_as(student))


def _mean_square(student: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
    difference = torch.where(counted, student.float() - teacher.float(), 0.0)
    return difference.square().sum() / counted.sum().clamp_min(1)
