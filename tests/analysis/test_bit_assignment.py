"""Bits by sensitivity: against all assignments, against the bytes of real networks, and the claim in small."""

from collections.abc import Mapping
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from statistics import mean

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from fewbit.analysis import (
    QuantizedGroup,
    Sensitivity,
    assign_bits,
    bit_assignment,
    sensitivity,
    stored_bytes,
    uniform_bytes,
)
from fewbit.errors import ArgumentError, DataError
from fewbit.models import mlp
from fewbit.passes import Finetune, Quantize, compress, read_recipe
from fewbit.quant import quantizers
from fewbit.train import CrossEntropy

SPECS = ("ternary", "int3", "int4")
X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Cells = list[dict[str, tuple[float, int]]]


def table(cells: Cells, rest: int = 0, failed: tuple[str, ...] = ()) -> Sensitivity:
    """Groups a, b, ... of one weight each; for each spec that was measured its loss and bytes."""
    names = "abcd" if len(cells) <= 4 else map(str, range(len(cells)))
    rows = [
        QuantizedGroup(group, "weights", spec, (f"{group}.weight",), 10, bytes, 5 + loss, loss)
        for group, measured in zip(names, cells, strict=False)
        for spec, (loss, bytes) in measured.items()
    ]
    return Sensitivity("toy", "loss", 5.0, rest + 40 * len(cells), tuple(rows), failed)


def every(cells: Cells, rest: int) -> list[tuple[float, int]]:
    """Loss and bytes of every assignment."""
    chosen = product(*(measured.values() for measured in cells))
    return [(sum(max(loss, 0.0) for loss, _ in one), rest + sum(bytes for _, bytes in one)) for one in chosen]


losses = st.one_of(st.integers(-2, 6).map(float), st.floats(-1, 10))
groups = st.dictionaries(st.sampled_from(SPECS), st.tuples(losses, st.integers(1, 30)), min_size=1)
tables = st.lists(groups, min_size=1, max_size=4)


@settings(deadline=None)
@given(tables, st.integers(0, 20), st.integers(1, 140))
def test_no_assignment_within_the_budget_loses_less(cells: Cells, rest: int, budget: int) -> None:
    fitting = [one for one in every(cells, rest) if one[1] <= budget]
    if not fitting:
        with pytest.raises(ArgumentError, match="bytes too small"):
            assign_bits(table(cells, rest), budget)
        return
    found = assign_bits(table(cells, rest), budget)
    assert (found.predicted, found.bytes) == min(fitting)  # of equal losses the fewest bytes
    assert found.budget == budget
    chosen = [measured[spec] for measured, spec in zip(cells, found.groups.values(), strict=True)]
    assert found.bytes == rest + sum(bytes for _, bytes in chosen)
    assert found.predicted == sum(max(loss, 0.0) for loss, _ in chosen)
    assert found.specs == {f"{group}.weight": spec for group, spec in found.groups.items()}
    assert (found.measured, found.tried) == (None, ())


@settings(deadline=None)
@given(tables, st.integers(1, 120), st.integers(1, 5), st.randoms(use_true_random=False))
def test_what_is_measured_together_is_never_worse_than_uniform_bits(
    cells: Cells, budget: int, candidates: int, random: Random
) -> None:
    report = table(cells)
    if not any(bytes <= budget for _, bytes in every(cells, 0)):
        return
    metrics: dict[tuple[str, ...], float] = {}

    def measure(specs: Mapping[str, str]) -> float:
        assert tuple(specs.values()) not in metrics  # nothing is measured twice
        return metrics.setdefault(tuple(specs.values()), random.random())

    found = assign_bits(report, budget, measure=measure, candidates=candidates)
    plain = assign_bits(report, budget)
    assert found.tried[0].groups == plain.groups
    assert found.measured == min(metrics.values()) == metrics[tuple(found.groups.values())]
    assert [(tuple(one.groups.values()), one.measured) for one in found.tried] == list(metrics.items())
    assert all(one.bytes <= budget for one in found.tried)
    fitting = 0
    for spec in SPECS:
        if all(spec in measured for measured in cells) and uniform_bytes(report, spec) <= budget:
            fitting += 1
            assert found.measured <= metrics[(spec,) * len(cells)]
    assert len(found.tried) <= candidates + fitting


