"""What is said of made-up times of training: ratios, tables and words."""

import pytest

from benchmarks import graph_rnn, training_kernels, training_overhead
from benchmarks.graph_rnn import bounds, quantiles


def overhead(times, memory):
    return {"milliseconds": 10.0 * times, "times_float": times, "p10": times - 0.1, "p90": times + 0.1} | {
        "memory_times_float": memory
    }


def test_the_overhead_that_is_told_is_the_largest_of_weights_with_one_step():
    variants = {variant: overhead(1.0, 1.0) for variant in training_overhead.VARIANTS}
    result = {"SRU": variants, "LSTM": dict(variants)}
    result["LSTM"] |= {"ternary:row": overhead(1.25, 1.05), "ternary+adaptive": overhead(1.1, 1.5)}
    result["SRU"] |= {"ternary+learned": overhead(9.0, 9.0), "ternary, int8 signals": overhead(8.0, 8.0)}
    study = training_overhead.study(result, 7)
    assert "at most 1.25 times as long as in float, and training at most 1.50 times the memory" in study.findings[0]
    assert "medians of 7 rounds" in study.setting
    (table,) = study.tables
    assert len(table.rows) == 2 * len(training_overhead.VARIANTS)
    assert ("LSTM", "ternary:row", 12.5, 1.25, "1.15 to 1.35", 1.05) in table.rows


def test_what_is_called_weights_only_has_no_quantized_signals_and_no_learned_step():
    assert set(training_overhead.WEIGHTS_ONLY) < set(training_overhead.VARIANTS)
    for name in training_overhead.WEIGHTS_ONLY:
        assert training_overhead.VARIANTS[name] == {"weights": name}
        assert "learned" not in name


def test_fused_recurrences_are_told_by_their_ranges():
    def part(times):
        return {"native_ms": 2.0, "loops_ms": 2.0 * times, "times_faster": times, "p10": times - 1, "p90": times + 1}

    rows = {"SRU 8": {"scan": part(12.0), "layer": part(3.0)}, "QRNN 8": {"scan": part(7.0), "layer": part(4.0)}}
    study = training_kernels.study(rows, 1)
    assert "alone is 7.0 to 12.0 times as fast" in study.findings[0]
    assert study.findings[0].endswith("3.0 to 4.0 times.")
    assert study.tables[0].rows[0] == ("SRU 8", "scan", "2.0", "24.0", "12.00", "11.00 to 13.00")
    assert len(study.tables[0].rows) == 4


@pytest.mark.parametrize("kind", [training_kernels.SRU, training_kernels.QRNN])
@pytest.mark.parametrize("make", [training_kernels.scan, training_kernels.layer])
def test_both_ways_compute_the_same(kind, make):
    found = training_kernels.compare(make(kind, 8, 5, 2), rounds=2)
    assert found["difference"] < 1e-4
    assert 0 < found["p10"] <= found["times_faster"] <= found["p90"]


def test_quantiles_of_times_are_milliseconds():
    found = quantiles([0.001, 0.002, 0.003, 0.004, 0.005])
    assert (found["median_ms"], found["p10_ms"], found["p90_ms"]) == (3.0, 1.4, 4.6)


def test_a_bound_is_never_below_one_and_grows_with_the_frames_that_share_weights():
    short, long = (bounds(64, 64, frames) for frames in (1, 64))
    assert short.keys() == long.keys()
    for name in short:
        assert 1 <= short[name] <= long[name]
    assert long != short


def test_the_plan_is_told_by_its_ratio_to_step_by_step():
    def way(median):
        return {"median_ms": median, "p10_ms": median - 1, "p90_ms": median + 1}

    ways = {"plan": way(4.0), "step by step": way(10.0), "torch.nn.LSTM": way(2.0)}
    one = {"inputs": 8, "cells": 8, "frames": 4}
    one |= {part: ways | {"step_by_step_over_plan": 2.5, "bound": 3.0} for part in ("forward", "training")}
    many = [{"streams": 2, "forward_frames_a_second": 12345.6, "training_frames_a_second": 99.4}]
    study = graph_rnn.study({"one_stream": one, "streams": many})
    assert study.findings[0] == (
        "Forward, one stream: the plan is 2.50 times as fast as step by step; the traffic of weights allows 3.00. "
        "torch.nn.LSTM takes 0.50 times as long as the plan."
    )
    assert len(study.tables[0].rows) == 6
    assert study.tables[1].rows == ((2, "12,346", "99"),)
