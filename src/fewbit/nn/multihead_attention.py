"""`torch.nn.MultiheadAttention` with fewer heads than fill its width: what is left when heads are pruned."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.errors import ArgumentError


class MultiheadAttention(nn.MultiheadAttention):
    """Attention of `num_heads` heads of `head_dim` numbers each, whatever the width is.

    Parameters and results are those of `torch.nn.MultiheadAttention`, but ``in_proj_weight`` has ``3 num_heads
    head_dim`` rows, and ``out_proj`` reads ``num_heads head_dim`` numbers. Compaction makes it from that class
    (`fewbit.passes.PruneHeads`).

    Args:
        embed_dim: width of input and output.
        num_heads, head_dim: any numbers.
        bias, batch_first, dropout: as in `torch.nn.MultiheadAttention`.

    Raises:
        ArgumentError: a mask for each head has another number of heads.

    Examples:
        >>> layer = MultiheadAttention(8, num_heads=1, head_dim=4, batch_first=True)
        >>> layer.in_proj_weight.shape, layer.out_proj.weight.shape
        (torch.Size([12, 8]), torch.Size([8, 4]))
        >>> x = torch.zeros(1, 5, 8)
        >>> layer(x, x, x, need_weights=False)[0].shape
        torch.Size([1, 5, 8])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        head_dim: int,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(embed_dim, 1, dropout, bias, batch_first=batch_first)
        inner = num_heads * head_dim
        self.in_proj_weight = nn.Parameter(torch.empty(3 * inner, embed_dim))
        if bias:
            self.in_proj_bias = nn.Parameter(torch.zeros(3 * inner))
        self.out_proj = nn.modules.linear.NonDynamicallyQuantizableLinear(inner, embed_dim, bias)
        self.num_heads, self.head_dim = num_heads, head_dim
        self._qkv_same_embed_dim = False  # torch has fused code for layers that it does not know to be smaller
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As `torch.nn.MultiheadAttention`; `is_causal` is a hint and needs `attn_mask`."""
        batched, same = query.dim() == 3, query is key and key is value
        if not batched:
            query, key, value = (each.unsqueeze(0 if self.batch_first else 1) for each in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
        if not self.batch_first:
            query, key, value = (each.transpose(0, 1) for each in (query, key, value))
        q, k, v = (self._in_heads(each) for each in self._project(query, key, value, same))
        mask = self._mask(attn_mask, key_padding_mask, q)
        shares = None
        if need_weights:
            scores = q @ k.transpose(-2, -1) / math.sqrt(self.head_dim)
            shares = torch.softmax(scores if mask is None else scores + mask, -1)
            found = functional.dropout(shares, self.dropout, self.training) @ v
            shares = shares.mean(1) if average_attn_weights else shares
            shares = shares if batched else shares[0]
        else:
            rate = self.dropout if self.training else 0.0
            found = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=rate)
        result = self.out_proj(found.transpose(1, 2).flatten(2))
        result = result if self.batch_first else result.transpose(0, 1)
        return result if batched else result.squeeze(0 if self.batch_first else 1), shares

    def _in_heads(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)

    def _project(self, query: Tensor, key: Tensor, value: Tensor, same: bool) -> tuple[Tensor, ...]:
        """Queries, keys and values; of one tensor by one product, which packs to one op."""
        whole: Tensor | None = self.in_proj_weight  # none where keys or values have a width of their own
        if same and whole is not None:
            return functional.linear(query, whole, self.in_proj_bias).chunk(3, -1)
        weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight) if whole is None else whole.chunk(3)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        sides = zip((query, key, value), weights, biases, strict=True)
        return tuple(functional.linear(x, weight, bias) for x, weight, bias in sides)

    def _mask(self, attended: Tensor | None, padding: Tensor | None, like: Tensor) -> Tensor | None:
        """Both masks as numbers to add, ``(batch or 1, heads or 1, queries, keys)``."""
        if attended is not None and attended.dim() == 3:
            if attended.shape[0] != len(like) * self.num_heads:
                raise ArgumentError(
                    f"attn_mask has {attended.shape[0]} masks; wanted {len(like) * self.num_heads}, one for each of "
                    f"{len(like)} examples and {self.num_heads} heads that are left, or one for all"
                )
            attended = attended.view(len(like), self.num_heads, *attended.shape[1:])
        masks = [
            _added(each, like.dtype) if place is None else _added(each, like.dtype)[place]
            for each, place in ((attended, None), (padding, (slice(None), None, None)))
            if each is not None
        ]
        return sum(masks[1:], masks[0]) if masks else None


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of booleans, true for what is hidden, as numbers to add."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, float("-inf"))
