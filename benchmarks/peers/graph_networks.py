"""Networks of everyday shapes for `graph_peers.py`, with random weights: their time does not depend on what they know.

A network has two forms with the same weights. `model` takes whole examples; from it fewbit makes its Program. `call` is
what peers get, one call of it: for a stream it takes the states as further arguments and returns what becomes of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers.graph_transformers import Bert, Decoder, DecoderStep
from fewbit.models.images import ResNet
from studies.networks.silero import SileroVAD

CALIBRATION, CALLS = 8, 8
WINDOW = 256  # tokens that the decoder sees, the newest among them
CHUNKS = 64  # of each recording to calibrate with


@dataclass(frozen=True, eq=False)
class GraphNetwork:
    """A network in both forms, and what goes in.

    batches: to calibrate with, for `model`. inputs: of `CALLS` calls, one after the other. time: of `model`, or None.
    states: at the first call. ring: each state is a window into which its result goes in place of the oldest; else the
    result is the new state. lead: what a stream is fed before the first call, so that it is in those states.
    """

    model: nn.Module
    call: nn.Module
    batches: list[Tensor]
    inputs: list[Tensor]
    time: int | None = None
    states: list[Tensor] = field(default_factory=list)
    ring: bool = False
    lead: Tensor | None = None


def ds_cnn(channels: int = 64, blocks: int = 4, classes: int = 12) -> nn.Sequential:
    """The depthwise separable network of Zhang, Suda, Lai, Chandra 2017 (arXiv 1711.07128), small, for 49 x 10."""

    def normed(convolution: nn.Conv2d) -> list[nn.Module]:
        return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]

    parts = normed(nn.Conv2d(1, channels, (10, 4), 2, (5, 1), bias=False))
    for _ in range(blocks):
        parts += normed(nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False))
        parts += normed(nn.Conv2d(channels, channels, 1, bias=False))
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class SileroStep(nn.Module):
    """One chunk ``(1, 1, 576)`` with the states of the LSTM; the weights are those of the network given."""

    def __init__(self, whole: SileroVAD) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, chunk: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        net = self.whole
        x = net.stft(functional.pad(chunk, (0, 64), mode="reflect"))
        x = torch.sqrt(x[:, :129] ** 2 + x[:, 129:] ** 2)
        for conv in (net.conv1, net.conv2, net.conv3, net.conv4):
            x = functional.relu(conv(x))
        y, (hidden, cell) = net.lstm(x.reshape(1, 1, 128), (hidden, cell))
        return torch.sigmoid(net.head(functional.relu(y).transpose(1, 2))).squeeze(1), hidden, cell


@torch.no_grad()
def pictures(model: nn.Module, *shape: int) -> GraphNetwork:
    """A network for pictures; batch normalisation gets its statistics from noise like that it is calibrated with."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
    model.train()
    model(torch.randn(64, *shape))
    model.eval()
    return GraphNetwork(
        model,
        model,
        [torch.randn(1, *shape) for _ in range(CALIBRATION)],
        [torch.randn(1, *shape) for _ in range(CALLS)],
    )


def encoder(tokens: int) -> GraphNetwork:
    model = Bert().eval()

    def text() -> Tensor:
        return torch.randint(0, model.vocabulary, (1, tokens))

    return GraphNetwork(model, model, [text() for _ in range(CALIBRATION)], [text() for _ in range(CALLS)], time=1)


@torch.no_grad()
def decoder() -> GraphNetwork:
    model = Decoder().eval()
    texts = torch.randint(0, model.vocabulary, (CALIBRATION + 1, WINDOW))
    lead = texts[:1, : WINDOW - 1]
    return GraphNetwork(
        model,
        DecoderStep(model).eval(),
        list(texts[1:].chunk(CALIBRATION)),
        [torch.randint(0, model.vocabulary, (1, 1)) for _ in range(CALLS)],
        1,
        model.keys_and_values(lead),
        ring=True,
        lead=lead,
    )


def silero() -> GraphNetwork:
    model = SileroVAD().eval()

    def sound(chunks: int) -> Tensor:
        return 0.3 * torch.randn(1, chunks, 576) * torch.rand(1, chunks, 1)

    states = [torch.zeros(1, 1, 128) for _ in range(2)]
    batches = [sound(CHUNKS) for _ in range(CALIBRATION)]
    return GraphNetwork(model, SileroStep(model).eval(), batches, list(sound(CALLS).chunk(CALLS, 1)), 1, states)


NETWORKS: dict[str, Callable[[], GraphNetwork]] = {
    "resnet20": lambda: pictures(ResNet(10), 3, 32, 32),
    "dscnn": lambda: pictures(ds_cnn(), 1, 49, 10),
    "bert16": lambda: encoder(16),
    "bert128": lambda: encoder(128),
    "decoder": decoder,
    "silero": silero,
}
"""ResNet-20, 32 x 32; DS-CNN for keywords; MiniLM's encoder at 16 and 128 tokens; a decoder of its size, token by
token, with a window of 256; Silero VAD, chunk by chunk."""


def build(name: str) -> GraphNetwork:
    """The network of a name, always the same."""
    torch.manual_seed(0)
    return NETWORKS[name]()
