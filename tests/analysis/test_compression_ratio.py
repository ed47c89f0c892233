"""Effective compression ratios: laws of the curve, of the ratio, and of what fits into a memory."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.analysis import (
    MonotoneCurve,
    Ratio,
    Resilience,
    SizedNetwork,
    capacity,
    fit_monotone,
    stored_bytes,
)
from fewbit.errors import ArgumentError, DataError
from fewbit.models import mlp
from fewbit.passes import Quantize, compress
from fewbit.plot import plot_capacity
from studies.methods.compression_ratio import best_bits, efficiency
from tests.plot.drawn import drawn, legend

SIZES = (2, 4, 8, 16, 32, 64)
points = st.lists(
    st.tuples(st.integers(1, 10**6), st.floats(0, 100)), min_size=3, max_size=12, unique_by=lambda p: p[0]
)


def fall(size: float) -> float:
    """A float network's error, by bytes."""
    return 2 + 80 / size**0.5


def measured(worth: dict[str, Callable[[float], float]], seeds: int = 3, noise: float = 0.0) -> Resilience:
    """Networks of 100 weights a unit; one of `n` bytes of spec `s` is as good as a float one of ``worth[s](n)``."""
    generator, rows = np.random.default_rng(0), []
    parts = {"float": 1.0, "ternary": 1 / 16, "int4": 1 / 8, "int8": 1 / 4}
    for spec in ("float", *worth):
        for size in SIZES:
            of = int(400 * size * parts[spec])
            for seed in range(seeds):
                error = fall(worth.get(spec, float)(of)) + noise * float(generator.standard_normal())
                rows.append(SizedNetwork(size, spec, seed, 100 * size, of, 0.0, error, error, error, error + 1))
    return Resilience("toy", "error (%)", tuple(rows))


def changed(report: Resilience, change: Callable[[SizedNetwork], float]) -> Resilience:
    return replace(report, rows=tuple(replace(row, retrained_test=change(row)) for row in report.rows))


def of(report: Resilience, spec: str, size: float) -> Ratio:
    return next(ratio for ratio in capacity(report, resamples=1).of(spec) if ratio.size == size)


@given(points)
def test_the_curve_never_rises_and_stays_within_the_points(found: list[tuple[int, float]]) -> None:
    curve = fit_monotone(*zip(*found, strict=True))
    x = np.geomspace(curve.bytes[0], curve.bytes[-1], 50).clip(curve.bytes[0], curve.bytes[-1])
    y = [curve.at(value) for value in x]
    assert all(b <= a + 1e-9 for a, b in pairwise(y))
    assert min(m for _, m in found) - 1e-9 <= min(y)
    assert max(y) <= max(m for _, m in found) + 1e-9
    assert np.mean(curve.metric) == pytest.approx(np.mean([m for _, m in found]))


@given(points, st.randoms())
def test_the_order_of_points_and_their_number_do_not_matter(found: list[tuple[int, float]], random: object) -> None:
    curve = fit_monotone(*zip(*found, strict=True))
    mixed = [*found, *found]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    again = fit_monotone(*zip(*mixed, strict=True))
    assert again.bytes == curve.bytes
    assert again.metric == pytest.approx(curve.metric)


def test_a_falling_row_of_points_is_kept_and_inverted() -> None:
    sizes, errors = [100, 200, 400, 900, 5000], [50.0, 30.0, 10.0, 9.0, 1.0]
    curve = fit_monotone(sizes, errors)
    assert curve.metric == tuple(errors)
    assert [curve.at(size) for size in sizes] == pytest.approx(errors)
    for size in (100, 130, 399, 777, 4999, 5000):
        assert curve.bytes_for(curve.at(size)) == pytest.approx(size)
    assert curve.bytes_for(99.0) == 100
    flat = MonotoneCurve((1.0, 10.0, 100.0), (5.0, 2.0, 2.0))
    assert flat.bytes_for(2.0) == pytest.approx(10)  # the fewest bytes


