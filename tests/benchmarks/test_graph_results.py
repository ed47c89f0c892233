"""What is said of made-up rows of the benchmarks of graphs."""

import pytest

from benchmarks.graph_results import networks, peers


def row(network, quantization, arithmetic, noise=0.05, **more):
    agreement = {"float_fake": {"kl": quantization}, "fake_program": {"kl": arithmetic, "same_clear": 0.5}}
    agreement["fake_noise"] = {"kl": noise, "same_clear": 0.75}
    found = {
        "network": network,
        "weights": "int8",
        "ops": 3,
        "file_bytes": 25,
        "float_bytes": 100,
        "executor": "Native",
    }
    measure = {kind: {"error": 0.25} for kind in ("float", "fake", "program")}
    return found | {"agreement": agreement, "time": {"native_over_torch": 0.5}, "measure": measure} | more


def test_rows_where_integers_cost_at_most_half_of_quantization_are_counted_and_others_named():
    rows = [row("a", 0.2, 0.1), row("b", 0.1, 0.09), {"network": "c", "weights": "int4", "error": "pack: no rule"}]
    found = networks({"rows": rows})
    assert "at most half of what quantization costs in 1 of 2 rows" in found.findings[0]
    assert found.findings[0].endswith("more in b int8 (0.09 against 0.1).")
    assert found.findings[2] == "c int4: pack: no rule"
    assert found.tables[0].rows[0][3:9] == ("25.0", "0.2", "0.05", "0.1", "75.00", "50.00")


def test_rows_that_move_by_more_than_twice_the_noise_are_named():
    found = networks({"rows": [row("a", 0.2, 0.1), row("b", 0.2, 0.1, noise=0.04)]})
    assert "in 1 of 2 rows; by more in b int8 (0.1 against 0.04)." in found.findings[1]


def test_a_time_on_the_reference_is_not_shown():
    found = networks({"rows": [row("a", 0.2, 0.1, executor="Reference")]})
    assert found.tables[0].rows[0][-1] == "-"


@pytest.mark.parametrize("right", [True, False])
def test_rows_with_wrong_results_are_left_out(right):
    made = {"network": "n", "threads": 1, "library": "fewbit", "kind": "int8", "right": right, "peak_mb": 3.0}
    made |= {"median_us": 10.0, "p10_us": 9.0, "p90_us": 11.0, "times_best_int8": 2.0}
    found = peers({"rows": [made]})
    assert bool(found.tables[0].rows) == bool(found.findings) == right
    if right:
        assert found.findings[0] == "int8, 1 thread: 2.00 (n) to 2.00 (n) times as fast as the fastest int8 peer."
