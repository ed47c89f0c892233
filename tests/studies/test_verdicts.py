"""What comes of a claim: from its parts alone, and a tie shows nothing."""

from itertools import product

import pytest

from studies.evidence import Part, verdict
from studies.evidence.paired_tests import by_seed
from studies.evidence.verdicts import as_good, better, comparisons_of, rank_correlation
from tests.studies.made_up import WILD, around, outcomes


def gap(*values):
    return by_seed(("new", dict(enumerate(values))), ("old", 0.0))


def test_a_statement_is_shown_refuted_or_open():
    parts = better([("A", gap(*around(-1))), ("B", gap(*around(1))), ("C", gap(*around(0))), ("D", gap(*WILD))])
    assert outcomes(parts) == ["shown", "refuted", "open", "open"]
    assert parts[0].finding.startswith("A: shown (-1.00 points, 95 % interval -1.10 to -0.90, p < ")
    assert [one.outcome for one in comparisons_of(parts)] == ["better", "worse", "tie", "tie"]


def test_a_tie_or_a_single_pair_or_none_is_never_better():
    for values in ((0.0,) * 5, (-9.0,), (), WILD):
        assert outcomes(better([("A", gap(*values))])) == ["open"]
        assert outcomes(as_good([("A", gap(*values))], 1.0)) != ["refuted"]
    assert outcomes(as_good([("A", gap(-9.0))], 1.0)) == ["open"]
    assert better([("A", gap())])[0].finding == "A: open (not measured)."


def test_arms_that_change_places_change_the_outcome():
    turned = {"shown": "refuted", "refuted": "shown", "open": "open"}
    for values in (around(-1), around(0.3), around(0), WILD):
        mine = outcomes(better([("A", gap(*values))]))
        theirs = outcomes(better([("A", gap(*(-value for value in values)))]))
        assert theirs == [turned[mine[0]]]


def test_one_statement_among_many_needs_more():
    values = (-1.0, -0.2, -0.9, -1.6, -0.4)
    assert outcomes(better([("A", gap(*values))])) == ["shown"]
    assert outcomes(better([("A", gap(*values))] * 9)) == ["open"] * 9


@pytest.mark.parametrize(
    ("values", "outcome"),
    [(around(0), "shown"), (around(0.5), "shown"), (around(-3), "shown"), (around(2), "refuted"), (WILD, "open")],
)
def test_as_good_is_judged_by_a_margin(values, outcome):
    (part,) = as_good([("A", gap(*values))], 1.0)
    assert part.outcome == outcome
    assert part.sentence.endswith("that it is worse by 1 points or more")


def test_each_statement_has_a_margin_of_its_own_and_both_are_corrected_together():
    near, far = (gap(0.4, 0.6, 0.5, 0.45, 0.55), gap(2.4, 2.6, 2.5, 2.45, 2.55))
    assert outcomes(as_good([("A", near), ("B", far)], [1.0, 3.0])) == ["shown", "shown"]
    assert outcomes(as_good([("A", near), ("B", far)], [3.0, 1.0])) == ["shown", "refuted"]
    close = gap(0.0, 0.95, 0.5, 0.85, 0.6)  # p is about 0.03: enough alone, not beside another like it
    assert outcomes(as_good([("A", close)], 1.0)) == ["shown"]
    assert outcomes(as_good([("A", close), ("B", close)], [1.0, 1.0])) == ["open", "open"]


def test_the_verdict_is_a_function_of_the_outcomes():
    def of(*found):
        return verdict([Part("", outcome, "") for outcome in found])

    assert of("shown", "shown") == "holds"
    assert {of("shown", "open"), of("refuted", "shown"), of("shown", "open", "refuted")} == {"holds in part"}
    assert {of("open"), of("open", "open"), of()} == {"undecided"}
    assert {of("refuted"), of("open", "refuted")} == {"does not hold"}
    for found in product(("shown", "open", "refuted"), repeat=3):
        assert of(*found) == of(*sorted(found))


def test_rank_correlation_sees_order_only():
    x, y = [0, 1, 2, 3], [5.0, 1.0, 0.5, 0.1]
    assert rank_correlation(x, y) == pytest.approx(-1)
    assert rank_correlation(x, [value**3 for value in y]) == pytest.approx(-1)
    assert rank_correlation(x, [1.0] * 4) == 0
    assert rank_correlation([0, 0, 1, 1], [1.0, 2.0, 1.0, 2.0]) == pytest.approx(0)
