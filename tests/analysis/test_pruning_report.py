"""Points of pruning and bits: means, fronts, choices and recipes of made-up networks."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.analysis import PrunedNetwork, PrunedPoint, Pruning, pareto_front, pruning_recipe
from fewbit.errors import ArgumentError, DataError
from fewbit.passes import Recipe


def networks(name: str, ratio: float, errors: list[float], macs: int, bytes: int, **more: Any) -> list[PrunedNetwork]:
    return [PrunedNetwork(name, ratio, "int4", seed, error, macs, bytes, **more) for seed, error in enumerate(errors)]


def report(*groups: list[PrunedNetwork], **more: Any) -> Pruning:
    rows = tuple(row for group in groups for row in group)
    settings: dict[str, Any] = {
        "seeds": (0, 1),
        "baseline": (8.0, 10.0),
        "activations": "int8",
        "epochs": 2,
        "lr": 0.01,
    }
    return Pruning("toy", "error (%)", rows, **(settings | more))


DENSE = networks("dense", 0.0, [9.0, 11.0], 1000, 400, time_us=8.0, gain=1.0)
MAPS = networks("channels", 0.5, [10.0, 12.0], 300, 150, time_us=4.0, gain=2.0)
KERNELS = networks("kernels", 0.5, [10.0, 10.5], 1000, 400, time_us=7.0, gain=1.1)
FEW = networks("channels", 0.9, [20.0, 30.0], 50, 40, time_us=2.0, gain=4.0)


def names(points: tuple[PrunedPoint, ...]) -> list[str]:
    return [point.name for point in points]


def test_a_point_is_the_mean_of_its_seeds() -> None:
    (point,) = report(networks("units", 0.25, [1.0, 4.0], 10, 20, time_us=2.0, gain=1.5)).points
    assert (point.name, point.error, point.spread) == ("units 0.25 int4", 2.5, 2.1)
    assert (point.macs, point.bytes, point.time_us, point.gain) == (10, 20, 2.0, 1.5)
    assert PrunedPoint(point.networks[:1]).spread is None
    untimed = PrunedPoint((point.networks[0], replace(point.networks[1], time_us=None, gain=None)))
    assert (untimed.time_us, untimed.gain) == (None, None)


def test_each_cost_has_its_front() -> None:
    found = report(DENSE, MAPS, KERNELS, FEW)
    assert names(found.front("macs")) == ["channels 0.9 int4", "channels 0.5 int4", "dense int4"]
    by_time = report(DENSE, [replace(row, time_us=9.0) for row in MAPS], KERNELS)
    assert names(by_time.front("time_us")) == ["kernels 0.5 int4", "dense int4"]
    assert names(by_time.front("bytes")) == ["channels 0.5 int4", "dense int4"]
    with pytest.raises(ArgumentError, match="no front over 'watts'; wanted one of macs, bytes, time_us"):
        found.front("watts")


def test_points_without_a_seed_or_a_time_lie_on_no_front_of_it() -> None:
    torn = report(DENSE, MAPS[:1], [replace(row, time_us=None) for row in FEW], failed=("channels 0.5: lost",))
    assert names(torn.front("macs")) == ["channels 0.9 int4", "dense int4"]
    assert names(torn.front("time_us")) == ["dense int4"]
    assert torn.choose(bytes=200).name == "channels 0.9 int4"
    shown = {row[0]: row for row in torn.tables()[0].rows}
    assert shown["channels 0.5 int4"][-1] == "1 failed"
    assert shown["channels 0.9 int4"][-3:] == (None, 4.0, "MB")


errors = st.lists(st.integers(0, 4).map(float), min_size=2, max_size=2)
made = st.lists(st.tuples(errors, st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=8)


@given(made, st.integers(0, 6))
def test_a_choice_is_the_best_of_all_that_fit(points: list[tuple[list[float], int, int]], wish: int) -> None:
    found = report(*(networks("units", (n + 1) / 10, *point) for n, point in enumerate(points)), baseline=(1.0, 1.0))
    for kind in ("bytes", "macs"):
        fitting = [point.error for point in found.points if getattr(point, kind) <= wish]
        if fitting:
            chosen = found.choose(**{kind: wish})
            assert chosen.error == min(fitting)
            assert getattr(chosen, kind) <= wish
            assert chosen in found.front(kind)
        else:
            with pytest.raises(ArgumentError, match=f"nothing measured has at most {wish} "):
                found.choose(**{kind: wish})
    near = [point.bytes for point in found.points if point.error <= 1.0 + wish]
    if near:
        assert found.choose(error=wish).bytes == min(near)
        assert found.choose(error=wish) in found.front("bytes")
    else:
        with pytest.raises(ArgumentError, match=f"nothing measured is within {wish} of 1, the error"):
            found.choose(error=wish)
    assert [found.points[n] for n in pareto_front([(p.bytes, p.error) for p in found.points])] == [
        *found.front("bytes")
    ]


def test_wishes_that_are_none() -> None:
    found = report(DENSE, MAPS)
    for wishes, message in (
        ({}, "wanted one of bytes, macs and error, saw none"),
        ({"bytes": 9, "macs": 9}, "saw bytes, macs"),
        ({"error": float("nan")}, "error is nan; wanted a number from 0 on"),
        ({"macs": -1}, "macs is -1; wanted a number from 0 on"),
        ({"bytes": 100}, "nothing measured has at most 100 bytes; the least, channels 0.5 int4, has 150"),
        ({"error": 0.5}, "within 0.5 of 9, the error (%) of the dense network in float; the best, dense int4, has 10"),
    ):
        with pytest.raises(ArgumentError) as refused:
            found.choose(**wishes)
        assert message in str(refused.value)
    with pytest.raises(DataError, match="no point has figures for every seed"):
        report(MAPS[:1]).choose(bytes=500)
    with pytest.raises(DataError, match="the dense network in float has no figure"):
        report(MAPS, baseline=(9.0,)).choose(error=1)


@pytest.mark.parametrize(
    ("granularity", "spec", "kinds"),
    [
        ("dense", "float", ["Finetune", "Finetune"]),
        ("dense", "int4", ["Finetune", "Quantize", "Finetune"]),
        ("channels", "int4", ["PruneChannels", "Finetune", "Quantize", "Finetune"]),
        ("units", "int4", ["PruneUnits", "Finetune", "Quantize", "Finetune"]),
        ("kernels", "sparse8,2", ["PruneKernels", "Finetune", "Quantize", "Finetune"]),
    ],
)
def test_recipes_train_everything_as_long(granularity: str, spec: str, kinds: list[str]) -> None:
    recipe = pruning_recipe(granularity, 0.5, spec, activations="float", epochs=3, lr=0.02)
    assert [step["kind"] for step in recipe.steps] == kinds
    trainings = [step for step in recipe.steps if step["kind"] == "Finetune"]
    assert trainings == [{"kind": "Finetune", "epochs": 3, "lr": 0.02}] * 2
    quantized = [step for step in recipe.steps if step["kind"] == "Quantize"]
    assert quantized in ([], [{"kind": "Quantize", "weights": spec}])


def test_the_file_of_a_point_is_its_recipe_with_its_figures() -> None:
    found = replace(report(DENSE, MAPS), task="toy\nof two lines")
    text = found.toml(found.points[1])
    assert text.splitlines()[0] == (
        "# toy of two lines: channels 0.5 int4. error (%) on development data: 10 with seed 0, 12 with seed 1."
    )
    assert Recipe.from_dict({"passes": tomllib.loads(text)["pass"]}) == found.recipe(found.points[1])
    assert found.recipe(found.points[1]).steps[2] == {"kind": "Quantize", "weights": "int4", "activations": "int8"}


def test_the_table_has_every_point_and_the_float_network() -> None:
    (table,) = report(DENSE, FEW, MAPS, KERNELS).tables()
    assert table.rows == (
        ("channels 0.9 int4", 25.0, 7.1, 50, 40, 2.0, 4.0, "MBT"),
        ("channels 0.5 int4", 11.0, 1.4, 300, 150, 4.0, 2.0, "MBT"),
        ("dense int4", 10.0, 1.4, 1000, 400, 8.0, 1.0, "MBT"),
        ("kernels 0.5 int4", 10.25, 0.35, 1000, 400, 7.0, 1.1, "T"),
        ("dense float", 9.0, 1.4, None, None, None, None, "-"),
    )
    assert "means of 2 seeds" in table.title
    assert "kernels that are not stored do not count" in table.title
