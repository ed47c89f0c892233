"""The least time of a product, from made-up ceilings that are easy to divide by."""

import json

import pytest

from benchmarks.floors import Floors

TWO_BITS = "load, unpack, multiply 2 bits with shifts"


def records(threads=1, **more):
    rates = {TWO_BITS: 200.0, "load, multiply 8 bits": 100.0, "multiply 8 bits": 400.0} | more
    reads = [(1_000, 100.0), (100_000, 50.0), (10_000_000, 10.0)]
    return [{"what": name, "threads": threads, "best": rate} for name, rate in rates.items()] + [
        {"what": "read", "threads": threads, "bytes": size, "best": rate} for size, rate in reversed(reads)
    ]


def test_the_bandwidth_is_that_of_the_smallest_set_that_holds_the_bytes():
    floors = Floors(records())
    assert [floors.bandwidth(size, 1) for size in (1, 1_000, 1_001, 100_001, 10**9)] == [100, 100, 50, 10, 10]


def test_the_rate_is_the_best_of_those_measured():
    floors = Floors(records())
    assert floors.rate(1, "multiply 8 bits", TWO_BITS) == 400
    assert floors.rate(2, "multiply 8 bits") == 0
    assert floors.rate(1) == 0


@pytest.mark.parametrize(
    ("rows", "columns", "frames", "format", "wanted"),
    [
        # 2 operations a weight at 200 a nanosecond; 200 bytes at 100 a nanosecond
        (10, 100, 1, "ternary", {"floor_us": 0.01, "bound": "unpack", "way": "vectors"}),
        # 8 frames: 2 * 8 operations a weight at 400 a nanosecond
        (10, 100, 8, "ternary", {"floor_us": 0.04, "bound": "multiply", "way": "vectors"}),
        # 4 million bytes at 10 a nanosecond
        (2000, 2000, 1, "int8", {"floor_us": 400.0, "bound": "memory", "way": "vectors"}),
    ],
)
def test_the_floor_is_the_largest_of_reading_unpacking_and_multiplying(rows, columns, frames, format, wanted):
    assert Floors(records()).product(rows, columns, frames, format, 1) == wanted


def test_weights_come_from_where_all_that_is_used_between_fits():
    floors = Floors(records())
    near, far = (floors.product(1000, 100, 1, "int8", 1, held) for held in (0, 1_000_000))
    assert near is not None
    assert far is not None
    assert (near["bound"], near["floor_us"]) == ("memory", 2.0)
    assert (far["bound"], far["floor_us"]) == ("memory", 10.0)


def test_tiles_are_taken_where_they_are_faster():
    fast = Floors(records(**{"tiles, 8 frames": 4000.0, "load, unpack, store 2 bits with masks": 500.0}))
    # 16 operations a weight at 4000, a store a weight at 500, 200 bytes at 100: all in nanoseconds
    assert fast.product(10, 100, 8, "ternary", 1) == {"floor_us": 0.004, "bound": "multiply", "way": "tiles"}
    assert fast.product(10, 100, 12, "ternary", 1)["way"] == "tiles"  # type: ignore[index]
    slow = Floors(records(**{"tiles, 8 frames": 100.0}))
    assert slow.product(10, 100, 8, "ternary", 1)["way"] == "vectors"  # type: ignore[index]


def test_what_was_not_measured_has_no_floor(tmp_path):
    floors = Floors(records())
    assert floors.product(10, 10, 1, "int4", 1) is None  # no rate of 4 bits
    assert floors.product(10, 10, 1, "ternary", 2) is None
    assert floors.network("lstm", 8, 1, 4, "ternary", 2) is None
    assert Floors.read(tmp_path / "none.json") is None
    (tmp_path / "ceilings.json").write_text(json.dumps({"records": records()}))
    read = Floors.read(tmp_path / "ceilings.json")
    assert read is not None
    assert read.rates == floors.rates


@pytest.mark.parametrize(("cell", "rows", "own", "inputs"), [("lstm", 4, 1, 1), ("gru", 3, 1, 1), ("qrnn", 3, 0, 2)])
def test_a_network_is_its_products_of_inputs_at_once_and_of_outputs_step_by_step(cell, rows, own, inputs):
    floors, hidden, layers, steps = Floors(records()), 100, 2, 8
    held = layers * rows * hidden * hidden * (inputs + own)
    at_once = floors.product(rows * hidden, inputs * hidden, steps, "ternary", 1, held)
    first, further = (floors.product(rows * hidden, hidden, 1, "ternary", 1, many) for many in (held, 0))
    assert at_once is not None
    assert first is not None
    assert further is not None
    wanted = layers * (at_once["floor_us"] + own * (first["floor_us"] + 7 * further["floor_us"]))
    found = floors.network(cell, hidden, layers, steps, "ternary", 1)
    assert found is not None
    assert found["floor_us"] == pytest.approx(wanted, abs=1e-3)
    assert found["bound"] == at_once["bound"]
