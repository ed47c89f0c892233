"""Truncated back-propagation through time: each batch starts in the state in which the batch before it ended."""

from typing import Any

from torch import Tensor, nn

from fewbit.errors import DataError


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
        self._before: Any = None
        self._after: Any = None
        self._last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the next frames ``(batch, time, ...)`` of every stream.

        A second call with the same tensor reads the same frames again, because an optimizer may evaluate its loss more
        than once in a step.

        Raises:
            DataError: the number of streams differs from the call before.
        """
        if x is not self._last:
            if self._last is not None and len(x) != len(self._last):
                raise DataError(
                    f"TruncatedBPTT: {len(x)} streams after {len(self._last)}; give every batch the same number of "
                    "streams, or call restart() between them"
                )
            self._before, self._last = self._after, x
        y, state = self.model(x, self._before)
        self._after = detached(state)
        return y  # type: ignore[no-any-return]

    def restart(self) -> None:
        """Clear the state: the next frames begin new streams."""
        self._before = self._after = self._last = None


def detached(state: Any) -> Any:
    """The state without the graph of its gradient."""
    if isinstance(state, Tensor):
        return state.detach().clone()  # a view would keep all frames of the batch
    return tuple(detached(part) for part in state) if isinstance(state, tuple | list) else state
