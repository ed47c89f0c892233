"""One group or one signal in few bits, all else float: what is measured, what is refused, and the claim in small."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.analysis import Sensitivity, sensitivity, stored_bytes
from fewbit.errors import ArgumentError, DataError, FormatError, QuantizationError, SelectionError
from fewbit.models import CharLM, mlp
from fewbit.passes import Finetune, Quantize, compress
from fewbit.quant import input_quantizer, quantizer_of, quantizers, weight_names, weight_quantizer
from fewbit.train import CrossEntropy

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
TEXT = torch.randint(5, (4, 12), generator=torch.Generator().manual_seed(0))
LAYERS = ("1", "3", "5")


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return mlp(6, 5, 2, 3)


def characters(cell: str = "lstm") -> nn.Module:
    torch.manual_seed(0)
    return CharLM(5, 6, 1, cell)


@torch.no_grad()
def power(model: nn.Module) -> float:
    return float(model(X).square().mean())


@torch.no_grad()
def surprise(model: nn.Module) -> float:
    return float(functional.cross_entropy(model(TEXT[:, :-1])[0].transpose(1, 2), TEXT[:, 1:]))


def alone(model: nn.Module, evaluate: Callable[[nn.Module], float] = power, **settings: Any) -> Sensitivity:
    return sensitivity(model, evaluate, progress=False, **({"weights": ("ternary", "int4")} | settings))


@dataclass
class Seen:
    """Measures, and keeps what it saw of a perceptron: the tensors in use, and the specs of signals by module."""

    tensors: list[dict[str, Tensor]] = field(default_factory=list)
    inputs: list[dict[str, str]] = field(default_factory=list)
    training: list[bool] = field(default_factory=list)

    def __call__(self, model: nn.Module) -> float:
        found = {f"{i}.{name}": getattr(model.get_submodule(i), name) for i in LAYERS for name in ("weight", "bias")}
        self.tensors.append({name: tensor.detach().clone() for name, tensor in found.items()})
        hooked = {name: input_quantizer(module) for name, module in model.named_modules()}
        self.inputs.append({name: quantizer.spec for name, quantizer in hooked.items() if quantizer is not None})
        self.training.append(model.training)
        return power(model)


@dataclass
class Stopping:
    """Counts its calls, and is interrupted after some of them."""

    after: int = 10**9
    calls: int = 0

    def __call__(self, model: nn.Module) -> float:
        if self.calls == self.after:
            raise KeyboardInterrupt
        self.calls += 1
        return power(model)


@dataclass
class Shift:
    """A pass that adds to the last bias: retraining that shows."""

    by: float

    def __call__(self, model: nn.Module) -> nn.Module:
        with torch.no_grad():
            model.get_submodule("5").bias += self.by  # type: ignore[operator]
        return model


def test_one_group_alone_is_quantized_and_all_else_is_float() -> None:
    model, seen = perceptron(), Seen()
    report = alone(model, seen)
    whole = {f"{i}.{name}": getattr(model.get_submodule(i), name) for i in LAYERS for name in ("weight", "bias")}
    assert len(seen.tensors) == 1 + len(report.rows) == 7
    for names, spec, tensors in [
        ((), "float", seen.tensors[0]),
        *((row.names, row.spec, tensors) for row, tensors in zip(report.rows, seen.tensors[1:], strict=True)),
    ]:
        for name, tensor in tensors.items():
            wanted = weight_quantizer(spec).fit(whole[name])(whole[name]) if name in names else whole[name]
            assert torch.equal(tensor, wanted)
    assert seen.inputs == [{}] * 7
    assert not any(seen.training)


def test_one_signal_alone_is_quantized_and_all_else_is_float() -> None:
    model, seen = perceptron(), Seen()
    report = alone(model, seen, weights=(), activations=("int3", "uint8"), calibration=[X])
    assert seen.inputs == [{}, *({row.names[0]: row.spec} for row in report.rows)]
    assert [row.names for row in report.rows] == [(name,) for name in LAYERS for _ in range(2)]
    assert all(torch.equal(tensors[name], seen.tensors[0][name]) for tensors in seen.tensors for name in tensors)
    for row in report.rows:
        again = compress(model, Quantize(activations={row.names[0]: row.spec}, calibration=[X])).eval()
        assert row.metric == pytest.approx(power(again))
        assert (row.numbers, row.bytes) == (0, 0)
    assert report.rest_bytes == report.float_bytes == stored_bytes(model)


def test_a_loss_is_the_metric_above_that_of_the_float_network() -> None:
    model = perceptron()
    report = alone(model)
    assert report.float_metric == power(model)
    for row in report.rows:
        assert row.metric == power(compress(model, Quantize({row.names[0]: row.spec})))
        assert row.loss == row.metric - report.float_metric
    assert len({row.loss for row in report.rows}) == 6


def test_rows_are_in_the_order_of_the_network_and_of_the_specs() -> None:
    weights, signals = ("int8", "ternary", "int3"), ("uint4", "int2")
    report = alone(perceptron(), weights=weights, activations=signals, calibration=[X], network="toy", metric="power")
    groups, inputs = tuple(f"{i}.weight" for i in LAYERS), tuple(f"input of {i}" for i in LAYERS)
    assert [(row.kind, row.group, row.spec) for row in report.rows] == [
        *(("weights", *cell) for cell in product(groups, weights)),
        *(("signal", *cell) for cell in product(inputs, signals)),
    ]
    assert (report.groups(), report.specs()) == (groups, weights)
    assert (report.groups("signal"), report.specs("signal")) == (inputs, signals)
    losses, noise, sizes = report.tables()
    assert losses.columns == ("weights", "number", *weights)
    assert losses.rows[1] == ("3.weight", 25, *(row.loss for row in report.rows[3:6]))
    assert noise.rows[2] == ("input of 5", *(row.loss for row in report.rows[-2:]))
    assert sizes.rows[2] == ("5.weight", 60, 3 * 5 + 4, 3 * 1 + 4, 3 * 2 + 4)  # packed rows, and a step
    assert losses.title.startswith("toy: power above float")


def test_groups_are_patterns_of_weights_and_modules() -> None:
    model = characters()
    report = alone(model, surprise, groups={"recurrent": ["*.weight_hidden"], "ends": ["head", "embedding.*"]})
    assert [(row.group, row.names, row.numbers) for row in report.rows] == [
        ("recurrent", ("rnn0.weight_hidden",), 4 * 6 * 6),
        ("recurrent", ("rnn0.weight_hidden",), 4 * 6 * 6),
        ("ends", ("embedding.weight", "head.weight"), 2 * 5 * 6),
        ("ends", ("embedding.weight", "head.weight"), 2 * 5 * 6),
    ]
    both = compress(model, Quantize({"embedding.weight": "int4", "head.weight": "int4"})).eval()
    last = report.of("ends", "int4")
    assert last is not None
    assert last.metric == surprise(both)
    assert report.rest_bytes == 4 * (4 * 6 * 6 + 4 * 6 + 5)  # the weight in no group stays float, as biases do


def test_groups_that_overlap_or_match_nothing_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"3\.weight is in two groups, 'inner' and 'late'; leave it in one"):
        alone(perceptron(), groups={"inner": ["3"], "late": ["[35].weight"]})
    with pytest.raises(SelectionError, match=r"group 'inner': no weight matches '4'; the model has \['1\.weight', '3"):
        alone(perceptron(), groups={"inner": ["3", "4"]})
    alone(perceptron(), groups={"inner": ["3", "3.weight"]})  # twice in one group is no overlap


@pytest.mark.parametrize(
    ("cell", "signals"),
    [
        ("lstm", ("input of rnn0", "rnn0.hidden", "rnn0.cell", "input of head")),
        ("gru", ("input of rnn0", "rnn0.hidden", "rnn0.cell", "input of head")),
        ("sru", ("input of rnn0", "rnn0.cell", "input of head")),
        ("qrnn", ("input of rnn0.gates", "rnn0.cell", "input of head")),
    ],
)
def test_signals_of_recurrent_networks_have_their_own_names(cell: str, signals: tuple[str, ...]) -> None:
    report = alone(characters(cell), surprise, activations=("int2",), calibration=[TEXT])
    assert report.groups("signal") == signals
    assert all(row.loss != 0 for row in report.rows)


def test_what_cannot_be_measured_is_refused() -> None:
    model = perceptron()
    with pytest.raises(ArgumentError, match="toy: no specs to measure; give some, such as weights="):
        alone(model, weights=(), network="toy")
    with pytest.raises(FormatError, match="'uint8' is a spec of signals"):
        alone(model, weights=("uint8",))
    with pytest.raises(FormatError, match="'binary' is a spec of weights"):
        alone(model, activations=("binary",), calibration=[X])
    with pytest.raises(QuantizationError, match="sensitivity: activations need calibration=batches to choose"):
        alone(model, activations=("int8",))
    with pytest.raises(ArgumentError, match="network, one by one: two configs are equal"):
        alone(model, weights=("int4", "int4"))
    for passed in (Quantize({"3": "int4"}), Quantize(activations={"3": "int4"}, calibration=[X])):
        with pytest.raises(QuantizationError, match=r"toy: 3\.\w+ is quantized already; wanted a float network"):
            alone(compress(model, passed), network="toy")


def test_calibration_takes_the_first_eight_batches() -> None:
    drawn: list[int] = []

    def endless() -> Iterator[Tensor]:
        while True:
            drawn.append(len(drawn))
            yield X if len(drawn) <= 8 else 1e6 * X

    signals: dict[str, Any] = {"weights": (), "activations": ("int4", "int8")}
    assert alone(perceptron(), calibration=endless(), **signals) == alone(perceptron(), calibration=[X] * 8, **signals)
    assert len(drawn) == 8


def test_a_stopped_sweep_goes_on(tmp_path: Path) -> None:
    out, model, settings = tmp_path / "rows.jsonl", perceptron(), {"activations": ("int4",), "calibration": [X]}
    first, second, third = Stopping(4), Stopping(), Stopping(0)
    with pytest.raises(KeyboardInterrupt):
        alone(model, first, out=out, **settings)
    report = alone(model, second, out=out, **settings)
    assert first.calls + second.calls == 1 + 3 * 2 + 3
    assert report == alone(model, third, out=out, **settings) == alone(model, **settings)
    fourth = Stopping()
    alone(model, fourth, weights=("int4", "int3"), out=out)
    assert fourth.calls == 3  # of int3 alone


def test_rows_of_other_networks_and_other_retraining_are_not_taken(tmp_path: Path) -> None:
    out, model = tmp_path / "rows.jsonl", perceptron()
    other = compress(model, Shift(0.5))
    found = [alone(network, out=out, retrain=retrain) for network in (model, other) for retrain in (None, Shift(1.0))]
    assert len(out.read_text().splitlines()) == 4 * 7
    moved = [power(compress(network, Shift(1.0))) for network in (model, other)]
    assert [report.float_metric for report in found] == [power(model), moved[0], power(other), moved[1]]


def test_the_network_is_left_as_it_is() -> None:
    model = perceptron()
    model.get_submodule("3").eval()
    before, modes = deepcopy(model.state_dict()), [module.training for module in model.modules()]
    alone(model, retrain=Shift(1.0), activations=("int4",), calibration=[X])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert list(model.state_dict()) == list(before)
    assert [module.training for module in model.modules()] == modes
    assert not list(quantizers(model))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_cells_that_fail_are_named_and_tried_again(tmp_path: Path) -> None:
    def evaluate(model: nn.Module) -> float:
        quantizer = quantizer_of(model.get_submodule("3"))
        if quantizer is None:
            return power(model)
        if quantizer.spec == "int4":
            raise DataError("no such luck")
        return float("nan")

    out = tmp_path / "rows.jsonl"
    report = alone(perceptron(), evaluate, out=out)
    assert report.failed == (
        "weights 3.weight, ternary: not finite: metric = nan",
        "weights 3.weight, int4: DataError: no such luck",
    )
    assert report.groups() == ("1.weight", "5.weight")
    assert report.of("3.weight", "int4") is None
    assert report.of("1.weight", "int4") is not None
    assert alone(perceptron(), out=out) == alone(perceptron())


def test_a_spec_that_fails_in_one_group_leaves_a_hole_in_the_table() -> None:
    def evaluate(model: nn.Module) -> float:
        quantizer = quantizer_of(model.get_submodule("5"))
        return float("inf") if quantizer is not None and quantizer.spec == "ternary" else power(model)

    losses, sizes = alone(perceptron(), evaluate).tables()
    assert [row[2] is None for row in losses.rows] == [False, False, True]
    assert [row[2] is None for row in sizes.rows] == [False, False, True]
    assert not any(row[3] is None for row in losses.rows)


def test_a_float_network_that_fails_ends_it() -> None:
    with pytest.raises(DataError, match="toy: the float network cannot be measured: not finite: metric = nan"):
        alone(perceptron(), lambda model: float("nan"), network="toy")


def shared() -> nn.Module:
    model = characters()
    model.head.weight = model.embedding.weight  # type: ignore[union-attr]
    return model


def pictures() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5), nn.Linear(5, 3)
    )


@pytest.mark.parametrize(
    ("model", "evaluate", "groups"),
    [
        (perceptron(), power, None),
        (pictures(), lambda m: float(m(X.view(-1, 1, 2, 3)).square().mean()), {"a": ["0", "5"], "b": ["4"]}),
        (shared(), surprise, None),
        (characters(), surprise, {"recurrent": ["rnn0"]}),
    ],
)
def test_bytes_of_groups_and_of_the_rest_add_up(
    model: nn.Module, evaluate: Callable[[nn.Module], float], groups: dict[str, list[str]] | None
) -> None:
    specs, random = ("ternary", "int3:row", "int5/7", "int8", "binary"), Random(0)
    report = alone(model, evaluate, weights=specs, groups=groups)
    assert report.float_bytes == stored_bytes(model)
    for _ in range(8):
        rows = [report.of(group, random.choice(specs)) for group in report.groups()]
        chosen = {name: row.spec for row in rows for name in row.names}  # type: ignore[union-attr]
        assert set(chosen) <= set(weight_names(model))
        total = report.rest_bytes + sum(row.bytes for row in rows)  # type: ignore[union-attr]
        assert total == stored_bytes(compress(model, Quantize(chosen)))


def test_retraining_is_of_the_float_network_too() -> None:
    model = perceptron()
    report = alone(model, retrain=Shift(0.5))
    assert report.float_metric == power(compress(model, Shift(0.5))) != power(model)
    for row in report.rows:
        assert row.metric == power(compress(model, Quantize({row.names[0]: row.spec}), Shift(0.5)))
        assert row.loss == row.metric - report.float_metric
    assert report.rest_bytes == alone(model).rest_bytes


def blobs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Eight clouds in eight dimensions that three classes share."""
    centres = 1.5 * torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.randint(8, (count,), generator=generator)
    return centres[cloud] + 0.6 * torch.randn(count, 8, generator=generator), cloud % 3


def test_matrices_differ_few_bits_lose_more_and_retraining_wins_most_of_it_back() -> None:
    x, y = blobs(512, 1)
    batches, held = list(zip(x.split(64), y.split(64), strict=True)), blobs(500, 2)
    torch.manual_seed(0)
    start = mlp(8, 12, 2, 3)
    model = compress(start, Finetune(batches, CrossEntropy(), 20, lr=1e-2, progress=False))

    def evaluate(network: nn.Module) -> float:
        return float(functional.cross_entropy(network(held[0]), held[1]))

    retrain = Finetune(batches, CrossEntropy(), 3, lr=3e-3, progress=False)
    direct = alone(model, evaluate, weights=("ternary", "int6"))
    again = alone(model, evaluate, weights=("ternary",), retrain=retrain)
    assert again == alone(model, evaluate, weights=("ternary",), retrain=retrain)
    first, last = ({row.group: row.loss for row in direct.rows if row.spec == spec} for spec in ("ternary", "int6"))
    assert max(first.values()) > 2 * min(first.values())
    assert all(abs(last[group]) < 0.1 * first[group] for group in first)
    assert sum(row.loss for row in again.rows) < 0.5 * sum(first.values())
