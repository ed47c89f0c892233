"""Encoders: transformers that see their whole input, and name the class of each position or of all together."""

from torch import Tensor, nn

from fewbit.models.transformer_block import Positions, Style, TransformerBlock, norm_of


class Encoder(nn.Module):
    """Symbols ``(batch, time)`` or features ``(batch, time, features)`` to scores ``(batch, time, classes)``.

    Args:
        inputs: symbols that there are, or features of a position.
        classes: of the result.
        width: numbers of a position inside.
        heads, layers: blocks of attention with so many heads.
        symbols: whether the input is numbers of symbols.
        pooled: whether the result is one for each input, ``(batch, classes)``, of the mean over its positions.
        style, ff: as in `fewbit.models.Decoder`.
        key_heads: as in `fewbit.nn.Attention`.
        context: positions of the learned table of ``gpt``, which no input may exceed; ``None`` for no table, and then
            an order is known to ``llama`` only.
        dropout: of the embedding and of what blocks add, in training.

    Raises:
        ArgumentError: the sizes do not fit each other, or ``llama`` is given a table of positions.

    Examples:
        >>> from torch import randn
        >>> model = Encoder(inputs=20, classes=5, width=16, heads=2, layers=1, symbols=False, context=30)
        >>> model(randn(2, 7, 20)).shape
        torch.Size([2, 7, 5])
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        width: int,
        heads: int,
        layers: int,
        *,
        symbols: bool = True,
        pooled: bool = False,
        style: Style = "gpt",
        ff: int | None = None,
        key_heads: int | None = None,
        context: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding: nn.Module = nn.Embedding(inputs, width) if symbols else nn.Linear(inputs, width)
        self.positions = Positions.of_style(style, context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, style=style, ff=ff, dropout=dropout, key_heads=key_heads, causal=False)
            for _ in range(layers)
        )
        self.norm, self.head = norm_of(style, width), nn.Linear(width, classes)
        self.pooled = pooled

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores of each position, or of each input if pooled.

        Args:
            x: symbols ``(batch, time)``, or features ``(batch, time, features)``.
            mask: ``(batch, time)`` booleans, false where a position is padding.

        Raises:
            DataError: there are more positions than learned ones.
        """
        y = self.embedding(x)
        if self.positions is not None:
            y = self.positions(y)
        y = self.dropout(y)
        for block in self.blocks:
            y = block(y, mask)
        y = self.norm(y)
        if self.pooled and mask is None:
            y = y.mean(1)
        elif self.pooled and mask is not None:
            y = (y * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        scores: Tensor = self.head(y)
        return scores
