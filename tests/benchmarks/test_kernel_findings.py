"""What is said of made-up rows of the benchmark of kernels."""

import pytest

from benchmarks.kernel_findings import count, counts, findings
from benchmarks.kernel_results import products
from fewbit.analysis.report import Table

PRODUCTS = ("weights", "frames", "threads", "format", "times as fast", "than the best of its width")
NETWORKS = ("cell", "hidden", "frames a call", "format", "times as fast")


@pytest.mark.parametrize(
    ("ratio", "found"), [(1.051, (1, 0, 0)), (1.05, (0, 1, 0)), (0.95, (0, 1, 0)), (0.949, (0, 0, 1))]
)
def test_ties_are_ratios_near_one(ratio, found):
    assert count([ratio]) == found


def test_every_format_has_a_sentence_of_its_own_rows():
    rows = (("a", 1, 1, "ternary", 2.0, 3.0), ("a", 1, 1, "int8", 0.5, 1.5), ("a", 16, 1, "int8", 1.0, 1.0))
    whole, ternary, int8 = findings([Table("", PRODUCTS, rows)])
    assert whole.endswith("than the best peer of any width: ternary in 1 of 1, int8 in 0 of 2.")
    assert ternary.endswith("in 1 of 1 rows, as fast within 5 % in 0, slower in 0; 2.00 to 2.00 times as fast.")
    assert int8.endswith("in 0 of 2 rows, as fast within 5 % in 1, slower in 1; 0.50 to 1.00 times as fast.")


def test_counts_part_vectors_from_blocks_and_widths():
    rows = (("a", 1, 1, "int8", 0.5, 1.5), ("a", 16, 1, "int8", 0.7, 1.0), ("a", 64, 1, "int8", 0.8, 0.9))
    assert counts([Table("", PRODUCTS, rows)]).rows == (
        ("int8", "a vector", "any width", 1, 0, 0, 1, "0.50 to 0.50"),
        ("int8", "a vector", "its width", 1, 1, 0, 0, "1.50 to 1.50"),
        ("int8", "a block of frames", "any width", 2, 0, 0, 2, "0.70 to 0.80"),
        ("int8", "a block of frames", "its width", 2, 0, 1, 1, "0.90 to 1.00"),
    )


def test_counts_part_cells():
    rows = (("sru", 512, 1, "ternary", 1.2), ("lstm", 512, 1, "ternary", 0.9))
    found = counts([Table("", NETWORKS, rows)]).rows
    assert [row[1] for row in found] == ["SRU", "LSTM"]
    assert [row[4:7] for row in found] == [(1, 0, 0), (0, 0, 1)]


def test_rows_without_a_peer_do_not_count():
    rows = (("a", 1, 1, "int8", "-", "-"), ("a", 1, 1, "int8", 2.0, "-"))
    _, found = findings([Table("", PRODUCTS, rows)])
    assert "in 1 of 1 rows" in found
    assert len(counts([Table("", PRODUCTS, rows)]).rows) == 1


def test_records_become_rows_that_findings_can_read():
    case = {"median_us": 2.0, "p10_us": 1.0, "p90_us": 3.0, "frames": 1, "best_any_width": "peer"}
    case |= {"times_best_any_width": 4.0, "times_best_same_width": 4.0, "times_best_int8": 4.0}
    peer = {"name": "peer", "median_us": 8.0}
    record = {"rows": 4, "columns": 4, "frames": 1, "threads": 1, "fewbit": {"int3": case}, "peers": [peer]}
    _, found = findings([products([record])])
    assert found.startswith("Products with int3 weights: faster than the best peer of any width in 1 of 1 rows")
