"""What is said of made-up rounds of the benchmark of sparse codes, and one small setting."""

import pytest

from benchmarks.sparse_ternary import findings, interval, measure_setting, study
from fewbit.native import targets


def record(ratios, target="scalar"):
    made = {"size": 64, "frames": 1, "target": target, "sparse_bytes": 1, "ternary_bytes": 2}
    return made | {"sparse_us": 1.0, "ternary_us": 2.0, "ratios": ratios}


def test_the_interval_is_that_of_the_logarithms():
    ratio, low, high = interval([0.5, 2.0])
    assert ratio == pytest.approx(1.0)
    assert low == pytest.approx(1 / high)
    assert high == pytest.approx(2**12.706, rel=0.01)  # Student's t of one degree of freedom, 97.5 %


def test_what_lies_within_its_interval_is_neither_faster_nor_slower():
    found = findings([record([0.5, 0.51, 0.5]), record([2.0, 2.1, 2.0]), record([0.9, 1.1, 1.0])])
    assert found == (
        "`scalar`: sparse codes are faster in 1 of 3 settings and slower in 1; they take 0.50 to 2.03 times the time.",
    )


def test_study_has_a_row_for_each_record():
    made = study([record([0.5, 0.5]), record([0.5, 0.5], "avx2")], 2)
    assert [row[2] for row in made.tables[0].rows] == ["scalar", "avx2"]
    assert len(made.findings) == 2


def test_a_small_product_is_measured():
    found = measure_setting(64, 2, targets()[0], 2, 0.005)
    assert len(found["ratios"]) == 2
    assert found["sparse_bytes"] < found["ternary_bytes"]
