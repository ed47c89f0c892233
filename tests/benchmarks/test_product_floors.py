"""What is said of made-up rows of the benchmark of floors, and one small setting."""

import pytest

from benchmarks.product_floors import LEVELS, findings, measure_setting, shape, study
from fewbit.native import targets


def record(share, format="int8", frames=1, bound="read"):
    made = {"format": format, "level": "memory", "frames": frames, "bytes": 64, "rows": 8, "columns": 8}
    times = {"median_us": 2.0, "p10_us": 2.0, "read_us": 1.0, "unpack_us": 1.0, "multiply_us": 1.0}
    return made | times | {"bound": bound, "share": share}


def test_largest_share_and_those_above_one_are_told():
    found = findings([record(0.5), record(1.02, frames=16, bound="multiply"), record(0.25, "ternary")])
    assert found[0].startswith(
        "The largest share is 102.0 % (int8, weights in memory, 16 frames, longest part: multiply)"
    )
    assert found[0].endswith("1 of 3 products are above 100 %.")
    assert found[1] == "int8: the longest part takes 50 % to 50 % for a single frame, 102 % to 102 % for blocks."
    assert found[2] == "ternary: the longest part takes 25 % to 25 % for a single frame."


def test_study_has_a_row_for_each_record():
    made = study({"target": "scalar", "threads": 1, "records": [record(0.5), record(0.6)]})
    assert [row[-1] for row in made.tables[0].rows] == [0.5, 0.6]
    assert made.verdict == "no claim"


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_shapes_fill_their_level(bits):
    for size in LEVELS.values():
        rows, columns = shape(bits, size)
        assert rows >= 16
        assert 0.95 * size <= rows * columns * bits / 8 <= size


def test_a_small_product_is_measured():
    found = measure_setting("int3", 4096, 2, targets()[0], 1, 0.005)
    assert found["share"] == pytest.approx(
        max(found[f"{p}_us"] for p in ("read", "unpack", "multiply")) / found["median_us"]
    )
    assert found["bytes"] >= found["rows"] * found["columns"] * 3 // 8
