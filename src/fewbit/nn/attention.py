"""Self-attention whose inner signals can be seen, replaced and quantized from outside.

With ``d`` numbers in a head and rows of ``x: (batch, time, width)``::

    scores  = query(x) key(x)^T / sqrt(d)          (batch, heads, time, time); hidden pairs get the lowest number
    map     = softmax(scores)
    context = map value(x), all heads side by side  (batch, time, heads * d)
    y       = output(context)

Scores, map and context pass through a module each, so that distillation can record or replace what goes on. The map is
made in steps and not by the fused function, which keeps it to itself.

References:
    Vaswani et al. 2017, "Attention is all you need" (arXiv 1706.03762); grouped queries: Ainslie et al. 2023 (arXiv
    2305.13245); rotary positions: Su et al. 2021 (arXiv 2104.09864).
"""

import torch
from torch import Tensor, nn

from fewbit.errors import ArgumentError
from fewbit.nn.layer import Signal

ROTARY_BASE = 10000.0
"""In so many positions the slowest pair of a head turns by nearly 1 radian, as in the paper."""


class Attention(nn.Module):
    """Self-attention ``(batch, time, width) -> (batch, time, width)``.

    Its parts are four linear layers, `query`, `key`, `value` and `output`, the identity `scores`, and the signals `map`
    and `context`. All sizes are read from `heads`, `key_heads` and `head_size`: heads can be pruned away by narrowing
    the linear layers and lowering the counts.

    Packed, all heads are one op that keeps its map at 15 bits. So `map` and `context` are wide: a plain activation spec
    leaves them alone, and `output` quantizes the context that it reads. A network with a quantized map is not packed.

    Args:
        width: numbers of a position.
        heads: of the queries.
        head_size: numbers of a head; default ``width // heads``.
        key_heads: of keys and values, each read by ``heads // key_heads`` heads of queries; default `heads`.
        causal: whether a position sees itself and those before it only.
        window: a position sees itself and ``window - 1`` positions before it; default all. As a stream a packed network
            then needs no more memory, however long it runs; pack it with an example longer than the window.
        rotary: whether queries and keys are turned by their positions.
        rotary_base: how many positions the slowest pair of a head needs for nearly 1 radian.
        bias: of the linear layers.

    Raises:
        ArgumentError: the sizes do not fit each other.

    Examples:
        >>> layer = Attention(16, heads=4, key_heads=2, window=8, rotary=True)
        >>> layer(torch.randn(2, 10, 16)).shape
        torch.Size([2, 10, 16])
        >>> seen = []
        >>> hook = layer.map.register_forward_hook(lambda _, inputs, output: seen.append(output))
        >>> y = layer(torch.randn(2, 10, 16))
        >>> seen[0].shape
        torch.Size([2, 4, 10, 10])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        head_size: int | None = None,
        key_heads: int | None = None,
        causal: bool = True,
        window: int | None = None,
        rotary: bool = False,
        rotary_base: float = ROTARY_BASE,
        bias: bool = False,
    ) -> None:
        super().__init__()
        key_heads = heads if key_heads is None else key_heads
        if heads < 1 or key_heads < 1 or heads % key_heads:
            raise ArgumentError(f"Attention: heads={heads}, key_heads={key_heads}; wanted a multiple of key_heads")
        if head_size is None and width % heads:
            raise ArgumentError(f"Attention: width={width} is no multiple of heads={heads}; give head_size")
        head_size = width // heads if head_size is None else head_size
        if head_size < 1 or (rotary and head_size % 2):
            raise ArgumentError(f"Attention: head_size={head_size}, wanted at least 1, and even for rotary positions")
        if window is not None and (window < 1 or not causal):
            raise ArgumentError(f"Attention: window={window}, causal={causal}; wanted at least 1, in causal attention")
        self.width, self.heads, self.key_heads, self.head_size = width, heads, key_heads, head_size
        self.causal, self.window, self.rotary, self.rotary_base = causal, window, rotary, rotary_base
        self.query = nn.Linear(width, heads * head_size, bias=bias)
        self.key = nn.Linear(width, key_heads * head_size, bias=bias)
        self.value = nn.Linear(width, key_heads * head_size, bias=bias)
        self.output = nn.Linear(heads * head_size, width, bias=bias)
        self.scores = nn.Identity()  # no hardware stores them: product and softmax are one op
        self.map, self.context = Signal(wide=True), Signal(wide=True)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """What each position gathers.

        Args:
            x: ``(batch, time, width)``.
            mask: ``(batch, time)`` booleans, false where a position is padding, which no position then sees. What
                padding itself gathers means nothing.
        """
        query = self._by_head(self.query(x), self.heads)
        key, value = (self._by_head(layer(x), self.key_heads) for layer in (self.key, self.value))
        if self.rotary:
            query, key = rotated(query, self.rotary_base), rotated(key, self.rotary_base)
        if self.key_heads != self.heads:
            key, value = (part.repeat_interleave(self.heads // self.key_heads, 1) for part in (key, value))
        scores = query.float() @ key.float().transpose(-2, -1) * self.head_size**-0.5
        hidden = self._hidden(x.shape[1], x.device)
        if mask is not None:
            padding = ~mask[:, None, None, :]
            hidden = padding if hidden is None else hidden | padding
        if hidden is not None:
            # Not minus infinity: padding in front of a sequence sees nothing, and its softmax has to be a number.
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        shares = self.map(torch.softmax(self.scores(scores), dim=-1))
        context = (shares.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        y: Tensor = self.output(self.context(context))
        return y

    def _by_head(self, x: Tensor, heads: int) -> Tensor:
        return x.view(*x.shape[:2], heads, self.head_size).transpose(1, 2)

    def _hidden(self, time: int, device: torch.device) -> Tensor | None:
        """Pairs ``(queries, keys)`` that never count, or ``None`` if all do."""
        if not self.causal:
            return None
        place = torch.arange(time, device=device)
        age = place[:, None] - place[None, :]
        return age < 0 if self.window is None else (age < 0) | (age >= self.window)

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"heads={self.heads}, key_heads={self.key_heads}, head_size={self.head_size}, window={self.window}"


def rotated(x: Tensor, base: float = ROTARY_BASE) -> Tensor:
    """Heads ``(..., time, head_size)``, whose numbers ``i`` and ``i + head_size / 2`` are turned by their position."""
    time, size = x.shape[-2:]
    speed = base ** (-torch.arange(0, size, 2, device=x.device) / size)
    angle = torch.arange(time, device=x.device)[:, None] * torch.cat([speed, speed])
    first, second = x.chunk(2, -1)
    return x * angle.cos().to(x.dtype) + torch.cat([-second, first], -1) * angle.sin().to(x.dtype)
