"""The roofline, the verdict and what is said of made-up rows of the benchmark of blocks."""

import numpy as np
import pytest

from benchmarks.multi_step import last_cache_bytes, measure_setting, settings, summary
from benchmarks.multi_step_model import Roofline, verdict
from benchmarks.multi_step_results import (
    control,
    findings,
    level,
    published_again,
    second_cache_bytes,
    slower_again,
    study,
)


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ([8.4, 12.0], "holds"),
        ([8.4, 8.3], "holds in part"),
        ([8.3, 5.0], "does not hold"),
        ([], "no claim"),
    ],
)
def test_verdict(factors, said):
    assert verdict(factors) == said


def test_factor_is_at_most_the_steps_and_ends_at_the_ridge():
    line = Roofline(weights=1000, weight_bytes=4000, bandwidth=1e9, peak=1e10, scan=0.0, call=0.0)
    assert line.ridge == pytest.approx(20)
    assert [line.factor(steps) for steps in (1, 4, 16)] == pytest.approx([1, 4, 16])
    assert line.factor(64) == pytest.approx(20)


def test_scan_is_paid_for_every_step_and_the_call_once_a_block():
    line = Roofline(weights=0, weight_bytes=0, bandwidth=1.0, peak=1.0, scan=2.0, call=6.0)
    assert line.step_seconds(1) == 8
    assert line.step_seconds(3) == 4


def test_cold_layers_fill_three_caches_and_large_ones_are_never_warm():
    made = list(settings([512, 2048], [], 32 << 20))
    assert all(one["layers"] == 1 for one in made if one["place"] == "warm")
    small = next(one for one in made if one["cells"] == 512 and one["format"] == "int8" and one["place"] == "cold")
    assert small["layers"] * 3 * 512 * 512 >= 3 * (32 << 20) > (small["layers"] - 1) * 3 * 512 * 512
    warm = {(one["cells"], one["format"]) for one in made if one["place"] == "warm"}
    assert warm == {(512, "float32"), (512, "int8"), (512, "ternary"), (2048, "int8"), (2048, "ternary")}


def test_summary_takes_factors_round_by_round():
    single, blocks = [[4e-6], [8e-6], [2e-6]], [[4e-6], [4e-6], [4e-6]]
    found = summary(blocks, single, 4)
    assert found["median_us"] == pytest.approx(1)
    assert found["factor"] == pytest.approx(4)
    assert found["calls"] == 3


def test_the_last_cache_is_the_largest():
    caches = {"L1 data": {"size": "32K"}, "L3 unified": {"size": "32768K"}}
    assert last_cache_bytes({"caches": caches}) == 32 << 20


def record(cell="sru", format="float32", place="cold", cells=1024, **factors):
    steps = {
        str(steps): {"factor": value, "factor_p10": value, "factor_p90": value, "calls": 5}
        | {"median_us": 100 / value, "p10_us": 90 / value, "p90_us": 110 / value}
        for steps, value in ({1: 1.0, 4: 3.0, 16: 9.0, 64: 10.0} | {int(k[1:]): v for k, v in factors.items()}).items()
    }
    made = {"cell": cell, "cells": cells, "format": format, "place": place, "layers": 8, "steps": steps}
    made |= {"weight_bytes": 12 * cells**2, "bandwidth": 2e11, "peak": 1e12}
    return made | ({"scan_seconds": 0.0, "call_seconds": 0.0} if cell == "sru" else {})


def test_places_of_the_published_factor_are_named():
    records = [record(), record(format="ternary", place="warm", t16=2.0, t64=2.1)]
    assert published_again(records).endswith("Here 8.4 is reached by float32 1024 cold from T = 16.")
    assert published_again(records[1:]).endswith("the most is 3.0.")


@pytest.mark.parametrize(("value", "end"), [(2.0, "0 of 4 are above 2.1."), (2.5, "1 of 4 are above 2.1.")])
def test_lstm_above_its_bound_is_counted(value, end):
    (found,) = control([record("lstm", place="warm", t4=1.5, t16=value, t64=1.0)], 1 << 20)
    assert f"the largest S(T) is {value:.2f} (float32 1024 warm, T = 16)" in found
    assert found.endswith(end)


def test_lstm_whose_recurrent_half_stays_in_a_cache_is_told_apart():
    cold = record("lstm", t4=1.5, t16=5.0, t64=6.0)
    assert "from memory in every step" in level(cold, cold["weight_bytes"] // 2 - 1)
    assert "from a cache in later steps" in level(cold, cold["weight_bytes"] // 2)
    assert "in a cache" in level(cold | {"place": "warm"}, 1)
    (found,) = control([cold], cold["weight_bytes"])
    assert "recurrent half from a cache in later steps" in found


def test_long_blocks_that_are_slower_again_are_counted_by_the_cache_rule():
    falls = record(t16=9.0, t64=8.0)  # 64 steps of 1024 cells have values of 1.25 MiB
    (found,) = slower_again([falls], 1 << 20)
    assert "1 of 1 are more than 10 % slower" in found
    assert found.endswith("of smaller ones 0 of 3.")
    assert "0 of 1 are more" in slower_again([record(t16=9.0, t64=8.2)], 1 << 20)[0]
    assert slower_again([falls], 0) == []


def test_second_cache():
    assert second_cache_bytes({"caches": {"L1 data": {"size": "32K"}, "L2 unified": {"size": "1024K"}}}) == 1 << 20
    assert second_cache_bytes({"caches": {}}) == 0


def test_study_of_made_up_rows():
    result = {
        "machine": {"caches": {"L3": {"size": "32M"}}},
        "torch": "2.0",
        "target": "avx512",
        "rounds": 2,
        "last_cache": 1,
    }
    records = [record(), record(place="warm", t16=5.0), record("lstm", t4=1.5, t16=1.9, t64=2.0)]
    made = study(result | {"seconds": 0.1, "records": records})
    assert made.verdict == "holds"
    assert len(made.tables[0].rows) == 2
    assert len(made.tables[1].rows) == 12
    assert made.tables[1].rows[-1][-2:] == (None, None)
    assert any("float32, weights from memory (1024 cells): S(4) 3.0, S(16) 9.0" in one for one in findings(records, 1))
    assert study(result | {"seconds": 0.1, "records": [record(t16=5.0)]}).verdict == "does not hold"


@pytest.mark.parametrize(("cell", "format"), [("sru", "float32"), ("sru", "ternary"), ("lstm", "int8")])
def test_a_small_setting_is_measured(cell, format):
    given = {"cell": cell, "cells": 32, "format": format, "place": "cold", "layers": 2}
    found = measure_setting(given, rounds=1, seconds=0.001)
    assert found["steps"]["1"]["factor"] == 1
    assert all(np.isfinite(one["median_us"]) and one["calls"] >= 2 for one in found["steps"].values())
    assert ("scan_seconds" in found) == (cell == "sru")
    assert (
        found["weight_bytes"] >= {"float32": 3 * 32 * 32 * 4, "ternary": 3 * 32 * 32 // 4, "int8": 8 * 32 * 32}[format]
    )
