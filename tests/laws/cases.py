"""The table of everything that obeys a law: one row buys a newcomer all tests of its kind."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fewbit import nn as layers
from fewbit.distill import SPEQ, LayerIntervention, LogitKD, SoftLabels, TeacherIntervention, TokenScaledKD
from fewbit.distill.teacher_intervention import MODES
from fewbit.models import Decoder
from fewbit.passes import SQWA, Finetune, OnlineFinetune, PruneUnits, Quantize, compress, gradual
from fewbit.prune import GatePenalty, add_gates, structure_of
from fewbit.quant import Quantizer, activation_quantizer, weight_quantizer
from fewbit.train import (
    CTC,
    CrossEntropy,
    CTCBatch,
    GuidedCTC,
    LabelledFrames,
    SymmetricSGD,
    UtteranceStreams,
    constant,
    linear,
)

QUANTIZERS: dict[str, Callable[[], Quantizer]] = {
    spec: (lambda spec=spec: weight_quantizer(spec))
    for spec in (
        *("ternary", "binary", "int2", "int3", "int4", "int8", "int4:row", "ternary:row", "int4/3", "binary/5"),
        *("ternary+adaptive", "int4/3+adaptive", "ternary:row+adaptive"),
        *("ternary+learned", "int4:row+learned", "int4/3+learned"),
        *("ternary+twn", "ternary:row+twn", "ternary/5+twn"),
        *("sparse8,2", "sparse4,1:row", "sparse4,3", "sparse8,2+norm"),
    )
} | {
    f"signal {spec}": (lambda spec=spec: activation_quantizer(spec))
    for spec in ("int4", "int8", "uint8", "ternary", "q3.12", "q1.6", "int8:token", "uint2+learned")
}

FEATURES = 6


def delays() -> layers.Graph:
    """Delays of more than one frame, in a loop and outside, on edges of every kind."""
    nodes = (
        layers.Node("x", FEATURES, "input"),
        layers.Node("one", 1, "constant"),
        layers.Node("window", 4),
        layers.Node("gate", 1, activation="sigmoid"),
        layers.Node("kept", 4, "product"),
        layers.Node("y", 4, activation="tanh"),
    )
    edges = (
        layers.Edge("x", "window"),
        layers.Edge("x", "window", delay=3),
        layers.Edge("one", "window"),
        layers.Edge("y", "gate", delay=2, stop=2),
        layers.Edge("gate", "kept", "broadcast"),
        layers.Edge("y", "kept", "identity", delay=3),
        layers.Edge("window", "y", "identity", delay=1),
        layers.Edge("kept", "y", "identity"),
    )
    return layers.Graph(nodes, edges, "y")


LAYERS: dict[str, Callable[[], layers.Layer]] = {
    "SRU": lambda: layers.SRU(FEATURES, FEATURES),
    "SRU projected": lambda: layers.SRU(FEATURES, 5),
    "QRNN": lambda: layers.QRNN(FEATURES, 5),
    "QRNN kernel 1": lambda: layers.QRNN(FEATURES, 5, kernel=1),
    "LSTM": lambda: layers.LSTM(FEATURES, 5),
    "GRU": lambda: layers.GRU(FEATURES, 5),
    "GraphRNN LSTM": lambda: layers.GraphRNN(layers.lstm_graph(FEATURES, 5)),
    "GraphRNN peepholes": lambda: layers.GraphRNN(layers.lstm_graph(FEATURES, 5, peepholes=True)),
    "GraphRNN GRU": lambda: layers.GraphRNN(layers.gru_graph(FEATURES, 5)),
    "GraphRNN SRU": lambda: layers.GraphRNN(layers.sru_graph(FEATURES, 5)),
    "GraphRNN clocked": lambda: layers.GraphRNN(layers.clocked_lstm_graph(FEATURES - 1, 5)),
    "HLSTM": lambda: layers.HLSTM(FEATURES, 5, (1,)),
    "HLSTM direct": lambda: layers.HLSTM(FEATURES, 5, (0, 2), words=1, direct=True),
    "GraphRNN hierarchical": lambda: layers.GraphRNN(layers.hierarchical_lstm_graph(FEATURES - 1, 5)),
    "GraphRNN delays": lambda: layers.GraphRNN(delays()),
    "CausalConv1d": lambda: layers.CausalConv1d(FEATURES, 4, kernel=3),
    "CausalConv1d stride": lambda: layers.CausalConv1d(FEATURES, 4, kernel=5, stride=3),
    "CausalConv1d kernel 1": lambda: layers.CausalConv1d(FEATURES, 4, kernel=1),
    "AllAttention": lambda: layers.AllAttention(FEATURES, 2, span=4, slots=3),
    "AllAttention long span": lambda: layers.AllAttention(FEATURES, 3, span=9, slots=1, head_size=4, dropout=0.2),
    "Chain MacroBlockDropout": lambda: layers.Chain(
        layers.SRU(FEATURES, 8), layers.MacroBlockDropout(0.4), layers.QRNN(8, 5), layers.MacroBlockDropout(0.2, 5)
    ),
    "Chain": lambda: layers.Chain(
        layers.Normalize(FEATURES),
        layers.CausalConv1d(FEATURES, 8, 4, 2),
        layers.BatchNorm(8),
        nn.ReLU(),
        layers.SRU(8, 8),
        layers.Signal(),
        layers.Chain(layers.GRU(8, 5), nn.Linear(5, 3)),
    ),
}


def labelled() -> tuple[Tensor, Tensor]:
    """A batch of frames with a class for each."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 10, FEATURES, generator=generator), torch.randint(0, 4, (3, 10), generator=generator)


