"""What study 09 says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods.symmetric_sgd import Scale, judge, one_sided
from tests.studies.made_up import WILD, around, outcomes

SCALE = Scale(pictures=10, width=4, epochs=1, lr=0.1, alphas=(0.1, 0.4))
BEST = {"symmetric": 0.1, "one-sided": 0.1, "gauss": 0.1}
MEASURES = ("rise", "test", "test int3", "test ternary")
GOOD = {("symmetric", 1): around(1.0), ("SGD", 1): around(3.0, 1), ("SGD", 2): around(3.0, 2)}
GOOD |= {("one-sided", 1): around(3.0, 3)}


def rows(arms):
    """Rows in which all measures of an arm are the same, at each size of noise."""
    return [
        {"seed": seed, "kind": kind, "alpha": alpha, "times": times} | dict.fromkeys(MEASURES, value)
        for (kind, times), values in arms.items()
        for alpha in ((0.0,) if kind == "SGD" else SCALE.alphas)
        for seed, value in enumerate(values)
    ]


def judged(change):
    return judge(rows(GOOD | change), BEST, SCALE)


def test_the_claim_holds_where_symmetric_noise_is_better_than_all():
    assert outcomes(judged({})) == ["shown"] * 8
    assert verdict(judged({})) == "holds"


@pytest.mark.parametrize(
    ("values", "outcome", "wanted"),
    [
        (around(3.0), "open", "undecided"),
        ([3 + wild for wild in WILD], "open", "undecided"),
        (around(6.0), "refuted", "does not hold"),
    ],
)
def test_noise_that_is_not_better_shows_nothing(values, outcome, wanted):
    parts = judged({("symmetric", 1): values})
    assert outcomes(parts) == [outcome] * 8
    assert verdict(parts) == wanted


def test_a_base_of_as_many_gradients_counts():
    parts = judged({("SGD", 2): around(0.0, 2)})
    assert [part.outcome for part in parts if "of as many gradients" in part.says] == ["refuted", "refuted"]
    assert verdict(parts) == "holds in part"


def test_a_base_that_was_not_measured_leaves_its_parts_open():
    parts = judge([row for row in rows(GOOD) if row["times"] == 1], BEST, SCALE)
    assert [part.outcome for part in parts if "of as many gradients" in part.says] == ["open", "open"]
    assert next(part.sentence for part in parts if "of as many gradients" in part.says).endswith("not measured")


def test_arms_that_change_places_change_the_outcome():
    parts = judged({("symmetric", 1): GOOD["SGD", 1], ("SGD", 1): GOOD["symmetric", 1]})
    assert [part.outcome for part in parts if part.says.endswith("than SGD")] == ["refuted", "refuted"]
    assert [one.outcome for one in one_sided(rows(GOOD), SCALE)] == ["better", "better"]
