"""What is said of made-up rounds of the benchmark of kept columns, and one small setting."""

import pytest

from benchmarks.strided import BENCHMARK
from fewbit.native import targets
from tests.benchmarks.test_kernel_sparse import record


def test_the_claim_counts_large_layers_of_half_of_the_columns_only():
    faster, slower, open_ = [2.0, 2.1, 2.0], [0.5, 0.51, 0.5], [0.9, 1.1, 1.0]
    records = [record(faster, kept=0.5), record(open_), record(slower, kept=0.75), record(slower, maps=16)]
    assert BENCHMARK.findings(records)[0] == (
        "`scalar`: from 64 x 64 kernels on, of whose columns at most half are kept, leaving the others out is faster "
        "in 1 of 2 settings, by 1.00 to 2.03 times."
    )


@pytest.mark.parametrize("kept", [0.5, 0.2])
def test_the_share_of_kept_columns_is_exact(kept):
    for conv in BENCHMARK.network(16, 8, kept, "ternary")[1:]:
        assert conv.weight.kept_columns == round(144 * kept)


def test_a_small_setting_is_measured():
    found = BENCHMARK.measure(16, 8, 0.2, "ternary", targets()[0], 2, 0.005)
    assert len(found["gains"]) == 2
    assert found["kept_bytes"] < 0.3 * found["plain_bytes"]
    assert found["chosen"] in ("kept", "all")
