"""Everyday torch networks of a few thousand weights, written as people write them, with batches and their time axis."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.models.images import ResNet, convnet

FEATURES, SYMBOLS, CLASSES = 8, 20, 5


# -- recurrent networks


class Tagger(nn.Module):
    """A recurrent network and a class for each frame."""

    def __init__(self, kind: Any = nn.LSTM, hidden: int = 16, layers: int = 2, both: bool = False) -> None:
        super().__init__()
        self.rnn = kind(FEATURES, hidden, layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(2 * hidden if both else hidden, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x)
        return self.head(y)


class VoiceActivity(nn.Module):
    """Convolutions over frames, an LSTM whose states are arguments and results, a probability for each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(FEATURES, 16, 3, padding=1), nn.ReLU(), nn.Conv1d(16, 16, 3, stride=2, padding=1), nn.ReLU()
        )
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.decoder = nn.Sequential(nn.Dropout(0.1), nn.ReLU(), nn.Conv1d(16, 1, 1), nn.Sigmoid())
        nn.init.normal_(self.decoder[2].weight, std=4.0)  # or all probabilities would be alike

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.rnn(self.encoder(x).transpose(1, 2), (h, c))
        return self.decoder(y.transpose(1, 2)), h, c


class Speaker(nn.Module):
    """The last hidden state as a vector of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, 16, 3, batch_first=True)
        self.linear = nn.Linear(16, 16)

    def forward(self, mels: Tensor) -> Tensor:
        _, (h, _) = self.lstm(mels)
        embedding = functional.relu(self.linear(h[-1]))
        return embedding / torch.norm(embedding, dim=1, keepdim=True)


# -- convolutions


class Residual(nn.Module):
    """One block with a projection in its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.shortcut = nn.Sequential(nn.Conv2d(3, 8, 1, 2, bias=False), nn.BatchNorm2d(8))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Functional(nn.Module):
    """Convolutions and a linear layer whose activations and pooling are functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(8 * 3 * 3, 16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.relu(self.conv2(x))
        x = torch.flatten(x, 1)
        return functional.softmax(self.fc2(functional.relu(self.fc1(x))), dim=1)


class FunctionalMLP(nn.Module):
    """Parameters of one's own and `functional.linear`."""

    def __init__(self) -> None:
        super().__init__()
        self.weight1 = nn.Parameter(torch.randn(16, FEATURES) / 3)
        self.bias1 = nn.Parameter(torch.randn(16) / 3)
        self.weight2 = nn.Parameter(torch.randn(CLASSES, 16) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(torch.tanh(functional.linear(x, self.weight1, self.bias1)), self.weight2)


def depthwise_separable() -> nn.Module:
    """Keyword spotting: a stem, two depthwise separable blocks, global pooling."""

    def block(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU6()]

    return nn.Sequential(
        *block(1, 12, 3, 2),
        *(part for _ in range(2) for part in (*block(12, 12, 3, groups=12), *block(12, 12, 1))),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(12, CLASSES),
    )


class SqueezeExcite(nn.Module):
    """Channels times a gate that the means of all channels decide."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.down, self.up = nn.Linear(12, 4), nn.Linear(4, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.conv(x))
        gate = torch.sigmoid(self.up(functional.relu(self.down(x.mean((2, 3))))))
        x = x * gate[:, :, None, None]
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Chomp(nn.Module):
    """Cut off what the padding on the right made."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.size].contiguous()


class TemporalBlock(nn.Module):
    """Two dilated causal convolutions and the input added."""

    def __init__(self, channels: int, dilation: int, chomps: bool) -> None:
        super().__init__()
        pad = 2 * dilation

        def conv() -> nn.Module:
            if chomps:
                return nn.Sequential(nn.Conv1d(channels, channels, 3, padding=pad, dilation=dilation), Chomp(pad))
            return nn.Sequential(nn.ConstantPad1d((pad, 0), 0.0), nn.Conv1d(channels, channels, 3, dilation=dilation))

        self.conv1, self.norm1 = conv(), nn.BatchNorm1d(channels)
        self.conv2, self.norm2 = conv(), nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(x + functional.relu(self.norm2(self.conv2(y))))


def temporal(chomps: bool) -> nn.Module:
    """A temporal convolutional network of three dilations."""
    blocks = [TemporalBlock(12, 2**i, chomps) for i in range(3)]
    return nn.Sequential(nn.Conv1d(FEATURES, 12, 1), *blocks, nn.Conv1d(12, CLASSES, 1))


class WaveStack(nn.Module):
    """Gated dilated causal convolutions whose skips are summed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(FEATURES, 12, 1)
        self.dilations = (1, 2, 4)
        self.filters = nn.ModuleList(nn.Conv1d(12, 24, 2, dilation=d) for d in self.dilations)
        self.skips = nn.ModuleList(nn.Conv1d(12, 12, 1) for _ in self.dilations)
        self.head = nn.Conv1d(12, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        total: Any = 0
        for dilation, both, skip in zip(self.dilations, self.filters, self.skips, strict=True):
            a, b = both(functional.pad(x, (dilation, 0))).chunk(2, dim=1)
            y = skip(torch.tanh(a) * torch.sigmoid(b))
            total = total + y
            x = x + y
        return self.head(functional.relu(total))


def centred_convolutions() -> nn.Module:
    """Each frame is seen with three later ones."""
    return nn.Sequential(
        nn.Conv1d(FEATURES, 12, 5, padding=2),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Conv1d(12, CLASSES, 3, padding=1),
    )


def plain_convolutions() -> nn.Module:
    """Without padding: fewer frames come out."""
    return nn.Sequential(nn.Conv1d(FEATURES, 12, 3), nn.ReLU(), nn.Conv1d(12, CLASSES, 3))


def pooled_over_time() -> nn.Module:
    """A frame for each two."""
    return nn.Sequential(nn.Conv1d(FEATURES, 12, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(12, CLASSES, 1))


def group_normed() -> nn.Module:
    """A picture network with group norm and PReLU."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.PReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.GroupNorm(4, 8),
        nn.PReLU(),
        nn.Flatten(),
        nn.Linear(8 * 4 * 4, CLASSES),
    )


