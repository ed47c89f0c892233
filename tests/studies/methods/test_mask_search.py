"""What study 26 says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods.mask_search import RATIOS, beside_claim, judge
from tests.studies.made_up import WILD, around, outcomes

GOOD = {"random": around(50.0), "magnitude": around(40.0, 1), "best of N": around(30.0, 2), "particles": around(20.0)}
FAR = [20 + wild for wild in WILD]


def rows(**arms):
    return [
        {"seed": seed, "arm": arm, "ratio": ratio, "test before": test, "test": test / 10}
        for arm, tests in (GOOD | arms).items()
        for ratio in RATIOS
        for seed, test in enumerate(tests)
    ]


@pytest.mark.parametrize(
    ("arms", "found", "wanted"),
    [
        ({}, ["shown", "shown", "shown"], "holds"),
        ({"best of N": around(20.0, 2)}, ["open", "shown", "shown"], "holds in part"),
        ({"magnitude": around(10.0, 1)}, ["shown", "refuted", "refuted"], "holds in part"),
        ({"best of N": FAR, "magnitude": FAR[::-1]}, ["open", "open", "open"], "undecided"),
        ({"magnitude": around(5.0, 1), "best of N": around(10.0, 2)}, ["refuted"] * 3, "does not hold"),
        ({"magnitude": []}, ["shown", "open", "open"], "holds in part"),
    ],
)
def test_each_outcome_follows_from_the_rows(arms, found, wanted):
    parts = judge(rows(**arms))
    assert outcomes(parts) == found * 2 * len(RATIOS)
    assert verdict(parts) == wanted


def test_before_and_after_retraining_are_judged_by_their_own_errors():
    measured = rows()
    for row in measured:
        row["test"] += 9.0 * (row["arm"] == "particles" and row["ratio"] == RATIOS[-1])
    parts = judge(measured)
    assert outcomes(parts) == ["shown"] * 9 + ["refuted", "refuted", "shown"]
    assert parts[0].says == "Particle filter against best of random masks, 50 % of the maps, before retraining"
    assert parts[-1].says.endswith("70 % of the maps, after retraining")


def test_only_what_was_measured_stands_beside_the_claim():
    assert beside_claim(rows()) == [("particles", "random")]
    assert beside_claim(rows(GroupTaylor=around(9.0))) == [("particles", "random"), ("particles", "GroupTaylor")]
