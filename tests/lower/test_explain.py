"""`explain` says what will become of a network before anybody trains, and leaves it as it is."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import LoweringError

X = torch.randn(4, 12, 8, generator=torch.Generator().manual_seed(0))
COLUMNS = 80


class Tagger(nn.Module):
    """A network with long names."""

    def __init__(self) -> None:
        super().__init__()
        self.a_layer_norm_with_a_rather_long_name = nn.LayerNorm(8)
        self.recurrent_layers_of_the_tagger = nn.LSTM(8, 8, 2, batch_first=True)
        self.scores = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.recurrent_layers_of_the_tagger(self.a_layer_norm_with_a_rather_long_name(x))
        return self.scores(functional.gelu(y))


class TwoFaults(nn.Module):
    """An operator that has no integer form, a softmax over time, and all is well between and behind them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.erfinv(self.first(x).tanh())
        x = torch.softmax(self.second(x), dim=1)
        return self.third(functional.relu(x))


def state(model: nn.Module) -> tuple[dict[str, Tensor], list[bool], list[int]]:
    modules = list(model.modules())
    return deepcopy(model.state_dict()), [m.training for m in modules], [len(m._forward_pre_hooks) for m in modules]


def check_untouched(model: nn.Module, before: tuple[dict[str, Tensor], list[bool], list[int]]) -> None:
    tensors, *rest = state(model)
    assert tensors.keys() == before[0].keys()
    assert all(torch.equal(value, before[0][name]) for name, value in tensors.items())
    assert tuple(rest) == before[1:]


def test_a_network_that_packs_is_shown_op_by_op(capsys):
    model = Tagger()
    before = state(model)
    found = fb.explain(model, example=[X])
    check_untouched(model, before)
    assert found.packs
    assert not found.problems
    assert found.program is not None
    text = capsys.readouterr().out
    assert text == f"{found}\n"
    assert repr(found) == str(found)
    lines = text.splitlines()
    assert lines[0] == "Tagger: packs"
    assert lines[1] == f"a stream, 0 frames late; {len(found.program.ops)} ops"
    assert max(map(len, lines)) <= COLUMNS
    assert sum("LSTM" in line for line in lines) == 2
    assert lines[-1].split() == ["scores", "Dense", "3", "x", "8", "scores"]


def test_two_faults_are_both_named_and_nothing_is_trained(capsys):
    model = TwoFaults()
    before = state(model)
    found = fb.explain(model, example=[X])
    check_untouched(model, before)
    assert not found.packs
    assert found.program is None
    first, second = found.problems
    assert first.startswith("TwoFaults (erfinv, 'x = torch.erfinv(self.first(x).tanh())'): no integer op is known")
    assert second.startswith("TwoFaults (softmax, 'x = torch.softmax(self.second(x), dim=1)'): softmax over time")
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "TwoFaults: does not pack (2 problems)"
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert " ".join(first.split()) in " ".join(text.split())


def test_quantizers_that_are_there_stay_and_decide():
    student = fb.compress(Tagger(), fb.Quantize("ternary", "int4", calibration=[X])).eval()
    before = state(student)
    found = fb.explain(student, example=[X])
    check_untouched(student, before)
    assert found.program is not None
    assert found.program.to_bytes() == fb.pack(student, example=[X]).to_bytes()


def test_whole_inputs_late_frames_and_lower_rates_are_said():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    whole = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
    assert "needs its whole input at once;" in str(fb.explain(whole, example=[X]))
    late = nn.Sequential(nn.Conv1d(8, 4, 3, 2, 1), nn.ReLU(), nn.Conv1d(4, 3, 3, padding=1))
    assert "a stream, 3 frames late, a result for 2 frames;" in str(fb.explain(late, example=[X.transpose(1, 2)]))


@pytest.mark.parametrize("example", [X, [X], (X, torch.zeros(4)), [(X, torch.zeros(4))], [X[:1]]])
def test_one_batch_or_several_are_taken(example):
    assert fb.explain(Tagger(), example=example).packs


def test_what_cannot_be_traced_is_refused():
    class Branch(Tagger):
        def forward(self, x):
            return super().forward(x) if x.mean() > 0 else x

    with pytest.raises(LoweringError, match=r"^Branch \('return super\(\).forward\(x\) if x.mean\(\) > 0 else x'\): "):
        fb.explain(Branch(), example=[X])


def test_a_chain_of_layers_of_streams_needs_no_example():
    chain = fb.nn.Chain(fb.nn.Normalize(8), fb.nn.SRU(8, 8), nn.Linear(8, 3))
    assert fb.explain(chain).packs
