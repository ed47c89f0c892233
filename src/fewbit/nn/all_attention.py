"""All-attention: self-attention with learned keys and values beside those of the input, and no feed-forward part.

With heads of ``d`` numbers, ``N`` slots in each, and the last ``M`` inputs before the chunk in front of it::

    q = W_q x    k = W_k [before; x]    v = W_v [before; x]    r = W_r P       P: a learned vector of each distance
    place_ij = ((q_i + b_u) k_j + (q_i + b_v) r_(i-j)) / sqrt(d)               0 <= i - j <= M, other pairs hidden
    slot_in  = q_i K_n                                                         K, V: (heads, N, d), learned
    map      = softmax over places and slots together
    y        = W_o (map [v; sqrt(N) V]) + b_o                                  all heads side by side

The slots do the work of the feed-forward part, so that every weight but the table of distances and the last bias
belongs to a head, and weights and operations fall with the heads that are pruned.

References:
    Sukhbaatar and others 2019, "Augmenting self-attention with persistent memory" (arXiv 1907.01470); segments and
    relative positions: Dai and others 2019, "Transformer-XL" (arXiv 1901.02860); pruned by heads: Shim, Choi, Sung,
    Choi 2021 (arXiv 2110.03252).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.errors import ArgumentError
from fewbit.nn.layer import Layer, Signal


class AllAttention(Layer):
    """Attention over the last inputs of a stream and over learned slots.

    Its parts have the names of those of `fewbit.nn.Attention`, and heads can be pruned away. The state is the last
    `span` inputs, ``(batch, up to span, width)``, through which no gradient goes; before the start of a stream there
    are fewer. Any split of a stream into segments gives the same output.

    Args:
        width: numbers of a position.
        heads: of attention.
        span: positions before a position that it sees beside itself.
        slots: learned pairs of a key and a value in each head.
        head_size: numbers of a head; default ``width // heads``.
        dropout: of the map, in training.
        depth: layers of the network; new weights are smaller by its root.

    Raises:
        ArgumentError: a size is out of range, or the width is no multiple of the heads.

    Examples:
        >>> layer = AllAttention(16, heads=4, span=8, slots=32)
        >>> y, state = layer(torch.randn(2, 20, 16))
        >>> y.shape, state.shape
        (torch.Size([2, 20, 16]), torch.Size([2, 8, 16]))
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        span: int,
        slots: int,
        head_size: int | None = None,
        dropout: float = 0.0,
        depth: int = 1,
    ) -> None:
        super().__init__()
        if min(width, heads, span, slots, depth) < 1 or (head_size is not None and head_size < 1):
            raise ArgumentError(
                f"AllAttention: width={width}, heads={heads}, span={span}, slots={slots}, head_size={head_size}, "
                f"depth={depth}; wanted 1 or more"
            )
        if head_size is None and width % heads:
            raise ArgumentError(f"AllAttention: width={width} is no multiple of heads={heads}; give head_size")
        if not 0 <= dropout < 1:
            raise ArgumentError(f"AllAttention: dropout must lie in [0, 1), not {dropout}")
        head_size = width // heads if head_size is None else head_size
        self.width, self.heads, self.head_size, self.span, self.slots = width, heads, head_size, span, slots
        inner = heads * head_size
        self.query, self.key, self.value, self.place = (nn.Linear(width, inner, bias=False) for _ in range(4))
        self.output = nn.Linear(inner, width)
        self.weight_distances = nn.Parameter(torch.empty(span + 1, width))
        self.key_bias, self.place_bias = (nn.Parameter(torch.zeros(heads, 1, head_size)) for _ in range(2))
        self.weight_slot_keys = nn.Parameter(torch.empty(heads, slots, head_size))
        self.weight_slot_values = nn.Parameter(torch.empty(heads, slots, head_size))
        self.scores = nn.Identity()  # no hardware stores them, as in `fewbit.nn.Attention`
        self.map, self.context = Signal(wide=True), Signal(wide=True)
        self.dropout = nn.Dropout(dropout)
        inner_parts = (self.query.weight, self.key.weight, self.value.weight, self.place.weight)
        for weight in (*inner_parts, self.weight_slot_keys, self.weight_slot_values):
            nn.init.uniform_(weight, -((width * depth) ** -0.5), (width * depth) ** -0.5)
        for weight in (self.output.weight, self.weight_distances):
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What each position of ``x: (batch, time, width)`` gathers, and the last inputs for the next chunk."""
        seen = x if state is None else torch.cat([state.detach(), x], 1)
        query = self._by_head(self.query(x))
        key, value = self._by_head(self.key(seen)), self._by_head(self.value(seen))
        distance = self._by_head(self.place(self.weight_distances)[None])
        near = (query + self.key_bias) @ key.transpose(-2, -1)
        far = shifted((query + self.place_bias) @ distance.transpose(-2, -1), seen.shape[1])
        places = ((near + far) * self.head_size**-0.5).masked_fill(self._hidden(x, seen), -math.inf)
        scores = torch.cat([places, query @ self.weight_slot_keys.transpose(-2, -1)], -1)
        shares = self.dropout(self.map(torch.softmax(self.scores(scores), -1)))
        given = torch.cat([value, (self.slots**0.5 * self.weight_slot_values).expand(len(x), -1, -1, -1)], -2)
        y = self.output(self.context((shares @ given).transpose(1, 2).flatten(2)))
        return y, seen[:, max(seen.shape[1] - self.span, 0) :]

    def _by_head(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, self.head_size).transpose(1, 2)

    def _hidden(self, x: Tensor, seen: Tensor) -> Tensor:
        """Pairs ``(queries, keys)`` that never count: what comes later, and what is further away than the span."""
        time, keys = x.shape[1], seen.shape[1]
        place = torch.arange(keys, device=x.device)
        age = place[keys - time :, None] - place
        return (age < 0) | (age > self.span)

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"heads={self.heads}, head_size={self.head_size}, span={self.span}, slots={self.slots}"


def shifted(by_distance: Tensor, keys: int) -> Tensor:
    """Scores of distances ``(..., queries, distances)``, 0 first, at the keys ``(..., queries, keys)`` that lie there.

    The last key is that of the last query. Pairs of other distances get 0. Each row begins one key later than the row
    before it, which is a matter of reading padded rows in another width.

    Examples:
        >>> shifted(torch.tensor([[0, 1, 2], [0, 1, 2]]), keys=4)
        tensor([[2, 1, 0, 0],
                [0, 2, 1, 0]])
    """
    queries, reach = by_distance.shape[-2:]
    width = reach + queries - 1
    lined = functional.pad(by_distance.flip(-1), (0, queries)).flatten(-2)[..., : queries * width]
    return lined.view(*by_distance.shape[:-2], queries, width)[..., width - keys :]
