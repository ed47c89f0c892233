"""Language models of all-attention layers: every weight between embedding and head belongs to a head of attention."""

from torch import Tensor, nn

from fewbit.nn import AllAttention, Chain, Layer


class AllAttentionBlock(Layer):
    """``x + attention(norm(x))``.

    Args:
        width, heads, about: arguments of `fewbit.nn.AllAttention`.
        dropout: of the map and of what is added, in training.

    Examples:
        >>> from torch import randn
        >>> y, state = AllAttentionBlock(16, heads=2, span=4, slots=8)(randn(3, 10, 16))
        >>> y.shape, state.shape
        (torch.Size([3, 10, 16]), torch.Size([3, 4, 16]))
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, **about: int) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.attention = AllAttention(width, heads, dropout=dropout, **about)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Positions ``(batch, time, width)``; the state is that of the attention."""
        y, state = self.attention(self.norm(x), state)
        return x + self.dropout(y), state


class AllAttentionLM(Chain):
    """Tokens ``(batch, time)`` to scores of the next one ``(batch, time, classes)``, and a state for the next segment.

    Args:
        classes: tokens that there are.
        width, heads, span, slots: as in `fewbit.nn.AllAttention`.
        layers: blocks of attention.
        dropout: of maps and of what blocks add, in training.

    Examples:
        >>> import torch
        >>> model = AllAttentionLM(classes=30, width=16, heads=2, layers=2, span=8, slots=32)
        >>> tokens = torch.randint(0, 30, (2, 20))
        >>> scores, state = model(tokens[:, :12])
        >>> rest, state = model(tokens[:, 12:], state)
        >>> torch.allclose(torch.cat([scores, rest], 1), model(tokens)[0], atol=1e-5)
        True
    """

    def __init__(
        self, classes: int, width: int, heads: int, layers: int, *, span: int, slots: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        embedding = nn.Embedding(classes, width)
        nn.init.uniform_(embedding.weight, -(width**-0.5), width**-0.5)
        self.add_module("embedding", embedding)
        for i in range(layers):
            about = {"span": span, "slots": slots, "depth": layers}
            self.add_module(f"block{i}", AllAttentionBlock(width, heads, dropout, **about))
        self.add_module("norm", nn.LayerNorm(width))
        self.add_module("head", nn.Linear(width, classes))