def softly_labelled() -> tuple[Tensor, Tensor]:
    """A batch of frames with a distribution for each, but for the first, which has none."""
    x, _ = labelled()
    q = torch.softmax(torch.randn(3, 10, 4, generator=torch.Generator().manual_seed(1)), -1)
    q[:, 0] = 0
    return x, q


def unaligned() -> CTCBatch:
    """A batch of frames with labels at unknown places."""
    x, frames = labelled()
    return CTCBatch(x, torch.tensor([10, 9, 10]), torch.tensor([1, 2, 3, 3]), torch.tensor([2, 1, 1]), frames)


def classifier(seed: int = 0) -> layers.Chain:
    """A small network for the batches above."""
    torch.manual_seed(seed)
    return layers.Chain(layers.SRU(FEATURES, 8), nn.Linear(8, 4))


def teacher() -> layers.Chain:
    """A network in training mode for the batches above, with what behaves differently there."""
    torch.manual_seed(1)
    return layers.Chain(layers.SRU(FEATURES, 8), layers.BatchNorm(8), nn.Dropout(0.5), nn.Linear(8, 4)).train()


def as_it_is(model: nn.Module) -> nn.Module:
    return model


def coarse_signals(model: nn.Module) -> nn.Module:
    """With signals of so few bits that there is something to draw."""
    return Quantize("ternary", "int2", calibration=[labelled()])(model)


class ObjectiveCase(NamedTuple):
    """An objective, its batch, the networks that it must leave alone, and what it wants done to the model first."""

    objective: Any
    batch: Any
    others: list[nn.Module]
    prepare: Callable[[nn.Module], nn.Module] = as_it_is


def distilled(batch: Any, kind: Callable[..., Any] = LogitKD, **arguments: Any) -> ObjectiveCase:
    master = teacher()
    return ObjectiveCase(kind(master, **arguments), batch, [master])


def intervened(order: Any) -> ObjectiveCase:
    """A network with attention learns from another one, which has dropout."""
    torch.manual_seed(1)
    master, student = Decoder(5, 8, 2, 2, dropout=0.5), Decoder(5, 8, 2, 2)
    text = torch.randint(0, 5, (3, 9))
    objective = TeacherIntervention(master, share=1.0, order=order)
    return ObjectiveCase(objective, (text[:, :-1], text[:, 1:]), [master], lambda _: student)


class LastOnly(nn.Module):
    """Of what an `nn.LSTM` gives its outputs, without the state."""

    def forward(self, given: tuple[Tensor, Any]) -> Tensor:
        return given[0]


def intervened_layers() -> ObjectiveCase:
    """A recurrent network learns from another one, which has dropout."""
    torch.manual_seed(1)
    master = nn.Sequential(nn.LSTM(FEATURES, 6, 2, dropout=0.5, batch_first=True), LastOnly(), nn.Linear(6, 4))
    student = nn.Sequential(nn.LSTM(FEATURES, 6, 2, batch_first=True), LastOnly(), nn.Linear(6, 4))
    return ObjectiveCase(LayerIntervention(master, share=1.0), labelled(), [master], lambda _: student)


def gated() -> ObjectiveCase:
    """A network with attention has gates on its heads."""
    torch.manual_seed(1)
    model, text = Decoder(5, 8, 2, 2), torch.randint(0, 5, (3, 9))
    add_gates(model, [each for each in structure_of(model, text).groups.values() if each.elements.kind == "heads"])
    return ObjectiveCase(GatePenalty(CrossEntropy()), (text[:, :-1], text[:, 1:]), [], lambda _: model)


