"""Dropout of a few large blocks of inputs of a recurrent layer instead of many single ones.

    z ~ Bernoulli(1 - p)  for each block,   y = c * stretch(z) * x  in training,   y = x  otherwise

Unit ``i`` of ``n`` belongs to block ``floor(i * blocks / n)``. The variance of the dropped share is then
``p (1 - p) / blocks`` instead of ``p (1 - p) / n``: every example, layer and step sees another rate, whose mean is `p`.
With as many blocks as units, held over time, this is variational (locked) dropout.

References:
    Kim, Indurti, Park, Sung 2022, "Macro-block dropout for improved regularization in training end-to-end speech
    recognition models" (arXiv 2212.14149).
"""

from math import log
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from fewbit.errors import ArgumentError

Time = Literal["constant", "frame"] | int
Scale = Literal["rate", "l1", "sum"]


class MacroBlockDropout(nn.Module):
    """Drops blocks of the features of ``x: (batch, time, features)``, for the input of a recurrent layer.

    Args:
        p: probability with which a block is dropped, in [0, 1).
        blocks: of features, of sizes that differ by at most one; at most as many as there are features.
        time: "constant" draws once for each example and holds the mask over all frames, "frame" draws for each
            frame, and a number divides the frames of a chunk into so many blocks as well.
        scale: compensation for the dropped inputs: "rate", the inverse of the mean of the mask; "l1", for each
            example ``sum |x| / sum |m x|``; "sum", ``|sum x / sum m x|``, which is large by chance where inputs have
            both signs. The last two are at most the number of blocks, and no gradient flows through them.
        redraw: never drop all of an example; with "rate" the mean stays exact.

    Raises:
        ArgumentError: an argument is out of range or, when it runs, there are fewer features than blocks.

    Examples:
        >>> import torch
        >>> dropout = MacroBlockDropout(p=0.5, blocks=2)
        >>> y = dropout(torch.ones(1, 3, 4))
        >>> y.shape, bool((y[0, 0] == y[0, 2]).all())  # the mask is held over time
        (torch.Size([1, 3, 4]), True)
    """

    held: Tensor | None
    """Numbers of utterances ``(batch, frames)`` while `hold_masks` is in force."""

    def __init__(
        self, p: float = 0.2, blocks: int = 5, time: Time = "constant", scale: Scale = "rate", redraw: bool = True
    ) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ArgumentError(f"MacroBlockDropout: p must lie in [0, 1), not {p}")
        if blocks < 1:
            raise ArgumentError(f"MacroBlockDropout: blocks must be 1 or more, not {blocks}")
        if time not in ("constant", "frame") and not (isinstance(time, int) and time >= 1):
            raise ArgumentError(
                f"MacroBlockDropout: time is 'constant', 'frame' or a number of blocks from 1, not {time!r}"
            )
        if scale not in get_args(Scale):
            raise ArgumentError(f"MacroBlockDropout: scale is one of {', '.join(get_args(Scale))}, not {scale!r}")
        self.p, self.blocks, self.time, self.scale, self.redraw = float(p), blocks, time, scale, redraw
        self.held, self.seeds = None, (0, 0)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Drop blocks of `x`.

        mask: a result of `sample`; default a new one.
        """
        if not self.training or self.p == 0 or not x.numel():
            return x
        if mask is None:
            held = self.held if self.time == "constant" else None
            mask = self.sample(x) if held is None else self._held_mask(x, held)
        return x * mask * self._scale_for(x, mask)

    def sample(self, x: Tensor) -> Tensor:
        """A mask of zeros and ones for ``x: (batch, time, features)``; (batch, 1 or time, features)."""
        batch, frames, features = x.shape
        self._check_width(features)
        if self.time == "frame":
            drawn = self._draw(batch * frames, self.blocks, x).view(batch, frames, self.blocks)
        elif self.time == "constant":
            drawn = self._draw(batch, self.blocks, x)[:, None]
        else:
            rows = min(int(self.time), max(frames, 1))
            drawn = self._draw(batch, rows * self.blocks, x).view(batch, rows, self.blocks)
            drawn = drawn[:, _stretch(frames, rows, x.device)]
        return drawn[..., _stretch(features, self.blocks, x.device)]

    def mean(self, cells: int | None = None) -> float:
        """Mean of the mask: ``1 - p``, divided by ``1 - p ** cells`` where examples without any input are redrawn.

        cells: number of cells that are drawn together; default `blocks`.
        """
        return (1 - self.p) / (1 - self.p ** (cells or self.blocks) if self.redraw else 1)

    def extra_repr(self) -> str:
        return f"p={self.p}, blocks={self.blocks}, time={self.time!r}, scale={self.scale!r}, redraw={self.redraw}"

    def _draw(self, rows: int, cells: int, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Zeros and ones ``(rows, cells)``; with `redraw`, no row of zeros only."""
        device = like.device if generator is None else torch.device("cpu")
        drawn = torch.rand(rows, cells + 1, generator=generator, device=device)
        kept = drawn[:, :cells] >= self.p
        if self.redraw and self.p > 0:
            # To redraw rows of zeros is to draw the place of the first one from its distribution under the condition
            # that there is one, p**k (1 - p) / (1 - p**cells); what comes after it is as free as before.
            first = torch.log1p(-drawn[:, cells:] * (1 - self.p**cells)) / log(self.p)
            place, first = torch.arange(cells, device=device), first.floor().clamp_max(cells - 1)
            kept = (place == first) | (kept & (place > first))
        return kept.to(like)  # device and type

    def _held_mask(self, x: Tensor, held: Tensor) -> Tensor:
        """The mask of each frame's utterance, (batch, time, features); the same in every call."""
        self._check_width(x.shape[2])
        if held.shape[0] != x.shape[0] or held.shape[1] % x.shape[1]:
            raise ArgumentError(
                f"MacroBlockDropout: masks are held for (batch, frames) = {tuple(held.shape)}, which does not fit an "
                f"input of {tuple(x.shape)}"
            )
        numbers, places = torch.unique(held[:, :: held.shape[1] // x.shape[1]].cpu(), return_inverse=True)
        drawn = [self._draw(1, self.blocks, x, _generator(*self.seeds, number)) for number in numbers.tolist()]
        table = torch.cat(drawn)[:, _stretch(x.shape[2], self.blocks, x.device)]
        return table[places.to(x.device)]

    def _scale_for(self, x: Tensor, mask: Tensor) -> Tensor | float:
        """A number, or one for each example: (batch, 1, 1)."""
        if self.scale == "rate":
            rows = min(self.time, x.shape[1]) if isinstance(self.time, int) else 1
            return 1 / self.mean(rows * self.blocks)
        whole = x.detach().abs() if self.scale == "l1" else x.detach()
        total, rest = whole.sum((1, 2), keepdim=True), (mask * whole).sum((1, 2), keepdim=True)
        factor = torch.where(rest == 0, 0.0, total / torch.where(rest == 0, 1.0, rest)).abs()
        return factor.clamp_max(self.blocks)

    def _check_width(self, features: int) -> None:
        if features < self.blocks:
            raise ArgumentError(f"MacroBlockDropout: {features} features cannot be cut into {self.blocks} blocks")


def hold_masks(model: nn.Module, utterances: Tensor | None, seed: int = 0) -> None:
    """Let every `MacroBlockDropout` of `model` keep one mask for each utterance, across chunks and calls.

    The mask is a function of the number of the utterance, of `seed` and of the layer's place in the network, so it
    need not be stored. Layers whose `time` is not "constant" still draw new masks.

    Args:
        model: the network.
        utterances: the number, from 0, of each input frame's utterance ``(batch, frames)`` for the coming calls; a
            layer behind a stride of n reads every n-th. ``None`` ends the holding.
        seed: of the masks, from 0.

    Examples:
        >>> import torch
        >>> from torch import ones, zeros
        >>> layer = MacroBlockDropout(p=0.5, blocks=4)
        >>> hold_masks(layer, zeros(1, 6, dtype=torch.long))  # all frames belong to utterance 0
        >>> first, second = layer(ones(1, 6, 8)), layer(ones(1, 6, 8))
        >>> hold_masks(layer, None)
        >>> torch.equal(first, second)
        True
    """
    layers = [module for module in model.modules() if isinstance(module, MacroBlockDropout)]
    for place, layer in enumerate(layers):
        layer.held, layer.seeds = utterances, (seed, place)


def _generator(*seeds: int) -> torch.Generator:
    """A generator that all `seeds` together determine."""
    return torch.Generator().manual_seed(int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0] >> 1))


def _stretch(length: int, blocks: int, device: torch.device) -> Tensor:
    """The block of each of `length` places."""
    return torch.arange(length, device=device) * blocks // max(length, 1)
