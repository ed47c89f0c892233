"""What study 02 says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods.weight_sensitivity import ASSIGNED, BUDGETS, extremes, judge
from tests.studies.made_up import WILD, around, outcomes


def cells(**losses):
    return [
        {"seed": seed, "kind": "weights", "what": what, "spec": "ternary", "loss": loss}
        for what, values in losses.items()
        for seed, loss in enumerate(values)
    ]


def rows(uniform, assigned):
    return [
        {"seed": seed, "name": name, "budget": budget, "arm": arm, "test": test}
        for name in ASSIGNED
        for budget in BUDGETS
        for arm, values in (("uniform", uniform), ("assigned", assigned))
        for seed, test in enumerate(values)
    ]


APART = cells(input=around(1.0), inner=around(5.0, 1), output=around(3.0, 2))
NEAR = cells(input=around(1.0), inner=around(1.5, 1))


@pytest.mark.parametrize(
    ("alone", "uniform", "assigned", "found", "wanted"),
    [
        (APART, around(9.0), around(7.0, 1), ["shown", "shown"], "holds"),
        (NEAR, around(9.0), around(7.0, 1), ["refuted", "shown"], "holds in part"),
        (APART, around(9.0), around(9.0, 1), ["shown", "open"], "holds in part"),
        (cells(input=WILD, inner=WILD[::-1]), WILD, around(0.0), ["open", "open"], "undecided"),
        (NEAR, around(7.0), around(9.0, 1), ["refuted", "refuted"], "does not hold"),
        (APART, around(9.0), [], ["shown", "open"], "holds in part"),
    ],
)
def test_each_outcome_follows_from_the_rows(alone, uniform, assigned, found, wanted):
    parts = judge(rows(uniform, assigned), dict.fromkeys(ASSIGNED, alone))
    assert outcomes(parts) == found * len(ASSIGNED)
    assert verdict(parts) == wanted


def test_the_other_seeds_say_which_matrix_is_most_sensitive():
    least, most = extremes(cells(a=(9.0, 1.0, 1.0), b=(2.0, 3.0, 3.0)))
    assert most[0] == {"seed": 0, "loss": 2.0}  # though the loss of a is larger in this seed
    assert least[0] == {"seed": 0, "loss": 18.0}
