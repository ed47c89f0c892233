"""What study 05 says of made-up rows."""

import pytest

from studies.evidence import SealedRows, verdict
from studies.methods.logit_distillation import FALLING, TEACHERS, Best, Scale, choose, judge
from tests.studies.made_up import WILD, around, outcomes

SCALE = Scale(10, 4, 8, 1, 1, 1e-3, temperatures=(1, 2), coefficients=(0.1, 0.5, 1.0))
BEST = {teacher: Best(1, 1, "0.5") for teacher in TEACHERS}


def row(seed, teacher, temperature, coefficient, test, dev=0.0):
    found = {"seed": seed, "teacher": teacher, "temperature": temperature, "coefficient": coefficient}
    return found | {"dev": dev, "test": test, "test of the teacher": 5.0}


def rows(hard, falling, reach):
    """Test errors: a fixed coefficient has 10 at its best temperature and 12 at the other; `reach` is that of the
    falling one.
    """
    found = [row(seed, "none", 0, "0", test) for seed, test in enumerate(hard)]
    for teacher in TEACHERS:
        for seed, fixed in enumerate(around(10.0, 1)):
            for coefficient in map(str, SCALE.coefficients):
                found += [row(seed, teacher, 1, coefficient, fixed), row(seed, teacher, 2, coefficient, fixed + 2)]
            at_best = falling[seed]
            found += [
                row(seed, teacher, 1, FALLING, at_best),
                row(seed, teacher, 2, FALLING, at_best + reach[seed]),
            ]
    return found


GOOD = {"hard": around(13.0), "falling": around(10.0, 2), "reach": around(0.5, 3)}


@pytest.mark.parametrize(
    ("change", "found", "wanted"),
    [
        ({}, ["shown"] * 6, "holds"),
        ({"hard": around(10.0)}, ["open"] * 2 + ["shown"] * 4, "holds in part"),
        ({"hard": around(7.0)}, ["refuted"] * 2 + ["shown"] * 4, "holds in part"),
        ({"falling": around(11.5, 2)}, ["shown"] * 2 + ["refuted"] * 2 + ["shown"] * 2, "holds in part"),
        ({"reach": around(4.0, 3)}, ["shown"] * 4 + ["refuted"] * 2, "holds in part"),
        ({"reach": around(2.0, 3)}, ["shown"] * 4 + ["open"] * 2, "holds in part"),
        (
            {"hard": [10 + w for w in WILD], "falling": [11 + w for w in WILD[::-1]], "reach": around(2.0)},
            None,
            "undecided",
        ),
        ({"hard": around(7.0), "falling": around(12.0, 2), "reach": around(4.0)}, ["refuted"] * 6, "does not hold"),
    ],
)
def test_each_outcome_follows_from_the_rows(change, found, wanted):
    parts = judge(rows(**GOOD | change), BEST, SCALE)
    assert outcomes(parts) == (found or ["open"] * 6)
    assert verdict(parts) == wanted


def test_without_hard_labels_nothing_is_said_against_them():
    some = [one for one in rows(**GOOD) if one["teacher"] != "none"]
    assert outcomes(judge(some, BEST, SCALE)) == ["open"] * 2 + ["shown"] * 4


def test_temperature_and_coefficient_are_chosen_on_development_data():
    best = {(1, "0.1"): 1.0, (2, FALLING): 2.0}
    runs = SealedRows(
        [
            one | {"dev": best.get((one["temperature"], one["coefficient"]), 9.0), "test": -one["test"]}
            for one in rows(**GOOD)
        ],
        "toy",
    )
    assert choose(runs) == {teacher: Best(2, 1, "0.1") for teacher in TEACHERS}
