"""Bits of weights against bits of signals, and the choice of model and bits: budgets kept, choices by the figures."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from fewbit import nn as layers
from fewbit.analysis import bit_grid, choose_design, multiplications, stored_bytes
from fewbit.errors import ArgumentError
from fewbit.passes import Quantize, compress
from fewbit.plot import plot_bit_grid, plot_designs
from fewbit.quant import quantizers
from fewbit.tasks import Task
from tests.plot.drawn import drawn, words

X = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long() + (X[:, 1] * X[:, 2] > 0).long()


def net(depth: int, width: int) -> nn.Module:
    hidden = [part for _ in range(depth - 1) for part in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), *hidden, nn.Linear(width, 3))


def wrong(model: nn.Module) -> float:
    return 100 * float((model(X).argmax(1) != Y).float().mean())


def batches(_: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(torch.split(X, 32), torch.split(Y, 32), strict=True))


def family(depth: int, **settings: object) -> Task:
    task = Task(
        "toy",
        lambda width: net(depth, width),
        batches,
        wrong,
        size=8,
        sizes=(4, 8, 12),
        epochs=4,
        retrain_epochs=4,
        lr=0.02,
        retrain_lr=0.02,
    )
    return replace(task, **settings)  # type: ignore[arg-type]


def test_every_combination_is_measured_from_one_float_network(tmp_path) -> None:
    asked: list[int] = []

    def network(task: Task, seed: int) -> nn.Module:
        asked.append(seed)
        return task.trained(seed)

    found = bit_grid(
        family(3), (None, 4, 2), (None, 3), seeds=(0, 1), network=network, out=tmp_path / "rows.jsonl", progress=False
    )
    assert (found.weight_bits, found.signal_bits) == ((None, 4, 2), (None, 3))
    assert len(asked) == 12
    assert all(len(found.of(w, a)) == 2 for w, a in product((None, 4, 2), (None, 3)))
    assert found.loss(None, None) == 0
    assert found.loss(2, None) == pytest.approx(
        sum(found.of(2, None)) / 2 - sum(found.of(None, None)) / 2,
    )
    (table,) = found.tables()
    assert [row[0] for row in table.rows] == ["float", "4 bits", "2 bits"]
    axes = drawn(lambda: plot_bit_grid([found], tmp_path / "bits.png")).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["float", "4", "2"]
    assert axes.texts[-1].get_text() == f"{sum(found.of(2, 3)) / 2:.2f}"
    bit_grid(
        family(3), (None, 4, 2), (None, 3), seeds=(0, 1), network=network, out=tmp_path / "rows.jsonl", progress=False
    )
    assert len(asked) == 12  # rows are kept


def test_only_what_lies_inside_is_quantized(monkeypatch) -> None:
    seen = []

    def look(model: nn.Module) -> float:
        seen.append({name: quantizer.spec for name, quantizer in quantizers(model)})
        return 0.0

    bit_grid(family(2, evaluate=look), (None, 2), (None, 3), seeds=(0,), progress=False)
    assert {"2.weight": "ternary", "2.input": "uint3", "4.input": "uint3"} in seen
    assert {"2.weight": "ternary"} in seen
    assert {} in seen


def test_float_is_wanted_on_both_sides() -> None:
    with pytest.raises(ArgumentError, match=r"bits \(8,\) x \(None, 2\); both need None, the float base"):
        bit_grid(family(2), (8,), (None, 2))


def test_designs_are_the_widest_that_fit_and_the_best_is_chosen(tmp_path) -> None:
    families = {2: family(2), 3: family(3)}
    found = choose_design(families, 200, weight_bits=(2, 8), signal_bits=(2, 8), progress=False)
    assert found.budget == 200
    for design in found.designs:
        model = families[design.depth].new(0, design.width)
        spec = "ternary" if design.weight_bits == 2 else "int8"
        assert design.bytes == stored_bytes(compress(model, Quantize(spec))) <= 200
        work = multiplications(model, X)
        assert design.bit_operations == work * design.weight_bits * design.signal_bits
        wider = [width for width in (4, 8, 12) if width > design.width]
        assert design.bound == ("bytes" if wider else "width")
        if wider:
            assert stored_bytes(compress(families[design.depth].new(0, wider[0]), Quantize(spec))) > 200
    measured = [design for design in found.designs if design.dev is not None]
    assert len(measured) == 3
    assert [design.dev for design in measured] == sorted(design.dev for design in measured if design.dev is not None)
    assert found.best == measured[0]
    probes = sorted(design.probe for design in found.designs if design.probe is not None)
    assert sorted(design.probe for design in measured if design.probe is not None) == probes[:3]
    figure = drawn(lambda: plot_designs(found, tmp_path / "designs.png"))
    assert f"chosen: {measured[0].name}" in words(figure)
    shown = {tuple(line.get_xydata()[0]) for line in figure.axes[0].lines if len(line.get_xydata())}
    assert {(design.bit_operations, design.probe) for design in found.designs} <= shown


def test_a_budget_of_work_is_kept_and_what_is_dropped_is_said() -> None:
    found = choose_design({2: family(2)}, 200, signal_bits=(2, 8), bit_operations=1500, progress=False)
    assert all(design.bit_operations <= 1500 for design in found.designs)
    assert any("bit operations, above 1,500" in line for line in found.dropped)


def test_the_same_seed_gives_the_same_choice() -> None:
    first, second = (choose_design({2: family(2)}, 200, signal_bits=(4,), progress=False) for _ in range(2))
    assert first == second


def test_nothing_fits() -> None:
    with pytest.raises(ArgumentError, match=r"nothing fits into 20 bytes; the smallest network, 2 x 4, W2, takes \d+"):
        choose_design({3: family(3), 2: family(2)}, 20)


@pytest.mark.parametrize(
    ("model", "x", "count"),
    [
        (nn.Linear(7, 5), torch.randn(3, 7), 35),
        (nn.Linear(7, 5), torch.randn(3, 11, 7), 11 * 35),
        (nn.Conv2d(2, 4, 3, stride=2, bias=False), torch.randn(2, 2, 9, 9), 16 * 72),
        (nn.Sequential(nn.Embedding(9, 6), nn.Linear(6, 2)), torch.zeros(4, 5, dtype=torch.long), 5 * 12),
        (layers.LSTM(3, 4), torch.randn(2, 10, 3), 10 * 16 * 7),
        (layers.CausalConv1d(3, 4, kernel=2, stride=2), torch.randn(1, 10, 3), 5 * 24),
    ],
    ids=["Linear", "Linear over time", "Conv2d", "Embedding", "LSTM", "CausalConv1d"],
)
def test_multiplications_are_weights_times_places(model: nn.Module, x: Tensor, count: int) -> None:
    assert multiplications(model, x) == count
    assert not any(module._forward_hooks for module in model.modules())
