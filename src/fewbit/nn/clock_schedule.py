"""When a recurrent layer runs: the frames in which it ticks, and those before which it is reset.

    s[t] = (1 - c)(1 - r) s[t-1] + c f(x[t], (1 - r) s[t-1])        clock c, reset r, both 0 or 1

Between two resets, ticks form a chain whose states depend on nothing outside. All chains of a chunk, of every stream,
therefore run in parallel: there are as many steps as the longest chain has ticks, and a step runs all chains that are
long enough. For text with short words this takes a tenth of the steps of a loop over frames.

References:
    Hwang, Sung 2016 (arXiv 1609.03777), section 2.
"""

import torch
from torch import Tensor


class ClockSchedule:
    """The schedule of a chunk, for all layers that share a clock.

    Args:
        clock, reset: booleans ``(batch, time)``; a reset takes effect before the tick of its frame, even if the frame
            has none.

    Attributes:
        frames: numbers ``(ticks,)`` of the frames of the flattened chunk that tick, in the order in which they run.
        sizes: chains that run in each step.

    Examples:
        >>> import torch
        >>> from torch import tensor, zeros
        >>> from fewbit.nn import LSTM
        >>> clock = tensor([[False, True, False, True]])
        >>> y, _ = LSTM(3, 4)(torch.randn(1, 4, 3), None, ClockSchedule(clock, zeros(1, 4, dtype=torch.bool)))
        >>> bool((y[:, 1] == y[:, 2]).all())  # held between ticks
        True
    """

    def __init__(self, clock: Tensor, reset: Tensor) -> None:
        batch, time = clock.shape
        now = torch.arange(time, device=clock.device).expand(batch, time)
        never = torch.full_like(now, -1)
        ticked, started = (torch.where(when, now, never).cummax(1).values for when in (clock, reset))
        before = torch.cat([never[:, :1], ticked[:, :-1]], 1)
        first = (before < started) | (before < 0)  # of its chain

        ticking = clock.flatten().nonzero().squeeze(1)
        begins = first.flatten()[ticking]
        chain = begins.cumsum(0) - 1
        heads = begins.nonzero().squeeze(1)
        step = torch.arange(len(ticking), device=clock.device) - heads[chain]
        longest_first = torch.bincount(chain, minlength=len(heads)).argsort(descending=True, stable=True)
        rank = torch.empty_like(longest_first)
        rank[longest_first] = torch.arange(len(heads), device=clock.device)
        order = (step * max(len(heads), 1) + rank[chain]).argsort()
        self.frames = ticking[order]
        self.sizes: list[int] = torch.bincount(step).tolist() if len(ticking) else []

        # A state not computed in this chunk: row `stream` of the states before it, or the zeros behind them.
        streams = torch.arange(batch, device=clock.device).unsqueeze(1).expand(batch, time)
        unmade = torch.where(started < 0, streams, batch)
        self._begin = unmade.flatten()[ticking[heads[longest_first]]]
        place = torch.empty_like(order)
        place[order] = torch.arange(len(ticking), device=clock.device)
        latest = (clock.flatten().cumsum(0) - 1).clamp_min(0).view(batch, time)
        made = (ticked >= 0) & (ticked >= started)
        self._hold = unmade + len(ticking)
        if len(ticking):
            self._hold = torch.where(made, place[latest], self._hold)

    def begin(self, state: Tensor) -> Tensor:
        """States ``(chains, width)`` before the first tick of each chain, from those of streams ``(batch, width)``."""
        return _with_zeros([state]).index_select(0, self._begin)

    def hold(self, made: list[Tensor], state: Tensor) -> Tensor:
        """States ``(batch, time, width)`` after every frame, from those that the steps made."""
        return _with_zeros([*made, state]).index_select(0, self._hold.flatten()).view(*self._hold.shape, -1)


def _with_zeros(rows: list[Tensor]) -> Tensor:
    return torch.cat([*rows, rows[-1].new_zeros(1, rows[-1].shape[-1])])
