"""Truncated back-propagation through time: each batch starts in the state in which the batch before it ended.

A pass over a batch belongs to a *trajectory* and to an *update*. Each trajectory (the student's, a teacher's) has a
state of its own. In one update a batch may be read several times, because an optimizer evaluates its loss at several
points or an objective looks twice: every reading of a trajectory starts in the state in which the update began, and the
first one is carried on. For `SymmetricSGD` that is the point ``w + n``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fewbit.errors import DataError

_UPDATE: ContextVar[object | None] = ContextVar("update", default=None)
_TRAJECTORY: ContextVar[str] = ContextVar("trajectory", default="")


@contextmanager
def one_update() -> Iterator[None]:
    """Inside the block all passes over a batch belong to one update; `fewbit.train.fit` puts it around each step.

    Outside, every pass is an update of its own. A loop of your own needs the block where its optimizer calls a closure
    more than once.

    Examples:
        >>> import torch
        >>> from fewbit.nn import LSTM
        >>> carried, x = TruncatedBPTT(LSTM(2, 3)), torch.randn(4, 10, 2)
        >>> with one_update():
        ...     torch.equal(carried(x), carried(x))
        True
        >>> torch.equal(carried(x), carried(x))  # goes on from frame to frame
        False
    """
    token = _UPDATE.set(object())
    try:
        yield
    finally:
        _UPDATE.reset(token)


@contextmanager
def trajectory(name: str) -> Iterator[None]:
    """Inside the block every `TruncatedBPTT` reads and keeps the state called `name`, beside the usual one.

    A network that teaches itself (`fewbit.distill.SPEQ`) runs as its teacher in a trajectory of its own, so that the
    student's states are those that it has alone.

    Examples:
        >>> import torch
        >>> from fewbit.nn import LSTM
        >>> carried, x = TruncatedBPTT(LSTM(2, 3)), torch.randn(4, 10, 2)
        >>> first = carried(x)
        >>> with trajectory("teacher"):
        ...     torch.equal(carried(x), first)  # starts in an empty memory, as the first pass did
        True
    """
    token = _TRAJECTORY.set(name)
    try:
        yield
    finally:
        _TRAJECTORY.reset(token)


@dataclass
class _Track:
    """The state of a trajectory: at the start of the last update, and after it."""

    update: object | None = None
    before: Any = None
    after: Any = None
    streams: int = 0


class TruncatedBPTT(nn.Module):
    """A model that keeps its state between calls, for training on streams that continue from batch to batch.

    Gradients stop at the first frame of a batch; the state is carried on. Use it with `fit`, whose objectives call a
    model with inputs only::

        fit(TruncatedBPTT(model), TextStreams(text, streams=64, steps=128), CrossEntropy(), epochs=3)

    The model itself is trained; `TruncatedBPTT` holds no weights of its own. A checkpoint does not hold its state, so a
    training that resumes begins with empty memory.

    Args:
        model: ``(x, state) -> (y, state)`` whose state starts as ``None``.

    Examples:
        >>> import torch
        >>> from fewbit.nn import LSTM
        >>> layer, x = LSTM(2, 3), torch.randn(4, 10, 2)
        >>> carried = TruncatedBPTT(layer)
        >>> parts = [carried(x[:, :6]), carried(x[:, 6:])]
        >>> torch.allclose(torch.cat(parts, 1), layer(x)[0], atol=1e-6)
        True
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._tracks: dict[str, _Track] = {}
        self._restarted: object | None = None  # the update that cleared the states

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the next frames ``(batch, time, ...)`` of every stream of the trajectory.

        Raises:
            DataError: the number of streams differs from the call before.
        """
        track = self._tracks.setdefault(_TRAJECTORY.get(), _Track())
        if track.streams and len(x) != track.streams:
            raise DataError(
                f"TruncatedBPTT: {len(x)} streams after {track.streams}; give every batch the same number of "
                "streams, or call restart() between them"
            )
        update = _UPDATE.get()
        again = update is not None and update is track.update
        if not again:
            track.update, track.before, track.streams = update, track.after, len(x)
        y, state = self.model(x, track.before)
        if not again:
            track.after = detached(state)
        return y  # type: ignore[no-any-return]

    def restart(self) -> None:
        """Clear all states: the next frames begin new streams. In one update the first call counts."""
        update = _UPDATE.get()
        if update is None or update is not self._restarted:
            self._restarted = update
            self._tracks.clear()


def detached(state: Any) -> Any:
    """The state without the graph of its gradient."""
    if isinstance(state, Tensor):
        return state.detach().clone()  # a view would keep all frames of the batch
    return tuple(detached(part) for part in state) if isinstance(state, tuple | list) else state
