"""Floors of products, and the arithmetic of shares. No test compares times of a busy machine."""

import numpy as np
import pytest

from fewbit.errors import TargetError
from fewbit.formats import Int, Ternary
from fewbit.native import NativeMatrix, targets
from fewbit.speed import Floor, Timing
from fewbit.speed.ceilings import PARTS, floor_of, part_calls, read_call
from fewbit.speed.timing import measure_in_turns, repeats_for


@pytest.mark.parametrize(
    ("times", "bound", "share"),
    [((8.0, 2.0, 1.0), "read", 0.8), ((1.0, 4.0, 2.0), "unpack", 0.4), ((1.0, 2.0, 10.0), "multiply", 1.0)],
)
def test_share_is_that_of_the_longest_part(times, bound, share):
    floor = Floor(*times)
    assert floor.bound == bound
    assert floor.least_us == max(times)
    assert floor.share(10.0) == pytest.approx(share)


def test_floor_is_made_of_the_fast_end_of_each_part():
    timings = {
        part: Timing(median_us=9.0, p10_us=8.0, p90_us=20.0, least_us=float(i), samples=3)
        for i, part in enumerate(PARTS)
    }
    assert floor_of(timings) == Floor(0.0, 1.0, 2.0)


def test_calls_take_turns_and_are_divided_by_their_repetitions(monkeypatch):
    order = []
    monkeypatch.setattr("fewbit.speed.timing._samples", lambda call, seconds, least: [call(), seconds])
    calls = {name: (lambda name=name: order.append(name) or 8e-6, 4, 4e-6 * 5) for name in ("a", "b")}
    found = measure_in_turns(calls)
    assert order == ["a", "b"] * 5
    assert found["a"].samples == 10
    assert found["a"].median_us == pytest.approx((8 / 4 + 4 / 4) / 2)


def test_repetitions_grow_until_a_call_is_long_enough(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("fewbit.speed.timing.time.perf_counter", lambda: now[0])

    def run(repeats):
        now[0] += repeats * 1e-6

    assert repeats_for(run, 100e-6) >= 100


@pytest.mark.parametrize("format", [Ternary(), Int(3), Int(8)])
def test_every_part_runs_on_every_target(format):
    matrix = NativeMatrix(np.ones((70, 50), np.int16), format)
    for target in targets():
        for call, repeats in part_calls(matrix, 3, target, threads=2).values():
            call()
            assert repeats >= 1


def test_unknown_targets_are_refused():
    matrix = NativeMatrix(np.ones((4, 4), np.int16), Int(4))
    with pytest.raises(TargetError, match="'sparc'"):
        part_calls(matrix, 1, "sparc")
    with pytest.raises(TargetError, match="'sparc'"):
        read_call(4096, "sparc")
