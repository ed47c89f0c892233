"""What study 08 says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods.speq import compare_beside, judge
from tests.studies.made_up import WILD, around, outcomes


def rows(plain, teacher, mine, unit=1.0, **more):
    arms = {"plain": plain, "teacher": teacher, "SPEQ": mine} | more
    return [
        {"seed": seed, "arm": arm, "test": unit * test}
        for arm, values in arms.items()
        for seed, test in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("arms", "better", "near", "wanted"),
    [
        ((around(9.0), around(7.0, 1), around(7.0, 2)), "shown", "shown", "holds"),
        ((around(7.0), around(7.0, 1), around(7.0, 2)), "open", "shown", "holds in part"),
        ((around(9.0), around(5.0, 1), around(7.0, 2)), "shown", "refuted", "holds in part"),
        ((WILD, WILD[::-1], around(0.0)), "open", "open", "undecided"),
        ((around(5.0), around(5.0, 1), around(7.0, 2)), "refuted", "refuted", "does not hold"),
        ((around(9.0), [], around(7.0, 2)), "shown", "open", "holds in part"),
    ],
)
def test_each_outcome_follows_from_the_rows(arms, better, near, wanted):
    parts = judge(rows(*arms), rows(*arms, unit=0.01))
    assert outcomes(parts) == [better, better, near, near]
    assert verdict(parts) == wanted


def test_the_margin_of_text_is_its_own():
    arms = around(9.0), around(7.0, 1), around(7.3, 2)
    assert outcomes(judge(rows(*arms), rows(*arms))) == ["shown", "shown", "shown", "refuted"]


def test_plain_retraining_of_as_many_gradients_stands_beside_the_claim():
    found = compare_beside(rows(around(9.0), around(7.0, 1), around(7.0, 2), longer=around(6.0)), "points", 2)
    assert [(one.difference.base, one.outcome) for one in found] == [
        ("plain retraining, 1.5 times as long", "worse"),
        ("plain retraining", "better"),
    ]
