"""Everyday torch networks of a few thousand weights, written as people write them, with batches and their time axis."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.models.decoder import Decoder
from fewbit.models.encoder import Encoder as OurEncoder
from fewbit.models.images import ResNet, convnet
from tests.lower.everyday_convolutions import (
    Functional,
    FunctionalMLP,
    Residual,
    SqueezeExcite,
    WaveStack,
    centred_convolutions,
    depthwise_separable,
    group_normed,
    plain_convolutions,
    pooled_over_time,
    temporal,
)
from tests.lower.everyday_ports import MeanOfWords, NamedOutputs, TiedLanguageModel, TwoInputs, TwoOutputs
from tests.lower.everyday_recurrent import CLASSES, FEATURES, Speaker, Tagger, VoiceActivity
from tests.lower.everyday_transformers import GPT, SYMBOLS, Bert, Conformer, Encoder, Llama, RMSNorm, ViT, gelu_mlp

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
    "decoder, gpt": Network(
        partial(Decoder, SYMBOLS, 16, 2, 2, context=32), symbols, 1, True, longest=32, context=32, weights="ternary"
    ),
    "decoder, llama": Network(
        partial(Decoder, SYMBOLS, 16, 4, 2, style="llama", key_heads=2, window=5), symbols, 1, True
    ),
    "encoder, pooled": Network(
        partial(OurEncoder, SYMBOLS, CLASSES, 16, 2, 2, pooled=True, context=24), symbols, 1, longest=24
    ),
    "encoder, features": Network(
        partial(OurEncoder, FEATURES, CLASSES, 16, 2, 2, symbols=False, style="llama"), frames_first, 1
    ),
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