OBJECTIVES: dict[str, Callable[[], ObjectiveCase]] = {
    "CrossEntropy": lambda: ObjectiveCase(CrossEntropy(), labelled(), []),
    "CTC": lambda: ObjectiveCase(CTC(), unaligned(), []),
    "GuidedCTC": lambda: ObjectiveCase(GuidedCTC(linear(1.0, 0.0)), unaligned(), []),
    "LogitKD": lambda: distilled(labelled()),
    "LogitKD decaying": lambda: distilled(labelled(), weight=linear(1.0, 0.0), temperature=2.0),
    "LogitKD soft only": lambda: distilled(labelled(), weight=constant(1.0)),
    "SPEQ": lambda: ObjectiveCase(SPEQ(), labelled(), [], coarse_signals),
    "LogitKD on CTC": lambda: distilled(unaligned(), hard=CTC()),
    "TokenScaledKD": lambda: distilled(labelled(), TokenScaledKD),
    "TokenScaledKD soft only": lambda: distilled(
        labelled(), TokenScaledKD, hard_weight=0.0, score="entropy", top=2, clip=0.9, weight=linear(1.0, 0.5)
    ),
    "TokenScaledKD on CTC": lambda: distilled(unaligned(), TokenScaledKD, score="entropy", hard=CTC()),
    **{f"TeacherIntervention {order}": (lambda order=order: intervened(order)) for order in (*MODES, "stochastic")},
    "LayerIntervention": intervened_layers,
    "GatePenalty": gated,
    "SoftLabels": lambda: ObjectiveCase(SoftLabels(), softly_labelled(), []),
}


class InTurn:
    """Passes that belong together, as one."""

    def __init__(self, *passes: Any) -> None:
        self.passes = passes

    def __call__(self, model: nn.Module) -> nn.Module:
        return compress(model, *self.passes, copy=False)


def loader() -> Any:
    x, y = labelled()
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=3)


def utterances() -> UtteranceStreams:
    random = torch.Generator().manual_seed(0)
    said = [LabelledFrames(torch.randn(9, FEATURES, generator=random), (1, 2)) for _ in range(6)]
    return UtteranceStreams(said, streams=2)


PASSES: dict[str, Callable[[], Any]] = {
    "Quantize weights": lambda: Quantize(weights="ternary"),
    "Quantize both": lambda: Quantize(weights={"1": "int8", "*": "int4/3"}, activations="int8", calibration=loader()),
    "Finetune": lambda: Finetune(loader(), CrossEntropy(), epochs=2, progress=False),
    "Finetune symmetric": lambda: Finetune(
        loader(), CrossEntropy(), epochs=2, optimizer=SymmetricSGD, clip_norm=math.inf, progress=False
    ),
    "gradual": lambda: InTurn(*gradual(["int4", "ternary"], Finetune(loader(), CrossEntropy(), 2, progress=False))),
    "SQWA": lambda: InTurn(
        Quantize(weights="ternary+adaptive"), SQWA(loader(), CrossEntropy(), 1, 1, cycles=3, progress=False)
    ),
    "OnlineFinetune": lambda: InTurn(
        Quantize(weights="ternary"), OnlineFinetune(utterances(), updates=4, window=4, progress=False)
    ),
    "PruneUnits": lambda: PruneUnits(0.5, labelled()[0]),
    "PruneUnits masked": lambda: PruneUnits(0.5, labelled()[0], cut=False),
    "SQWA mean": lambda: InTurn(
        Quantize(weights="ternary"), SQWA(loader(), CrossEntropy(), 1, 0, cycles=3, average=True, progress=False)
    ),
}

PROGRAMS: dict[str, Callable[[], nn.Module]] = {
    "SRU": lambda: layers.SRU(12, 12),
    "SRU projected": lambda: layers.SRU(12, 16),
    "QRNN": lambda: layers.QRNN(12, 16),
    "LSTM": lambda: layers.LSTM(12, 16),
    "GRU": lambda: layers.GRU(12, 16),
    "two layers": lambda: layers.Chain(layers.LSTM(12, 16), layers.SRU(16, 16)),
    "GraphRNN LSTM": lambda: layers.GraphRNN(layers.lstm_graph(12, 16)),
    "GraphRNN GRU": lambda: layers.GraphRNN(layers.gru_graph(12, 16)),
    "GraphRNN SRU": lambda: layers.GraphRNN(layers.sru_graph(12, 16)),
    "HLSTM": lambda: layers.HLSTM(12, 8, (0, 11)),
    "HLSTM direct": lambda: layers.HLSTM(12, 8, (3,), words=3, direct=True),
}