def test_a_curve_is_not_extrapolated() -> None:
    curve = fit_monotone([100, 200, 400], [3.0, 2.0, 1.0])
    with pytest.raises(ArgumentError, match="401 bytes lie outside the measured 100 to 400"):
        curve.at(401)
    with pytest.raises(ArgumentError, match=r"better than the largest network measured, 1"):
        curve.bytes_for(0.9)
    with pytest.raises(ArgumentError, match="at least 3 sizes of network, got 2"):
        fit_monotone([100, 200, 200], [3.0, 2.0, 2.0])


def test_float_networks_are_worth_themselves() -> None:
    ratios = capacity(measured({})).of("float")
    assert [ratio.ratio for ratio in ratios] == pytest.approx([1.0] * len(SIZES), abs=0.02)
    assert {ratio.nominal for ratio in ratios} == {1.0}


@pytest.mark.parametrize("worth", [1.5, 4.0, 6.0])
def test_the_ratio_is_what_a_network_is_worth_in_float_bytes(worth: float) -> None:
    found = [ratio for ratio in capacity(measured({"int4": lambda n: worth * n})).of("int4") if not ratio.limit]
    assert len(found) >= 3
    assert [ratio.ratio for ratio in found] == pytest.approx([worth] * len(found), rel=0.03)
    assert [ratio.efficiency for ratio in found] == pytest.approx([worth / 8] * len(found), rel=0.03)


def test_the_ratio_does_not_depend_on_the_scale_of_the_metric() -> None:
    report = measured({"ternary": lambda n: 5 * n}, noise=0.1)
    other = changed(report, lambda row: 3 + row.retrained_test / 7)
    assert [r.ratio for r in capacity(other).ratios] == pytest.approx([r.ratio for r in capacity(report).ratios])


def test_a_better_network_is_never_worth_less() -> None:
    report = measured({"int4": lambda n: 3 * n}, noise=0.3)
    ratios = []
    for better in np.linspace(-30, 60, 40):
        moved = changed(report, lambda row, b=better: row.retrained_test - b * (row.spec == "int4"))  # type: ignore[misc]
        ratios.append(of(moved, "int4", 8).ratio)
    assert ratios == sorted(ratios)
    assert ratios[0] < ratios[-1]


def test_bounds_are_marked() -> None:
    report = measured({"ternary": lambda n: 0.5 * n, "int8": lambda n: 100 * n}, noise=0.01)
    poor, good = of(report, "ternary", 2), of(report, "int8", 64)
    assert (poor.limit, poor.same_as) == ("<", 800)
    assert good.limit == ">="
    assert good.same_as <= 400 * 64
    equal = changed(report, lambda row: 5.0)
    assert {ratio.limit for ratio in capacity(equal).ratios} == {">="}


def test_noise_that_makes_larger_networks_worse_is_pooled() -> None:
    report = measured({"int4": lambda n: 3 * n}, noise=4.0)
    found = capacity(report)
    assert all(np.isfinite(ratio.ratio) and ratio.low <= ratio.high for ratio in found.ratios)
    other = capacity(replace(report, rows=report.rows[::-1]))
    assert [r.ratio for r in other.of("int4")] == pytest.approx([r.ratio for r in found.of("int4")])


@pytest.mark.parametrize("budget", [300, 1000, 3000, 12000])
def test_the_best_network_measured_is_the_one_that_a_search_finds(budget: int) -> None:
    found = capacity(measured({"ternary": lambda n: 5 * n, "int4": lambda n: 6 * n, "int8": lambda n: 3.9 * n}))
    best = min((r for r in found.ratios if r.bytes <= budget), key=lambda r: (r.dev, r.bytes))
    designs = found.design(budget)
    chosen = min(designs, key=lambda design: design.measured_dev)
    assert (chosen.spec, chosen.measured, chosen.measured_bytes) == (best.spec, best.size, best.bytes)
    assert [d.dev for d in designs] == sorted(d.dev for d in designs)
    assert all(d.dev <= d.measured_dev + 1e-9 for d in designs)  # the size between two measured is no worse
    assert {d.spec for d in designs} == {r.spec for r in found.ratios if r.bytes <= budget}
    assert [d.largest for d in designs] == [found.of(d.spec)[-1].bytes < budget for d in designs]


