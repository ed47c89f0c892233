"""What study 06 says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods.sqwa import expand, judge
from tests.studies.made_up import WILD, around, outcomes

GOOD = {"plain": around(9.0), "snapshots": around(8.0, 1), "average": around(6.0, 2), "sqwa": around(5.0, 3)}
LOSSES = {"SQWA": around(1.0), "first": around(3.0, 1), "last": around(2.0, 2)}


def rows(losses=LOSSES, **arms):
    found = []
    arms = GOOD | arms
    for seed, (plain, snapshots, average, mine) in enumerate(zip(*arms.values(), strict=True)):
        base = {"network": "toy", "seed": seed, "dev": 0.0, "bits": 2}
        found += [
            base | {"arm": "plain", "test": plain},
            base
            | {"arm": "average", "test": average}
            | {"test of snapshots": [snapshots + 1, snapshots - 1], "test, requantized": 30.0},
            base | {"arm": "sqwa", "test": mine, "around": {name: values[seed] for name, values in losses.items()}},
        ]
    return found


@pytest.mark.parametrize(
    ("arms", "found", "wanted"),
    [
        ({}, ["shown"] * 3, "holds"),
        ({"average": around(8.0)}, ["open", "shown", "shown"], "holds in part"),
        ({"plain": around(4.0)}, ["shown", "shown", "refuted"], "holds in part"),
        ({"sqwa": around(10.0)}, ["shown", "refuted", "refuted"], "holds in part"),
    ],
)
def test_each_outcome_follows_from_the_rows(arms, found, wanted):
    parts = judge({"perceptron": rows(**arms), "lstm": rows(**arms)})
    assert outcomes(parts) == [*found * 2, "shown", "shown"]
    assert verdict(parts) == wanted


@pytest.mark.parametrize(
    ("mine", "outcome"), [(around(5.0), "refuted"), ([2 + wild for wild in WILD], "open"), (around(0.5), "shown")]
)
def test_the_loss_around_the_result_is_compared_with_both_captured_networks(mine, outcome):
    parts = judge({"perceptron": rows(LOSSES | {"SQWA": mine})})
    assert outcomes(parts) == ["shown"] * 3 + [outcome] * 2


def test_wild_seeds_decide_nothing_and_a_bad_average_refutes():
    wild = {"plain": WILD, "snapshots": WILD[::-1], "average": around(0.0), "sqwa": around(0.0)}
    tied = dict.fromkeys(LOSSES, WILD)
    assert verdict(judge({"perceptron": rows(tied, **wild)})) == "undecided"
    worse = {"average": around(20.0), "sqwa": around(20.0, 1)}
    assert verdict(judge({"perceptron": rows(tied, **worse)})) == "does not hold"


def test_captured_networks_count_by_their_mean():
    found = {row["arm"]: row["test"] for row in expand(rows()) if row["seed"] == 3}
    assert found["snapshots"] == pytest.approx(GOOD["snapshots"][3])
    assert found["last"] == GOOD["snapshots"][3] - 1
    assert found["requantized"] == 30.0
