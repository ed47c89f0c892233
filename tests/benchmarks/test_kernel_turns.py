"""Kernels in turns: what several bursts say together, ratios to peers, and kernels that fail."""

from argparse import Namespace

import pytest

from benchmarks import kernels
from benchmarks.peers.bursts import merge
from benchmarks.peers.ratios import MOST_ERROR, best, ratios
from benchmarks.peers.timing import burst
from benchmarks.peers.turns import Setting, Turns


def case(name, median, bits=8, relerr=0.0, by_hand=False, spread=0.1):
    low, high = (1 - spread) * median, (1 + spread) * median
    about = {"name": name, "bits": bits, "relerr": relerr, "by_hand": by_hand}
    return about | {"median_us": median, "p10_us": low, "p90_us": high}


CASES = [
    case("wrong", 1.0, 8, relerr=2 * MOST_ERROR),
    case("four", 20.0, 4),
    case("eight", 30.0, 8),
    case("two", 40.0, 2),
    case("hand", 10.0, 8, relerr=MOST_ERROR, by_hand=True),
]


def test_the_best_peer_is_the_fastest_that_computes_what_it_should():
    def name(*arguments, **more):
        return best(CASES, *arguments, **more)["name"]

    assert (name(), name(8), name(2), name(by_hand=False)) == ("hand", "hand", "two", "four")
    assert best(CASES, 3) is None
    assert best(CASES[:1]) is None


def test_ratios_are_times_as_fast_as_each_kind_of_peer():
    found = ratios(case("fewbit", 20.0, spread=0.2), "ternary", CASES)
    times = {name: value for name, value in found.items() if name.startswith("times_")}
    assert times == {
        "times_best_same_width": 2.0,
        "times_best_any_width": 0.5,
        "times_best_int8": 0.5,
        "times_best_ready_made": 1.0,
    }
    assert (found["best_same_width"], found["best_ready_made"]) == ("two", "four")


@pytest.mark.parametrize(("median", "apart"), [(5.0, True), (9.0, False), (10.0, False), (11.5, False), (15.0, True)])
def test_spreads_that_overlap_are_not_apart(median, apart):
    assert ratios(case("fewbit", median), "int8", [case("peer", 10.0)])["apart_any_width"] is apart


def test_a_peer_that_is_not_there_has_no_ratio():
    assert ratios(case("fewbit", 1.0), "int3", [case("eight", 2.0)]).keys() == {
        f"{word}_{kind}" for word in ("times_best", "best", "apart") for kind in ("any_width", "int8", "ready_made")
    }
    assert ratios(case("fewbit", 1.0), "int3", []) == {}


def test_bursts_together_are_medians_of_each_quantile():
    def quantiles(p10, median, p90):
        return {"p10_us": p10, "median_us": median, "p90_us": p90}

    odd = merge([quantiles(1, 5, 9), quantiles(3, 4, 8), quantiles(2, 90, 99)])
    assert odd == {"p10_us": 2, "median_us": 5, "p90_us": 9, "rounds_us": [5, 4, 90]}
    even = merge([quantiles(1, 4, 7), quantiles(2, 6, 9)])
    assert even == {"p10_us": 1.5, "median_us": 5, "p90_us": 8, "rounds_us": [4, 6]}


def test_a_burst_counts_its_calls_and_orders_its_quantiles():
    calls = []
    found = burst(lambda: calls.append(0), 0.002)
    assert 0 < found["p10_us"] <= found["median_us"] <= found["p90_us"]
    assert found["calls"] >= 5
    assert len(calls) > found["calls"]  # those before the first sample do not count


def test_a_kernel_that_failed_once_is_not_measured_and_says_why():
    setting, asked = Setting(), []

    def broken():
        asked.append("broken")
        if len(asked) > 1:
            raise RuntimeError("no such instruction")
        return {"median_us": 1.0}

    for _ in range(3):
        setting.burst("broken", broken)
        setting.burst("whole", lambda: {"median_us": 2.0})
    assert setting.failed == {"broken": "no such instruction"}
    assert setting.times == {"whole": [{"median_us": 2.0}] * 3}  # a first burst of what then broke is no figure
    assert len(asked) == 2


def test_our_figure_has_ratios_and_how_often_its_floor_fits(tmp_path):
    turns = Turns(Namespace(out=tmp_path, fewbit="no-such-command"))
    bursts = [{"median_us": 8.0, "p10_us": 7.0, "p90_us": 9.0, "relative_error": 1e-3}]
    given = {"rows": 1, "columns": 1, "frames": 1, "threads": 1}
    found = turns.own("matmul", given, "int8", bursts, [case("eight", 16.0)])
    assert (found["relerr"], found["times_best_int8"]) == (1e-3, 2.0)
    assert "times_floor" not in found

    class Floor:
        def product(self, **about):
            assert about == given | {"format": "int8"}
            return {"floor_us": 4.0, "bound": "memory", "way": "vectors"}

    turns.floors = Floor()
    assert turns.own("matmul", given, "int8", bursts, [])["times_floor"] == 2.0


def test_every_setting_is_measured_once():
    wanted = {"shapes": ["2x3", "4x5"], "frames": [1, 16], "cells": ["sru"], "hidden": [8], "layers": [1], "steps": [4]}
    found = list(kernels.work(Namespace(kinds=["matmul", "rnn"], threads=[1, 2], **wanted)))
    assert found[0] == ("matmul", {"rows": 2, "columns": 3, "frames": 1, "threads": 1})
    assert found[-1] == ("rnn", {"threads": 2, "cell": "sru", "hidden": 8, "layers": 1, "steps": 4})
    assert len(found) == 2 * 2 * 2 + 2
    assert len({str(one) for one in found}) == len(found)