# -- transformers


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


# -- inputs and outputs


class TwoInputs(nn.Module):
    """Words and, for each, some numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.symbol, self.numbers = nn.Embedding(SYMBOLS, 8), nn.Linear(FEATURES, 8)
        self.rnn, self.head = nn.GRU(16, 16, batch_first=True), nn.Linear(16, CLASSES)

    def forward(self, words: Tensor, numbers: Tensor) -> Tensor:
        both = torch.cat([self.symbol(words), self.numbers(numbers)], -1)
        return self.head(self.rnn(both)[0])


class TwoOutputs(nn.Module):
    """A class for each frame, and where it lies."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, 16, batch_first=True)
        self.classes, self.place = nn.Linear(16, CLASSES), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Any:
        y = self.rnn(x)[0]
        return self.classes(y), torch.tanh(self.place(y))


@dataclass
class Found:
    """Results by name."""

    logits: Tensor
    hidden: Tensor


torch.export.register_dataclass(Found)


class NamedOutputs(TwoOutputs):
    """Results in a class of one's own."""

    def forward(self, x: Tensor) -> Found:
        return Found(*super().forward(x))


class MeanOfWords(nn.Module):
    """Embeddings, their mean over the sentence, and probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, 16)
        self.hidden, self.head = nn.Linear(16, 16), nn.Linear(16, CLASSES)

    def forward(self, symbols: Tensor) -> Tensor:
        x = self.symbol(symbols).mean(dim=1)
        return torch.softmax(self.head(functional.relu(self.hidden(x))), dim=-1)


class TiedLanguageModel(nn.Module):
    """The table of symbols is the weight of the result."""

    def __init__(self) -> None:
        super().__init__()
        self.symbol = nn.Embedding(SYMBOLS, 16)
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.head = nn.Linear(16, SYMBOLS, bias=False)
        self.head.weight = self.symbol.weight

    def forward(self, symbols: Tensor) -> Tensor:
        return self.head(self.rnn(self.symbol(symbols))[0])


# -- the table


Draw = Callable[[int, int], Any]
"""A batch of so many rows and frames."""


@dataclass(frozen=True)
class Network:
    """A network, its batches, and what is expected of its Program.

    time: axis that `pack` finds; streams: whether it runs as a stream; rate, late: input frames for one of the result,
    and frames that it waits for; longest: frames of its table of positions; rows: of a batch; weights: spec; context:
    frames that causal attention sees.
    """

    build: Callable[[], nn.Module]
    draw: Draw
    time: int | None = None
    streams: bool = False
    rate: int = 1
    late: int = 0
    longest: int | None = None
    rows: int = 8
    weights: Any = "int8"
    context: int | None = None
    frames: int = 16

    def model(self) -> nn.Module:
        """The network with the same weights each time, as if it was trained: no norm is without effect."""
        torch.manual_seed(1)
        model = self.build().eval()
        with torch.no_grad():
            for module in model.modules():
                weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
                is_norm = "Norm" in type(module).__name__
                if is_norm and isinstance(weight, Tensor):
                    weight.copy_(torch.rand_like(weight) + 0.5)
                if is_norm and isinstance(bias, Tensor):
                    bias.copy_(0.3 * torch.randn_like(bias))
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.running_mean.copy_(0.3 * torch.randn(module.num_features))
                    module.running_var.copy_(torch.rand(module.num_features) + 0.5)
                    module.weight.mul_(torch.where(torch.rand(module.num_features) < 0.2, -1.0, 1.0))
        return model

    def batches(self, count: int = 3, frames: int | None = None, seed: int = 0) -> list[Any]:
        """Batches; the same seed gives the same ones."""
        torch.manual_seed(100 + seed)
        return [self.draw(self.rows, frames or self.frames) for _ in range(count)]


def frames_first(rows: int, frames: int) -> Tensor:
    return torch.randn(rows, frames, FEATURES)


def channels_first(rows: int, frames: int) -> Tensor:
    return torch.randn(rows, FEATURES, frames)


def symbols(rows: int, frames: int) -> Tensor:
    return torch.randint(0, SYMBOLS, (rows, frames))


def features(rows: int, frames: int) -> Tensor:
    return torch.randn(rows, FEATURES)


def pictures(channels: int, height: int, width: int, rows: int, frames: int) -> Tensor:
    return torch.randn(rows, channels, height, width)


def with_states(rows: int, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    return channels_first(1, frames), torch.zeros(1, 1, 16), torch.zeros(1, 1, 16)


def words_and_numbers(rows: int, frames: int) -> dict[str, Tensor]:
    return {"words": symbols(rows, frames), "numbers": frames_first(rows, frames)}


LAST_INT8 = {"head": "int8", "*": "ternary"}

NETWORKS: dict[str, Network] = {
    # The nine that everybody writes first.
    "lstm tagger": Network(Tagger, frames_first, 1, True, weights=LAST_INT8),
    "gru tagger": Network(partial(Tagger, nn.GRU), frames_first, 1, True),
    "residual block": Network(Residual, partial(pictures, 3, 8, 8)),
    "functional network": Network(Functional, partial(pictures, 1, 8, 8)),
    "conv1d": Network(plain_convolutions, channels_first, 2, True, late=4),
    "conv2d and pooling": Network(partial(convnet, 1, 4, CLASSES, 8), partial(pictures, 1, 8, 8)),
    "encoder, norm first": Network(partial(Encoder, True, "gelu"), frames_first, 1),
    "encoder, norm last": Network(partial(Encoder, False, "relu"), frames_first, 1),
    "gelu mlp": Network(gelu_mlp, features),
    "functional mlp": Network(FunctionalMLP, features, weights="ternary"),
    # Others of every day.
    "resnet-20": Network(partial(ResNet, 10, width=0.25), partial(pictures, 3, 32, 32), rows=4),
    "depthwise separable": Network(depthwise_separable, partial(pictures, 1, 12, 10), weights={"*": "int4:row"}),
    "squeeze and excite": Network(SqueezeExcite, partial(pictures, 3, 6, 6)),
    "tcn, padded before": Network(partial(temporal, False), channels_first, 2, True),
    "tcn, cut behind": Network(partial(temporal, True), channels_first, 2, True, weights="ternary"),
    "gated causal stack": Network(WaveStack, channels_first, 2, True),
    "centred conv1d": Network(centred_convolutions, channels_first, 2, True, late=3),
    "pooled over time": Network(pooled_over_time, channels_first, 2, True, rate=2, late=2),
    "voice activity": Network(VoiceActivity, with_states, 2, True, rate=2, late=2, rows=1),
    "speaker": Network(Speaker, frames_first, 1, True),
    "gpt, module": Network(partial(GPT, "module"), symbols, 1, True, longest=32, context=32),
    "gpt, function": Network(partial(GPT, "function"), symbols, 1, True, longest=32, context=32),
    "gpt, by hand": Network(partial(GPT, "hand"), symbols, 1, True, longest=32, context=32),
    "llama": Network(partial(Llama, RMSNorm), symbols, 1, True, context=32),
    "llama, nn.RMSNorm": Network(partial(Llama, nn.RMSNorm), symbols, 1, True, context=32),
    "conformer": Network(Conformer, frames_first, 1),
    "bidirectional lstm": Network(partial(Tagger, nn.LSTM, 8, 2, True), frames_first, 1),
    "bert": Network(Bert, symbols, 1, longest=24),
    "vit": Network(ViT, partial(pictures, 3, 8, 8)),
    "group norm": Network(group_normed, partial(pictures, 3, 8, 8)),
    "two inputs": Network(TwoInputs, words_and_numbers, 1, True),
    "two outputs": Network(TwoOutputs, frames_first, 1, True),
    "named outputs": Network(NamedOutputs, frames_first, 1, True),
    "mean of words": Network(MeanOfWords, symbols, 1, True),
    "tied language model": Network(TiedLanguageModel, symbols, 1, True),
}
