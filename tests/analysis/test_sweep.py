"""Sweeps: order, resuming, what fails, and other executors."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from fewbit.analysis import grid, process_executor, sweep
from fewbit.errors import ArgumentError, DataError, QuantizationError


class Counting:
    """A trial that remembers what it was called with."""

    def __init__(self, stop_after=10**9):
        self.calls, self.stop_after = [], stop_after

    def __call__(self, a, b):
        if len(self.calls) >= self.stop_after:
            raise KeyboardInterrupt
        self.calls.append((a, b))
        if a == 13:
            raise QuantizationError("thirteen")
        return {"sum": a + b, "ratio": a / b if b else float("nan")}


def double(a):
    return {"twice": 2 * a}


CONFIGS = grid(a=[1, 2], b=[3, 4])


def test_rows_come_in_the_order_of_the_configs():
    rows = sweep(Counting(), CONFIGS, progress=False)
    assert [(row["a"], row["b"], row["sum"]) for row in rows] == [(1, 3, 4), (1, 4, 5), (2, 3, 5), (2, 4, 6)]


def test_a_stopped_sweep_goes_on(tmp_path):
    out = tmp_path / "deep" / "rows.jsonl"
    first, second = Counting(stop_after=2), Counting()
    with pytest.raises(KeyboardInterrupt):
        sweep(first, CONFIGS, out=out, progress=False)
    rows = sweep(second, CONFIGS, out=out, progress=False)
    assert first.calls + second.calls == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert (
        rows
        == sweep(Counting(stop_after=0), CONFIGS, out=out, progress=False)
        == sweep(Counting(), CONFIGS, progress=False)
    )


def test_a_row_cut_off_by_a_crash_is_run_again(tmp_path):
    out = tmp_path / "rows.jsonl"
    sweep(Counting(), CONFIGS[:2], out=out, progress=False)
    out.write_text(out.read_text()[:-9])
    again = Counting()
    sweep(again, CONFIGS[:2], out=out, progress=False)
    assert again.calls == [(1, 4)]
    assert len(out.read_text().splitlines()) == 2


def test_what_fails_is_a_row_and_is_tried_again(tmp_path):
    out = tmp_path / "rows.jsonl"
    rows = sweep(Counting(), grid(a=[13, 1], b=[1, 0]), out=out, progress=False)
    assert rows[0]["failed"] == "QuantizationError: thirteen"
    assert rows[3] == {"a": 1, "b": 0, "failed": "not finite: ratio = nan"}
    again = Counting()
    sweep(again, grid(a=[13, 1], b=[1, 0]), out=out, progress=False)
    assert again.calls == [(13, 1), (13, 0), (1, 0)]


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(2)])
def test_any_executor_gives_the_same_rows(executor):
    assert sweep(Counting(), CONFIGS, executor=executor, progress=False) == sweep(Counting(), CONFIGS, progress=False)


def test_processes(tmp_path):
    out = tmp_path / "rows.jsonl"
    rows = sweep(partial(dict, b=7), grid(a=[1, 2, 3]), out=out, executor=process_executor(2), progress=False)
    assert rows == [{"a": a, "b": 7} for a in (1, 2, 3)]
    assert sorted(json.loads(line)["config"]["a"] for line in out.read_text().splitlines()) == [1, 2, 3]


def test_faults_are_said(tmp_path):
    with pytest.raises(ArgumentError, match="two configs are equal"):
        sweep(double, [{"a": 1}, {"a": 1}], progress=False)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"other": 1}\n')
    with pytest.raises(DataError, match="line 1: not a row of a sweep"):
        sweep(double, [{"a": 1}], out=bad, progress=False)
