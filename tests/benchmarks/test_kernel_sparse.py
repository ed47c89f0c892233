"""What is said of made-up rounds of the benchmark of kept kernels, and one small setting."""

import pytest

from benchmarks.kernel_sparse import BENCHMARK
from fewbit.native import targets


def record(gains, chosen="kept", maps=64, kept=0.2, target="scalar"):
    made = {"maps": maps, "side": 8, "kept": kept, "format": "int8", "target": target, "chosen": chosen}
    return made | {"plain_bytes": 9, "kept_bytes": 3, "all_us": 2.0, "kept_us": 1.0, "gains": gains}


def test_the_claim_counts_large_layers_of_few_kernels_only():
    faster, slower, open_ = [2.0, 2.1, 2.0], [0.5, 0.51, 0.5], [0.9, 1.1, 1.0]
    found = BENCHMARK.findings([record(faster), record(open_), record(faster, kept=0.35), record(slower, maps=16)])
    assert found[0] == (
        "`scalar`: from 64 x 64 kernels on, of which at most 20 % are kept, leaving the others out is faster in 1 of 2 "
        "settings, by 1.00 to 2.03 times."
    )


def test_the_rule_errs_only_beyond_intervals():
    faster, slower, open_ = [2.0, 2.1, 2.0], [0.5, 0.51, 0.5], [0.9, 1.1, 1.0]
    records = [record(faster, "all"), record(slower, "kept"), record(open_, "all"), record(open_, "kept")]
    assert BENCHMARK.findings([*records, record(faster), record(slower, "all")])[1] == (
        "`scalar`, all settings: faster in 2 of 6, slower in 2. The rule of the runtime leaves 1 of the faster ones "
        "unused and takes 1 of the slower ones."
    )


def test_study_has_a_row_for_each_record():
    made = BENCHMARK.study([record([2.0, 2.0]), record([2.0, 2.0], target="avx2")], 2)
    assert [row[3] for row in made.tables[0].rows] == ["scalar", "avx2"]
    assert made.tables[0].rows[0][:3] == ("64 x 64", "8 x 8", "int8")


@pytest.mark.parametrize("kept", [0.5, 0.2])
def test_the_share_of_kept_kernels_is_exact(kept):
    assert BENCHMARK.network(16, 8, kept, "ternary")[1].weight.kept_kernels == round(256 * kept)


def test_a_small_setting_is_measured():
    found = BENCHMARK.measure(16, 8, 0.2, "ternary", targets()[0], 2, 0.005)
    assert len(found["gains"]) == 2
    assert found["kept_bytes"] < found["plain_bytes"]
    assert found["chosen"] in ("kept", "all")
