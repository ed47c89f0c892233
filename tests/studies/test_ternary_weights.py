"""What the study of ternary weights says of made-up rows: each outcome has its words and its verdict."""

import pytest

from studies.evidence import verdict
from studies.methods.ternary_weights import ARMS, judge
from tests.studies.made_up import WILD, around, outcomes

PEER = (10.0, 11.0, 12.0, 10.5, 11.5)


def rows(fixed, adaptive):
    """Rows of the peer, and of both arms as distances from it."""
    errors = {
        "ternary+twn": PEER,
        "ternary": [base + gap for base, gap in zip(PEER, fixed, strict=True)],
        "ternary+adaptive": [base + gap for base, gap in zip(PEER, adaptive, strict=True)],
    }
    return [
        {"arm": arm, "seed": seed, "lr": 0.01, "dev": test, "test": test, "zeros": 40.0}
        for arm, values in errors.items()
        for seed, test in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("gaps", "outcome"),
    [
        (around(-2.0), "shown"),
        (around(0.0), "shown"),
        (around(0.5), "shown"),  # worse, but by less than the margin
        (around(2.0), "refuted"),
        (WILD, "open"),
    ],
)
def test_each_outcome_follows_from_the_rows(gaps, outcome):
    fixed, adaptive = judge(rows(gaps, around(0.0)))
    assert (fixed.outcome, adaptive.outcome) == (outcome, "shown")
    assert fixed.comparison.sentence.startswith(f"{ARMS['ternary']} against {ARMS['ternary+twn']}: ")
    assert fixed.sentence.startswith(f"{fixed.comparison.figures}, p ")
    assert "95 % interval" in fixed.comparison.figures
    assert "that it is worse by 1 points or more" in fixed.sentence


@pytest.mark.parametrize(
    ("fixed", "adaptive", "wanted"),
    [
        (around(0.0), around(-1.0), "holds"),
        (around(2.0), around(0.0), "holds in part"),
        (around(0.0), WILD, "holds in part"),
        (WILD, WILD, "undecided"),
        (around(2.0), around(2.0), "does not hold"),
        (around(2.0), WILD, "does not hold"),
    ],
)
def test_the_verdict_follows_from_both_parts(fixed, adaptive, wanted):
    assert verdict(judge(rows(fixed, adaptive))) == wanted


def test_an_arm_that_is_missing_leaves_its_part_open():
    some = [row for row in rows(around(0.0), around(0.0)) if row["arm"] != "ternary"]
    assert outcomes(judge(some)) == ["open", "shown"]
    assert outcomes(judge([row for row in some if row["arm"] != "ternary+twn"])) == ["open", "open"]