def test_few_bits_win_where_memory_is_short_and_not_everywhere() -> None:
    found = capacity(measured({"ternary": lambda n: 0.015 * n**2, "int8": lambda n: 4 * n}))
    assert found.best_at(200) == "int8"
    assert found.best_at(1500) == "ternary"
    largest = {spec: curve.best for spec, curve in found.dev_curves.items()}
    assert found.best_at(10**7) == min(largest, key=largest.__getitem__)  # the largest of each fits
    assert found.best_at(20_000) == "ternary"  # its largest network fits as well, and is better than this float one
    assert found.best_at(1) is None


@pytest.mark.parametrize("spec", ["ternary", "int3", "int4:row"])
def test_the_size_of_a_design_fits(spec: str) -> None:
    def network(size: float, spec: str) -> int:
        model = mlp(50, int(size), 2, 10)
        return stored_bytes(model if spec == "float" else compress(model, Quantize(spec)))

    rows = [
        SizedNetwork(size, kind, 0, 0, network(size, kind), 0.0, 0.0, 100 / size, 0.0, 100 / size)
        for kind in ("float", spec)
        for size in (4, 8, 16, 32)
    ]
    found = capacity(Resilience("toy", "error (%)", tuple(rows)))
    for budget in np.random.default_rng(0).integers(rows[4].bytes, rows[-1].bytes, 15).tolist():
        design = next(design for design in found.design(budget) if design.spec == spec)
        assert network(design.measured, spec) == design.measured_bytes <= budget
        assert network(design.size, spec) <= 1.02 * budget  # but for rows that are padded to whole bytes


def test_budgets_outside_are_refused() -> None:
    report = measured({"ternary": lambda n: 5 * n})
    with pytest.raises(ArgumentError, match=r"of 10 bytes lies outside .* 50 to 25,600 bytes; measure smaller sizes"):
        capacity(report, 10)
    with pytest.raises(ArgumentError, match="measure larger sizes"):
        capacity(report).design(10**6)
    assert capacity(report, 500).tables()[0].title == "toy: error (%) in 500 bytes, best first"


def test_seeds_with_a_network_missing_are_left_out() -> None:
    report = measured({"int4": lambda n: 3 * n}, noise=0.5)
    holes = replace(report, rows=tuple(row for row in report.rows if (row.seed, row.size) != (2, 8)))
    two = replace(report, rows=tuple(row for row in report.rows if row.seed < 2))
    assert capacity(holes) == capacity(two)
    alone = replace(report, rows=tuple(row for row in report.rows if (row.seed == 0) == (row.spec == "float")))
    with pytest.raises(DataError, match="no seed has all networks"):
        capacity(alone)


def test_the_study_names_the_best_bits_and_draws_them(tmp_path: Path) -> None:
    grown = capacity(measured({"ternary": lambda n: 2 * n * (n / 50) ** 0.3}))
    assert "float" in best_bits(grown)
    assert "ternary" in efficiency(grown)
    left, right = drawn(lambda: plot_capacity(replace(grown, budget=900), tmp_path / "picture.png")).axes
    assert legend(left) == ["budget 900 bytes", *grown.test_curves]
    assert legend(right) == [spec for spec in grown.test_curves if spec != "float"]
    points = [(ratio.size, ratio.ratio) for ratio in grown.of("ternary")]
    lone = [tuple(line.get_xydata()[0]) for line in right.lines if len(line.get_xydata()) == 1]
    assert set(points) <= set(lone)