def test_candidates_are_the_sums_that_no_smaller_one_beats() -> None:
    cells: Cells = [{"ternary": (4.0, 2), "int3": (2.0, 3), "int4": (0.0, 4)}, {"ternary": (3.0, 2), "int4": (1.0, 4)}]
    found = assign_bits(table(cells), 8, measure=lambda specs: 0.0, candidates=9)
    assert [(one.predicted, one.bytes) for one in found.tried] == [(1, 8), (3, 6), (5, 5), (7, 4)]
    assert found.bytes == 8  # of equal metrics the best by prediction
    few = assign_bits(table(cells), 7, measure=lambda specs: -len(specs["a.weight"]), candidates=1)
    assert [list(one.groups.values()) for one in few.tried] == [["int4", "ternary"], ["ternary", "ternary"]]
    assert few.groups == {"a": "ternary", "b": "ternary"}
    chosen, tried = few.tables()
    assert chosen.title == "toy: bits for 7 bytes (4 used)"
    assert chosen.rows == (("a", "ternary"), ("b", "ternary"))
    assert tried.columns == ("candidate", "bytes", "predicted loss", "loss")
    assert tried.rows == (("int4, ternary", 6, 3.0, -4), ("ternary, ternary", 4, 7.0, -7))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("slots", [bit_assignment.SLOTS, 512])
