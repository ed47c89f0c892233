"""Everyday networks with attention."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.lower.everyday_recurrent import CLASSES, FEATURES

SYMBOLS = 20


class Encoder(nn.Module):
    """`nn.TransformerEncoder`, as torch has it."""

    def __init__(self, norm_first: bool, activation: str) -> None:
        super().__init__()
        self.inner = nn.Linear(FEATURES, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, activation, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.inner(x)))


class Attention(nn.Module):
    """Causal attention, written in one of three ways."""

    def __init__(self, width: int, heads: int, way: str) -> None:
        super().__init__()
        self.heads, self.way = heads, way
        if way == "module":
            self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        else:
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        _, length, width = x.shape
        if self.way == "module":
            mask = torch.triu(torch.full((length, length), float("-inf")), 1)
            return self.attention(x, x, x, attn_mask=mask, need_weights=False, is_causal=True)[0]
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        if self.way == "function":
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(width // self.heads))
            hidden = torch.tril(torch.ones(length, length))[None, None] == 0
            y = functional.softmax(scores.masked_fill(hidden, float("-inf")), dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(x.shape))


class Block(nn.Module):
    """Attention and two linear layers, with a norm before each."""

    def __init__(self, width: int, heads: int, way: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, way)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.feed(self.norm2(x))


class GPT(nn.Module):
    """A causal character model with learned positions."""

    def __init__(self, way: str, width: int = 16, places: int = 32, symbols: int = SYMBOLS, blocks: int = 2) -> None:
        super().__init__()
        self.symbol, self.place = nn.Embedding(symbols, width), nn.Embedding(places, width)
        self.blocks = nn.ModuleList(Block(width, 2, way) for _ in range(blocks))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols, bias=False)

    def forward(self, symbols: Tensor) -> Tensor:
        x = self.symbol(symbols) + self.place(torch.arange(symbols.shape[1], device=symbols.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class RMSNorm(nn.Module):
    """As it stands in many repositories."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def rotated(x: Tensor) -> Tensor:
    """Rotary positions."""
    length, width = x.shape[-2:]
    angles = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.cat([angles, angles], -1)
    first, second = x.chunk(2, -1)
    return x * angles.cos() + torch.cat([-second, first], -1) * angles.sin()


class Llama(nn.Module):
    """Rotary positions, grouped queries, gated feed-forward layers."""

    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        width, self.heads, self.groups = 16, 4, 2
        self.symbol = nn.Embedding(SYMBOLS, width)
        self.norm1, self.norm2, self.norm3 = norm(width), norm(width), norm(width)
        self.q, self.k, self.v = (nn.Linear(width, n, bias=False) for n in (width, width // 2, width // 2))
        self.out = nn.Linear(width, width, bias=False)
        self.gate, self.up = nn.Linear(width, 32, bias=False), nn.Linear(width, 32, bias=False)
        self.down, self.head = nn.Linear(32, width, bias=False), nn.Linear(width, SYMBOLS, bias=False)

    def forward(self, symbols: Tensor) -> Tensor:
        x = self.symbol(symbols)
        y = self.norm1(x)
        batch, length, _ = y.shape
        q, k, v = (layer(y).view(batch, length, -1, 4).transpose(1, 2) for layer in (self.q, self.k, self.v))
        q, k = rotated(q), rotated(k)
        k, v = (part.repeat_interleave(self.heads // self.groups, 1) for part in (k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, -1))
        y = self.norm2(x)
        x = x + self.down(functional.silu(self.gate(y)) * self.up(y))
        return self.head(self.norm3(x))


class Conformer(nn.Module):
    """Attention over the whole sentence, and a causal depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        width, self.kernel = 16, 5
        self.inner = nn.Linear(FEATURES, width)

        def feed() -> nn.Module:
            return nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 32), nn.SiLU(), nn.Dropout(0.1), nn.Linear(32, width)
            )

        self.feed1, self.feed2 = feed(), feed()
        self.norm1, self.attention = nn.LayerNorm(width), nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm2, self.wide, self.glu = nn.LayerNorm(width), nn.Conv1d(width, 2 * width, 1), nn.GLU(1)
        self.depthwise, self.norm3 = nn.Conv1d(width, width, self.kernel, groups=width), nn.BatchNorm1d(width)
        self.narrow = nn.Conv1d(width, width, 1)
        self.norm4, self.head = nn.LayerNorm(width), nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        x = x + 0.5 * self.feed1(x)
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        y = self.glu(self.wide(self.norm2(x).transpose(1, 2)))
        y = self.depthwise(functional.pad(y, (self.kernel - 1, 0)))
        x = x + self.narrow(functional.silu(self.norm3(y))).transpose(1, 2)
        return self.head(self.norm4(x + 0.5 * self.feed2(x)))


class Bert(nn.Module):
    """Symbols, learned positions and a norm; attention over the whole sentence; the first place says the class."""

    def __init__(self) -> None:
        super().__init__()
        self.symbol, self.place = nn.Embedding(SYMBOLS, 16), nn.Embedding(24, 16)
        self.register_buffer("places", torch.arange(24)[None], persistent=False)
        self.norm = nn.LayerNorm(16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.pooler, self.head = nn.Linear(16, 16), nn.Linear(16, CLASSES)

    def forward(self, symbols: Tensor) -> Tensor:
        places = self.places[:, : symbols.shape[1]]
        x = self.encoder(self.norm(self.symbol(symbols) + self.place(places)))
        return self.head(torch.tanh(self.pooler(x[:, 0])))


class ViT(nn.Module):
    """Patches of a picture, a class token and learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 5, 16) / 4)
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        return self.head(self.norm(self.encoder(x))[:, 0])


def gelu_mlp() -> nn.Module:
    """Linear layers, layer norms and GELU."""
    return nn.Sequential(
        nn.Linear(FEATURES, 24), nn.LayerNorm(24), nn.GELU(), nn.Linear(24, 24), nn.LayerNorm(24), nn.GELU(),
        nn.Linear(24, CLASSES),
    )  # fmt: skip
