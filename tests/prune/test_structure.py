"""What belongs together is read from the graph, and is said in words."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit import models
from fewbit.errors import PruningError
from fewbit.prune import structure_of


def said(model, example):
    return str(structure_of(model.eval(), example)).splitlines()


def test_channels_go_with_their_norm_and_with_the_columns_that_read_them():
    assert said(models.convnet(1, 4, 10, 16), torch.zeros(1, 1, 16, 16)) == [
        "0: 4 channels, each goes with 0 out, 1, 4 in",
        "4: 4 channels, each goes with 4 out, 5, 8 in",
        "8: 8 channels, each goes with 8 out, 9, 13 in x4",  # 2 x 2 places are flattened
        "13: 8 channels, each goes with 13 out, 15 in",
        "15: kept, it is a result of the network",
    ]


def test_channels_that_shortcuts_add_are_one_group_and_padded_ones_another():
    found = structure_of(models.ResNet(10, 1, 0.25).eval(), torch.zeros(1, 3, 32, 32)).groups
    assert {name: group.elements.size for name, group in found.items()} == {
        "conv": 4,
        "block00.conv1": 4,
        "block10.conv1": 8,
        "block10.conv2": 4,  # the other 4 of its channels are those of conv
        "block20.conv1": 16,
        "block20.conv2": 8,
    }
    assert "block10.conv2 out" in found["conv"].members


def test_units_go_with_every_gate_and_both_directions():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True)
            self.head = nn.Linear(10, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x)[0])

    assert said(Tagger(), torch.zeros(1, 7, 4)) == [
        "rnn: 5 units, each goes with rnn out x4 and in and in x2, head in x2",
        "head: kept, it is a result of the network",
    ]


def test_a_skip_without_a_projection_ties_all_layers():
    found = structure_of(models.SpeechRNN(8, 12, 2, 5).eval(), torch.zeros(1, 20, 8))
    assert list(found.groups) == ["conv"]
    assert found.groups["conv"].elements.kind == "units"


def test_what_cannot_be_pruned_is_named_with_the_reason():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    found = structure_of(layer.eval(), torch.zeros(1, 5, 8))
    assert list(found.groups) == ["self_attn", "linear1"]
    assert found.refused == {
        "self_attn.out_proj": "it is tied to the input of the network",
        "linear2": "it is tied to what norm1 (LayerNorm) gives",
    }


class Excite(nn.Module):
    """A gate, a join, groups of maps and a parameter for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.narrow, self.wide = nn.Linear(8, 4), nn.Linear(4, 8)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.mix = nn.Conv2d(16, 6, 1)
        self.gain = nn.Parameter(torch.randn(1, 6, 1, 1))
        self.head = nn.Linear(6 * 16, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first(x))
        y = y * torch.sigmoid(self.wide(functional.relu(self.narrow(y.mean((2, 3))))))[:, :, None, None]
        return self.head((self.mix(torch.cat([self.grouped(y), y], 1)) * self.gain).flatten(1))


def test_gates_joins_groups_and_gains_are_found():
    assert said(Excite(), torch.zeros(1, 3, 4, 4)) == [
        "mix: 6 channels, each goes with the network out, mix out, head in x16",
        "first: 4 channels, each goes with first out x2, wide out x2, narrow in x2, grouped in, mix in x2",
        "narrow: 4 channels, each goes with narrow out, wide in",
        "grouped: 4 channels, each goes with grouped out x2, mix in x2",
        "head: kept, it is a result of the network",
    ]


class Fixed(nn.Module):
    """A constant of the code for each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x) * torch.tensor([1.0, 2.0, 3.0, 4.0]))


class MeanOfChannels(Fixed):
    """One number of several channels."""

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x) - self.a(x).mean(-1, keepdim=True))


class Tied(nn.Module):
    """An embedding that is the last layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.table(x)))


@pytest.mark.parametrize(
    ("model", "example", "layer", "reason"),
    [
        (Fixed(), torch.zeros(1, 3), "a", "the network (mul) has a constant with a number for each channel"),
        (MeanOfChannels(), torch.zeros(1, 3), "a", "the network (mean) takes one number of several channels"),
        (Tied(), torch.zeros(1, 5, dtype=torch.long), "table", "it is a result of the network"),
        (
            nn.Sequential(nn.Linear(3, 4), nn.Softmax(-1), nn.Linear(4, 2)),
            torch.zeros(1, 3),
            "0",
            "1 (Softmax) takes shares",
        ),
        (nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)), torch.zeros(1, 3), "0", "takes the mean"),
        (nn.Sequential(nn.Conv1d(2, 4, 3), nn.Sigmoid(), nn.Conv1d(4, 2, 3, padding=1)), torch.zeros(1, 2, 9), "0", ""),
    ],
)
def test_a_network_that_mixes_channels_keeps_them(model, example, layer, reason):
    found = structure_of(model.eval(), example)
    assert not found.groups
    assert reason in found.refused[layer]


def test_a_network_that_cannot_be_traced_is_refused():
    class Branch(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if x.sum() > 0 else -x)

    with pytest.raises(PruningError, match="the structure of the network cannot be read"):
        structure_of(Branch(3, 2), torch.zeros(1, 3))


def test_the_network_is_left_as_it_was():
    model = models.convnet(1, 4, 10, 16).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    structure_of(model, torch.randn(2, 1, 16, 16))
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
