"""Connectionist temporal classification over endless streams, with a short unroll that never sees a whole utterance.

After every `step` new frames, the newest `window` frames are processed. With ``z'`` the labels of an utterance with
blanks around them, and everything in logarithms,

    alpha(t,u) = y(t,z'_u) * (alpha(t-1,u) + alpha(t-1,u-1) + [z'_u is a label other than z'_{u-2}] alpha(t-1,u-2))
    beta(t,u)  = the same backwards, without y(t)
    error(t,k) = y(t,k) - sum over u with z'_u = k of alpha(t,u) beta(t,u) / sum over u of alpha(t,u) beta(t,u)

`alpha` is carried from step to step. `beta` is computed anew in each step: from the last frame of an utterance that
ends among the new frames (CTC-TR), otherwise from the newest frame, with ones, because any prefix may have been spoken
by then (CTC-EM). EM gives errors to the oldest frames only; the other frames serve as look-ahead. So every frame of an
utterance gets its error in exactly one step.

References:
    Hwang, Sung 2015, "Online sequence training of recurrent neural networks with connectionist temporal
    classification" (arXiv 1511.06841).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from fewbit.errors import ArgumentError
from fewbit.native import online_ctc as native

NONE, ENDED, RUNNING = range(3)
"""How the recursion of a part ends."""


class Part(NamedTuple):
    """The part of an utterance that lies in a window: frames ``start .. stop - 1`` of it.

    begins, ends: whether the first and the last of them are those of the utterance. labels: of the whole utterance.

    Examples:
        >>> part = Part(stream=0, start=0, stop=4, begins=True, ends=False, labels=(1, 2))
        >>> part.stop - part.start  # frames of the utterance in this window
        4
    """

    stream: int
    start: int
    stop: int
    begins: bool
    ends: bool
    labels: tuple[int, ...]


class WindowErrors(NamedTuple):
    """The result of a step of online CTC.

    errors: gradients for the logits ``(streams, frames, classes)``. alphas: ``(streams, states)``, ln alpha at the
    frame before the next window, float64, on the CPU. losses: ``-ln p`` of the utterances that ended among the new
    frames, infinite where an utterance is too short for its labels; ended: their parts.

    Examples:
        >>> import torch
        >>> objective, whole = OnlineCTC(window=4), Part(0, 0, 4, begins=True, ends=True, labels=(1,))
        >>> found = objective(torch.zeros(1, 4, 3), [whole], objective.start(streams=1, most_labels=1))
        >>> tuple(found.errors.shape), tuple(found.alphas.shape), len(found.losses)
        ((1, 4, 3), (1, 3), 1)
    """

    errors: Tensor
    alphas: Tensor
    losses: Tensor
    ended: list[Part]


@dataclass(frozen=True)
class OnlineCTC:
    """Errors of online CTC for windows of endless streams; class 0 is the blank.

    Args:
        window: output frames of an update, at least twice `step`.
        step: new output frames of an update; default half the window.
        force_blank_first: whether the first frame of an utterance must be blank, so that it stays separate from the
            last label of the utterance before. Without it, an utterance alone in its window is textbook CTC.
        reduction: "mean" divides errors by the number of new frames in all streams, "sum" does not.

    Raises:
        ArgumentError: an argument is out of range.

    Examples:
        >>> import torch
        >>> objective = OnlineCTC(window=4)
        >>> whole = Part(stream=0, start=0, stop=4, begins=True, ends=True, labels=(1,))
        >>> found = objective(torch.zeros(1, 4, 3), [whole], objective.start(streams=1, most_labels=1))
        >>> [round(loss, 3) for loss in found.losses.tolist()]
        [2.603]
    """

    window: int = 64
    step: int = 0
    force_blank_first: bool = True
    reduction: Literal["mean", "sum"] = "mean"

    def __post_init__(self) -> None:
        if self.step == 0:
            object.__setattr__(self, "step", self.window // 2)
        if self.step < 1 or self.window < 2 * self.step:
            raise ArgumentError(
                f"OnlineCTC: window={self.window}, step={self.step}; wanted step from 1 and window from 2 * step, or "
                "some frames would get no error"
            )
        if self.reduction not in ("mean", "sum"):
            raise ArgumentError(f"OnlineCTC: reduction is 'mean' or 'sum', not {self.reduction!r}")

    def start(self, streams: int, most_labels: int) -> Tensor:
        """Alphas before the first frame, for utterances of at most `most_labels` labels."""
        return torch.full((streams, 2 * most_labels + 1), -torch.inf, dtype=torch.float64)

    def leaving(self, frames: int) -> int:
        """How many frames of a window of `frames` are no longer in the next one."""
        return max(0, frames + self.step - self.window)

    def scale(self, streams: int) -> float:
        """The factor of the errors."""
        return 1 / (streams * self.step) if self.reduction == "mean" else 1.0

    def __call__(self, logits: Tensor, parts: Sequence[Part], alphas: Tensor, *, em: bool = True) -> WindowErrors:
        """Unscaled errors of a window whose last `step` frames are new.

        Args:
            logits: (streams, frames, classes), frames at most `window`, and fewer only at the start of the streams.
            parts: of all utterances in the window.
            alphas: of the step before; at first those of `start`.
            em: whether running utterances get errors (CTC-EM) or only those that end (CTC-TR).

        Raises:
            ArgumentError: a part does not lie in the window, or a label is not a class.
        """
        jobs, labels, worked = self._plan(logits, parts, alphas, em)
        compute = _native if logits.dtype == torch.float32 and native.is_available() else recursions
        # The recursions are a chain of small steps, which a GPU does not speed up.
        errors, after, scores = compute(logits.detach().cpu(), jobs, labels, alphas, self.force_blank_first)
        places = [i for i, job in enumerate(jobs) if job[4] == ENDED]
        return WindowErrors(errors.to(logits.device), after, -scores[places], [worked[i] for i in places])

    def _plan(
        self, logits: Tensor, parts: Sequence[Part], alphas: Tensor, em: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], list[Part]]:
        """The work of a step: a row for each part with work, columns `fewbit.native.online_ctc.COLUMNS`."""
        streams, frames, classes = logits.shape
        oldest, new = frames - (self.window - self.step), frames - self.step
        leaving = self.leaving(frames)
        rows: list[tuple[int, ...]] = []
        labels: list[int] = []
        worked: list[Part] = []
        for part in parts:
            inside = 0 <= part.stream < streams and 0 <= part.start < part.stop <= frames
            joined = (part.begins or part.start == 0) and (part.ends or part.stop == frames)
            if not inside or not joined or 2 * len(part.labels) + 1 > alphas.shape[1]:
                raise ArgumentError(
                    f"OnlineCTC: {part} does not fit a window of {streams} streams, {frames} frames and "
                    f"{alphas.shape[1]} states"
                )
            if part.labels and not 0 < min(part.labels) <= max(part.labels) < classes:
                raise ArgumentError(f"OnlineCTC: labels must lie in 1..{classes - 1}, not {part.labels}")
            ending, errors = NONE, part.start
            if part.ends and part.stop > new:
                ending, errors = ENDED, part.stop
            elif em and not part.ends and part.start < oldest:
                ending, errors = RUNNING, oldest
            kept = leaving - 1 if not part.ends and part.start < leaving else -1
            if ending != NONE or kept >= 0:
                rows.append((*part[:4], ending, errors, kept, len(labels), len(part.labels)))
                labels += part.labels
                worked.append(part)
        return np.array(rows, np.int64).reshape(-1, len(native.COLUMNS)), np.array(labels, np.int64), worked


def recursions(
    logits: Tensor,
    jobs: NDArray[np.int64],
    labels: NDArray[np.int64],
    before: Tensor,
    force_blank_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """What the native function computes, in plain torch: errors, ln alpha of the kept frames, scores."""
    errors, after = torch.zeros_like(logits), torch.full_like(before, -torch.inf)
    scores = before.new_full((len(jobs),), torch.nan)
    log_y = logits.to(before.dtype).log_softmax(-1)
    for i, (stream, start, stop, begins, ending, until, kept, first, count) in enumerate(jobs.tolist()):
        symbols = torch.zeros(2 * count + 1, dtype=torch.long, device=logits.device)
        symbols[1::2] = torch.from_numpy(labels[first : first + count])
        skips = (symbols != 0) & (symbols != functional.pad(symbols, (2, 0))[: len(symbols)])
        skips[:2] = False
        emitted = log_y[stream, :, symbols]
        alpha = torch.full_like(emitted, -torch.inf)
        for t in range(start, stop):
            if t == start and begins:
                states = 1 if force_blank_first else 2
                alpha[t, :states] = emitted[t, :states]
            else:
                last = before[stream, : len(symbols)] if t == start else alpha[t - 1]
                steps = last, _later(last, 1), _later(last, 2).masked_fill(~skips, -torch.inf)
                alpha[t] = torch.stack(steps).logsumexp(0) + emitted[t]
        if kept >= 0:
            after[stream, : len(symbols)] = alpha[kept]
        if ending == NONE:
            continue
        beta = torch.zeros_like(alpha[0])
        if ending == ENDED:
            beta[:-2] = -torch.inf
        scores[i] = (alpha[stop - 1] + beta).logsumexp(0)
        if scores[i] == -torch.inf:
            continue
        for t in reversed(range(start, stop)):
            if t + 1 < stop:
                ahead = beta + emitted[t + 1]
                skipped = _earlier(ahead.masked_fill(~skips, -torch.inf), 2)
                beta = torch.stack((ahead, _earlier(ahead, 1), skipped)).logsumexp(0)
            if t < until:
                posterior = (alpha[t] + beta).softmax(0)
                y = log_y[stream, t].exp()
                errors[stream, t] = y.index_add(0, symbols, posterior, alpha=-1).to(errors)
    return errors, after, scores


def _native(
    logits: Tensor, jobs: NDArray[np.int64], labels: NDArray[np.int64], before: Tensor, force_blank_first: bool
) -> tuple[Tensor, Tensor, Tensor]:
    found = native.online_ctc(logits.numpy(), jobs, labels, before.numpy(), force_blank_first)
    errors, after, scores = (torch.from_numpy(array) for array in found)
    return errors, after, scores


def _later(states: Tensor, by: int) -> Tensor:
    """Each state's value at the state `by` places after it."""
    return functional.pad(states, (by, 0), value=-torch.inf)[: len(states)]


def _earlier(states: Tensor, by: int) -> Tensor:
    """Each state's value at the state `by` places before it."""
    return functional.pad(states, (0, by), value=-torch.inf)[by:]
