"""Decoders: causal transformers that give scores of the next token, in the shape of GPT or of Llama."""

from torch import Tensor, nn

from fewbit.models.transformer_block import SPREAD, Positions, Style, TransformerBlock, norm_of


class Decoder(nn.Module):
    """Tokens ``(batch, time)`` to scores of the next one ``(batch, time, classes)``.

    Args:
        classes: tokens that there are.
        width: numbers of a position.
        heads, layers: blocks of attention with so many heads.
        style: ``gpt``: learned positions, LayerNorm, GELU, biases. ``llama``: rotary positions, RMSNorm, SwiGLU, no
            biases.
        ff: inner width of the linear layers of a block (`TransformerBlock`).
        key_heads, window: as in `fewbit.nn.Attention`.
        context: positions of the learned table of ``gpt``, which no input may exceed; ``None`` for no table: causal
            attention alone then knows an order. Without a table, or as ``llama``, a network with a `window` packs
            into a stream without end.
        tied: whether the head has the weights of the embedding.
        dropout: of embeddings and of what blocks add, in training.

    Raises:
        ArgumentError: the sizes do not fit each other, or ``llama`` is given a table of positions.

    Examples:
        >>> import torch
        >>> model = Decoder(classes=30, width=16, heads=2, layers=1, style="llama", window=8)
        >>> model(torch.zeros(2, 7, dtype=torch.long)).shape
        torch.Size([2, 7, 30])
    """

    def __init__(
        self,
        classes: int,
        width: int,
        heads: int,
        layers: int,
        *,
        style: Style = "gpt",
        ff: int | None = None,
        key_heads: int | None = None,
        window: int | None = None,
        context: int | None = None,
        tied: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, width)
        self.positions = Positions.of_style(style, context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width, heads, style=style, ff=ff, dropout=dropout, key_heads=key_heads, causal=True, window=window
            )
            for _ in range(layers)
        )
        self.norm = norm_of(style, width)
        self.head = nn.Linear(width, classes, bias=False)
        nn.init.normal_(self.embedding.weight, std=SPREAD)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores of the token after each of ``tokens: (batch, time)``; `mask` as in `fewbit.nn.Attention`.

        Raises:
            DataError: there are more tokens than learned positions.
        """
        x = self.embedding(tokens)
        if self.positions is not None:
            x = self.positions(x)
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, mask)
        scores: Tensor = self.head(self.norm(x))
        return scores
