"""Parts of transformers in the shape of GPT or of Llama: a block with its norms before its parts, and positions."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.errors import ArgumentError, DataError
from fewbit.nn import Attention

SPREAD = 0.02
"""Standard deviation of new embeddings, as in GPT-2: a tied head of a new network then prefers no token."""
Style = Literal["gpt", "llama"]
STYLES: tuple[Style, ...] = ("gpt", "llama")


class TransformerBlock(nn.Module):
    """``x + attention(norm(x))``, and then ``x + feed(norm(x))``.

    Args:
        width: numbers of a position.
        heads: of the attention.
        style: ``gpt``: LayerNorm, GELU, biases. ``llama``: RMSNorm, SwiGLU, no biases; its attention is rotary.
        ff: inner width of the linear layers; default 4 times `width`, for ``llama`` 8 / 3 times, which are as many
            weights.
        dropout: of what is added, in training.
        attention: further arguments of `fewbit.nn.Attention`.

    Examples:
        >>> from torch import randn
        >>> TransformerBlock(16, heads=2, style="llama", window=4)(randn(3, 10, 16)).shape
        torch.Size([3, 10, 16])
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        style: Style = "gpt",
        ff: int | None = None,
        dropout: float = 0.0,
        **attention: Any,
    ) -> None:
        super().__init__()
        if style not in STYLES:
            raise ArgumentError(f"style={style!r}, wanted one of {list(STYLES)}")
        is_llama = style == "llama"
        self.norm1, self.norm2 = norm_of(style, width), norm_of(style, width)
        self.attention = Attention(width, heads, rotary=is_llama, bias=not is_llama, **attention)
        self.feed: nn.Module = SwiGLU(width, ff or 8 * width // 3) if is_llama else GELULayers(width, ff or 4 * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Positions ``(batch, time, width)``; `mask` as in `fewbit.nn.Attention`."""
        x = x + self.dropout(self.attention(self.norm1(x), mask))
        out: Tensor = x + self.dropout(self.feed(self.norm2(x)))
        return out


class Positions(nn.Embedding):
    """Adds a learned vector of each position to ``(batch, time, width)``."""

    @classmethod
    def of_style(cls, style: Style, context: int | None, width: int) -> "Positions | None":
        """A table of `context` positions, or ``None`` for none; ``llama`` has rotary positions instead.

        Raises:
            ArgumentError: ``llama`` is given a table.
        """
        if style == "llama" and context is not None:
            raise ArgumentError(f"context={context} with rotary positions, which have no table; leave it out")
        return None if context is None else cls(context, width)

    def reset_parameters(self) -> None:
        """As in GPT-2."""
        nn.init.normal_(self.weight, std=SPREAD)

    def forward(self, x: Tensor) -> Tensor:
        """The sum.

        Raises:
            DataError: there are more positions than the table has.
        """
        time = x.shape[1]
        if time > self.num_embeddings:
            raise DataError(f"{time} positions, and {self.num_embeddings} have been learned; cut the input")
        return x + super().forward(torch.arange(time, device=x.device))


class GELULayers(nn.Module):
    """``down(gelu(up(x)))``."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(functional.gelu(self.up(x)))
        return y


class SwiGLU(nn.Module):
    """``down(silu(gate(x)) * up(x))``."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate, self.up = nn.Linear(width, inner, bias=False), nn.Linear(width, inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return y


def norm_of(style: Style, width: int) -> nn.Module:
    """The norm of a style."""
    return nn.RMSNorm(width, eps=1e-6) if style == "llama" else nn.LayerNorm(width)