def test_many_groups_are_assigned_as_well_as_can_be(slots: int, share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bit_assignment, "SLOTS", slots)
    random = np.random.default_rng(0)
    cells: Cells = []
    for size in random.integers(1000, 1_000_000, 40).tolist():
        loss = np.cumsum(random.exponential(1, 4))[::-1]
        cells.append({f"int{b}": (float(loss[b - 3]), size * b // 8) for b in (3, 4, 5, 6)})
    low, high = (sum(measured[spec][1] for measured in cells) for spec in ("int3", "int6"))
    budget = int(low + share * (high - low))
    found = assign_bits(table(cells), budget)
    assert found.bytes <= budget
    bound = max(  # with a price for bytes each group chooses by itself; no assignment that fits is better
        sum(min(loss + price * bytes for loss, bytes in measured.values()) for measured in cells) - price * budget
        for price in np.geomspace(1e-9, 1e-1, 400)
    )
    assert bound <= found.predicted <= 1.005 * bound


def test_a_budget_that_is_too_small_is_refused() -> None:
    cells: Cells = [{"ternary": (4.0, 1500), "int4": (0.0, 4000)}, {"int4": (1.0, 2000)}]
    assert assign_bits(table(cells, 600), 4100).bytes == 4100
    with pytest.raises(
        ArgumentError,
        match="toy: budget of 4,099 bytes too small: need at least 4,100 bytes for the smallest formats measured, 600 "
        "of them for what stays float; raise the budget, measure smaller formats, or take a smaller network",
    ):
        assign_bits(table(cells, 600), 4099)


def test_a_group_without_figures_is_refused() -> None:
    cells: Cells = [{"ternary": (4.0, 15), "int4": (0.0, 40)}]
    partly = table(cells, failed=("weights a, int3: not finite: metric = nan", "signal b, int3: not finite"))
    assert assign_bits(partly, 100).groups == {"a": "int4"}
    wholly = table(cells, failed=(*partly.failed, "weights b, int3: DataError: no luck"))
    with pytest.raises(DataError, match="toy: a group of weights has no figures: weights b, int3: DataE"):
        assign_bits(wholly, 100)
    with pytest.raises(DataError, match="a group of weights has no figures: there are none"):
        assign_bits(table([]), 100)


def test_a_metric_that_is_not_finite_is_never_taken() -> None:
    cells: Cells = [{"ternary": (4.0, 15), "int4": (0.0, 40)}]
    metrics = {"int4": float("nan"), "ternary": 9.0}
    found = assign_bits(table(cells), 100, measure=lambda specs: metrics[specs["a.weight"]])
    assert (found.groups, found.measured) == ({"a": "ternary"}, 9.0)
    with pytest.raises(DataError, match=r"toy: `measure` gave \[nan, nan\]; wanted a finite loss at least once"):
        assign_bits(table(cells), 100, measure=lambda specs: float("nan"))


@cache
def measured(grouped: bool = False) -> tuple[nn.Module, Sensitivity]:
    torch.manual_seed(0)
    model = nn.Sequential(*mlp(6, 9, 2, 3), nn.BatchNorm1d(3)).eval()
    labels = {"ends": ["1", "5"], "inner": ["3.weight"]} if grouped else None
    specs = ("ternary", "int3:row", "int4", "int8/3")
    return model, sensitivity(
        model, lambda m: float((m(X) - model(X)).square().mean()), weights=specs, groups=labels, progress=False
    )


@pytest.mark.parametrize("grouped", [False, True])
def test_the_budget_is_kept_by_the_network_that_the_specs_give(grouped: bool) -> None:
    model, report = measured(grouped)
    chosen = set()
    for budget in range(uniform_bytes(report, "ternary"), uniform_bytes(report, "int8/3") + 16, 16):
        found = assign_bits(report, budget)
        assert stored_bytes(compress(model, Quantize(found.specs))) == found.bytes <= budget
        chosen.add(tuple(found.groups.values()))
    assert len(chosen) > 3
    assert set(found.specs) == {"1.weight", "3.weight", "5.weight"}
    assert set(found.groups) == ({"ends", "inner"} if grouped else set(found.specs))
    assert (found.specs["1.weight"] == found.specs["5.weight"]) or not grouped


def test_uniform_bytes_are_those_of_the_network_at_one_spec() -> None:
    model, report = measured()
    for spec in report.specs():
        assert uniform_bytes(report, spec) == stored_bytes(compress(model, Quantize(spec)))
    assert uniform_bytes(table([{"int3": (0.0, 7), "int4": (0.0, 9)}, {"int4": (0.0, 10)}], 6), "int4") == 25
    with pytest.raises(ArgumentError, match=r"'int3' was not measured in every group; choose from \['int3', 'int4'\]"):
        uniform_bytes(table([{"int3": (0.0, 7), "int4": (0.0, 9)}, {"int4": (0.0, 10)}]), "int3")


def test_the_recipe_gives_the_network_that_was_chosen(tmp_path: Path) -> None:
    model, report = measured()
    found = assign_bits(report, (uniform_bytes(report, "ternary") + uniform_bytes(report, "int4")) // 2)
    assert len(set(found.specs.values())) > 1
    file = tmp_path / "recipe.toml"
    file.write_text(found.toml(), encoding="utf-8")
    passes = read_recipe(file).passes(batches=[], objective=CrossEntropy())
    network = compress(model, *passes)
    assert {name: quantizer.spec for name, quantizer in quantizers(network)} == found.specs
    assert torch.equal(network(X), compress(model, Quantize(found.specs))(X))


def blobs(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Eight clouds in eight dimensions that three classes share."""
    centres = 1.5 * torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.randint(8, (count,), generator=generator)
    return centres[cloud] + 0.8 * torch.randn(count, 8, generator=generator), cloud % 3


def test_bits_by_sensitivity_lose_less_than_uniform_bits_in_the_same_memory() -> None:
    x, y = blobs(512, 1)
    batches, dev, test = list(zip(x.split(64), y.split(64), strict=True)), blobs(2000, 2), blobs(4000, 3)
    train = Finetune(batches, CrossEntropy(), 10, lr=1e-2, progress=False)

    @torch.no_grad()
    def loss(network: nn.Module, data: tuple[Tensor, Tensor] = dev) -> float:
        return float(functional.cross_entropy(network.eval()(data[0]), data[1]))

    assigned, uniform = [], []
    for seed in range(3):
        torch.manual_seed(seed)
        model = compress(mlp(8, 24, 2, 3), train)
        report = sensitivity(model, loss, weights=(*SPECS, "int5", "int6"), progress=False)
        memory = uniform_bytes(report, "int4")
        found = assign_bits(report, memory, measure=lambda specs, model=model: loss(compress(model, Quantize(specs))))  # type: ignore[misc]
        assert found.bytes < 0.97 * memory
        assert found.measured == loss(compress(model, Quantize(found.specs)))
        assigned.append(loss(compress(model, Quantize(found.specs)), test) - loss(model, test))
        uniform.append(loss(compress(model, Quantize("int4")), test) - loss(model, test))
    assert mean(assigned) < 0.7 * mean(uniform)
