"""Ratios and table of networks against peers, with made-up rows; and the states of a stream."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.graph_runs import States, cosine
from benchmarks.peers.graph_table import add_ratios, best, is_right, quantiles, table

Row = dict[str, object]


def row(library: str, kind: str, median: float, cosine: float = 0.99, **more: object) -> Row:
    quantile = {"median_us": median, "p10_us": 0.9 * median, "p90_us": 1.1 * median}
    return {"library": library, "kind": kind, "cosine": cosine, "load_mb": 3.0, "peak_mb": 4.0, **quantile, **more}


def rows() -> list[Row]:
    return [
        row("fewbit", "int8", 100.0, cosine_fake=0.999),
        row("fewbit", "ternary", 50.0, cosine=0.3, cosine_fake=0.999),
        row("torch", "float", 500.0),
        row("onnxruntime", "float", 300.0),
        row("onnxruntime", "static", 105.0),
        row("openvino", "static", 20.0, cosine=0.1),
        row("litert", "static", 200.0),
        {"library": "openvino", "kind": "dynamic", "error": "the process ended with -11" + " and more" * 20},
    ]


def test_quantiles_are_those_of_all_calls():
    assert quantiles([3.0, 1.0, 2.0]) == {"median_us": 2.0, "p10_us": 1.2, "p90_us": 2.8, "calls": 3}


def test_wrong_work_is_nobodys_best():
    found = best(rows(), ["static", "dynamic"])
    assert found is not None
    assert (found["library"], found["median_us"]) == ("onnxruntime", 105.0)
    assert best(rows(), ["static"], ["openvino"]) is None


def test_few_bits_must_follow_their_own_network_not_the_float_one():
    assert is_right(row("fewbit", "ternary", 1.0, cosine=0.2, cosine_fake=0.99))
    assert not is_right(row("fewbit", "ternary", 1.0, cosine=0.99, cosine_fake=0.2))
    assert is_right(row("litert", "static", 1.0, cosine=0.85))
    assert not is_right(row("litert", "float", 1.0, cosine=0.85))
    assert not is_right({"library": "litert", "kind": "float", "error": "no file"})


def test_ratios_are_times_as_fast():
    found = rows()
    add_ratios(found)
    ternary = found[1]
    assert ternary["times_best_int8"] == pytest.approx(2.1)
    assert ternary["times_onnx_float"] == 6
    assert ternary["times_torch"] == 10
    assert (ternary["best_int8"], ternary["apart"]) == ("onnxruntime static", True)
    assert found[0]["apart"] is False  # 100 and 105, each with a tenth around it
    assert found[5]["right"] is False
    assert "times_best_int8" not in found[7]


def test_without_an_int8_peer_there_is_no_ratio_to_it():
    found = [row("fewbit", "int8", 100.0, cosine_fake=1.0), row("onnxruntime", "float", 300.0)]
    add_ratios(found)
    assert "times_best_int8" not in found[0]
    assert found[0]["times_onnx_float"] == 3
    assert " - " in table(found)


def test_the_table_has_80_columns_and_the_fastest_first():
    found = rows()
    add_ratios(found)
    lines = table(found).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("openvino static")
    assert lines[1].endswith("!")
    assert lines[2].startswith("fewbit ternary")
    assert "the process ended with -11" in lines[-1]
    json.dumps(found, allow_nan=False)


def test_a_ring_forgets_the_oldest_and_does_not_change_what_it_was_given():
    given = np.zeros((1, 2, 3, 4))
    states = States([given], ring=True)
    for value in (1.0, 2.0, 3.0, 4.0):
        states.take([np.full((1, 2, 1, 4), value)])
    assert states.now[0][0, 0, :, 0].tolist() == [4, 2, 3]
    assert not given.any()


def test_other_states_are_replaced():
    states = States([np.zeros(2)], ring=False)
    states.take([np.ones(2)])
    assert states.now[0].tolist() == [1, 1]


def test_the_cosine_leaves_out_what_all_calls_share():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 50, 20))
    assert cosine(a + 100, a) == pytest.approx(1)
    assert abs(cosine(a + 100, b + 100)) < 0.2
    assert cosine(a[:1], 2 * a[:1]) == pytest.approx(1)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are stopped and pinned there only")
def test_a_case_that_cannot_be_loaded_has_its_error_in_its_row(tmp_path: Path):
    from benchmarks.peers.graph_turns import Settings, measure

    here = Path(sys.executable)
    (found,) = measure(["fewbit int8"], tmp_path, 1, Settings(here, here, 1, 0.01))
    assert "data.npz" in str(found["error"])
    assert found["library"] == "fewbit"
