"""Transformers of MiniLM's size (6 layers of 384 with 12 heads), plainly written: an encoder and a causal decoder."""

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS, WIDTH, HEADS, INNER = 6, 384, 12, 1536


class Layer(nn.Module):
    """Attention and two linear layers; the norms stand behind the sums, as in BERT, or before each part."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.rise, self.fall = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values ``(batch, heads, tokens, numbers)``."""
        q, k, v = (
            layer(x).unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        return q, k, v

    def mixed(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
        """What follows from the values that are seen."""
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        y = self.out(y.transpose(1, 2).flatten(2))
        x = x + y if self.norm_first else self.norm1(x + y)
        inner = self.norm2(x) if self.norm_first else x
        out: Tensor = x + self.fall(functional.gelu(self.rise(inner)))
        return out if self.norm_first else self.norm2(out)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        return self.mixed(x, *self.parts(self.norm1(x) if self.norm_first else x), causal)


class Bert(nn.Module):
    """Word pieces ``(batch, tokens)`` to the mean of their vectors ``(batch, 384)``.

    The vocabulary is smaller than MiniLM's, which has 30522: its size costs no time, only memory.
    """

    vocabulary, places = 4096, 512

    def __init__(self) -> None:
        super().__init__()
        self.word, self.place = nn.Embedding(self.vocabulary, WIDTH), nn.Embedding(self.places, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(Layer(norm_first=False) for _ in range(LAYERS))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.norm(self.word(tokens) + self.place(torch.arange(tokens.shape[1], device=tokens.device)))
        for layer in self.layers:
            x = layer(x, causal=False)
        mean: Tensor = x.mean(1)
        return mean


class Decoder(nn.Module):
    """Symbols ``(batch, tokens)`` to scores of the next ones; no positions, so that a stream never ends."""

    vocabulary = 1000

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(self.vocabulary, WIDTH)
        self.layers = nn.ModuleList(Layer(norm_first=True) for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, self.vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.word(tokens)
        for layer in self.layers:
            x = layer(x, causal=True)
        scores: Tensor = self.head(self.norm(x))
        return scores

    def keys_and_values(self, tokens: Tensor) -> list[Tensor]:
        """Of each layer the keys and then the values of all tokens."""
        x, found = self.word(tokens), []
        for layer in self.layers:
            assert isinstance(layer, Layer)
            q, k, v = layer.parts(layer.norm1(x))
            found += [k.contiguous(), v.contiguous()]
            x = layer.mixed(x, q, k, v, causal=True)
        return found


class DecoderStep(nn.Module):
    """One token with the keys and values of those before it.

    It returns the scores, and of each layer the newest key and value: the caller writes them over the oldest ones. As
    there are no positions, their order does not matter.
    """

    def __init__(self, whole: Decoder) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, token: Tensor, *known: Tensor) -> tuple[Tensor, ...]:
        x, newest = self.whole.word(token), []
        for layer, keys, values in zip(self.whole.layers, known[::2], known[1::2], strict=True):
            assert isinstance(layer, Layer)
            q, k, v = layer.parts(layer.norm1(x))
            newest += [k, v]
            x = layer.mixed(x, q, torch.cat([keys, k], 2), torch.cat([values, v], 2))
        return self.whole.head(self.whole.norm(x)), *newest
