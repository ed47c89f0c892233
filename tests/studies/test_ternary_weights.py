"""What the study of ternary weights says of made-up rows: each outcome has its words and its verdict."""

import pytest

from studies.evidence.verdicts import verdict
from studies.methods.ternary_weights import ARMS, at_best_lr, judge

PEER = (10.0, 11.0, 12.0, 10.5, 11.5)
NOISE = (0.1, -0.1, 0.05, 0.0, -0.05)


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


def moved(by):
    return [by + gap for gap in NOISE]


@pytest.mark.parametrize(
    ("gaps", "shown", "word", "end"),
    [
        (moved(-2.0), True, "better", "The arm is at least as good"),
        (moved(0.0), True, "no difference beyond chance", "The arm is at least as good"),
        (moved(2.0), False, "worse", "The arm is worse"),
        (moved(0.5), False, "worse", "The arm is worse"),  # within the margin, and still shown to be worse
        ((4.0, -4.0, 3.0, -3.5, 1.0), False, "no difference beyond chance", "These pairs do not decide"),
        ((-9.0, 1.0, -2.0, 0.5, -1.0), False, "no difference beyond chance", "These pairs do not decide"),
    ],
)
def test_each_outcome_has_its_words(gaps, shown, word, end):
    fixed, adaptive = judge(rows(gaps, moved(0.0)))
    assert fixed[0] is shown
    assert fixed[1].startswith(f"{ARMS['ternary']} against {ARMS['ternary+twn']}: ")
    assert f"{word}. {end}" in fixed[1]
    assert "sign flips p = " in fixed[1]
    assert "one-sided paired t-test that it is worse by 1 point or more: p = " in fixed[1]
    assert adaptive[0] is True


@pytest.mark.parametrize(
    ("fixed", "adaptive", "wanted"),
    [(0.0, -1.0, "holds"), (2.0, 0.0, "holds in part"), (0.0, 2.0, "holds in part"), (2.0, 2.0, "does not hold")],
)
def test_the_verdict_follows_from_both_parts(fixed, adaptive, wanted):
    assert verdict([part for part, _ in judge(rows(moved(fixed), moved(adaptive)))]) == wanted


def test_the_rate_of_each_arm_is_chosen_on_development_data():
    near, far = rows(moved(0.0), moved(0.0)), rows(moved(0.0), moved(0.0))
    far = [{**row, "lr": 0.1, "test": 0.0, "dev": row["dev"] + (-1 if row["arm"] == "ternary" else 1)} for row in far]
    best = at_best_lr(near + far)
    assert {(row["arm"], row["lr"]) for row in best} == {
        ("ternary", 0.1),
        ("ternary+adaptive", 0.01),
        ("ternary+twn", 0.01),
    }
