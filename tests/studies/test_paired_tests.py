"""What is said of made-up differences: nothing without a test."""

import pytest

from studies.evidence import paired_tests
from studies.evidence.paired_tests import (
    Comparison,
    by_seed,
    compare,
    difference,
    holm,
    margin_p,
    student_quantile,
    student_tail,
    t_p,
)

NAMES = {"a": "new", "b": "old", "c": "other"}


def rows(arm, *values, seeds=None):
    return [{"arm": arm, "seed": seed, "test": value} for seed, value in zip(seeds or range(9), values, strict=False)]


@pytest.mark.parametrize(
    ("freedom", "t", "p"),
    [(1, 1.0, 0.5), (2, 2.0, 0.18350), (3, 3.182446, 0.05), (4, 2.776445, 0.05), (5, 4.032143, 0.01), (8, 0.0, 1.0)],
)
def test_the_tail_of_t_is_that_of_the_tables(freedom, t, p):
    assert student_tail(t, freedom) == pytest.approx(p, abs=1e-5)
    assert student_tail(-t, freedom) == student_tail(t, freedom)


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.7062), (2, 4.30265), (4, 2.776445), (9, 2.262157)])
def test_the_quantile_of_t_is_that_of_the_tables(freedom, t):
    assert student_quantile(freedom) == pytest.approx(t, rel=1e-4)


def test_pairs_without_spread_or_without_difference():
    assert t_p([0.0, 0.0, 0.0]) == 1.0
    assert t_p([-1.0]) == 1.0
    assert t_p([-1.0, -1.0, -1.0]) == 0.0


def test_a_margin_is_kept_only_where_pairs_agree_on_it():
    assert margin_p([0.1, -0.1, 0.2, 0.0], 1.0) < 0.005
    assert margin_p([3.0, -3.0, 2.0, -2.0], 1.0) > 0.2
    assert margin_p([1.9, 2.0, 2.1], 1.0) > 0.99
    assert margin_p([1.0, 1.0], 1.0) == 0.5
    assert margin_p([0.0], 1.0) == 0.5  # a single pair says nothing


def test_holm_holds_all_comparisons_together():
    assert holm([0.04, 0.01]) == [0.04, 0.02]
    assert holm([0.03, 0.03, 0.9]) == pytest.approx([0.09, 0.09, 0.9])
    assert holm([]) == []


def test_a_clear_gain_is_better_and_a_clear_loss_is_worse():
    found = rows("a", 10.0, 11.0, 12.1, 9.9) + rows("b", 12.0, 13.1, 14.0, 12.0) + rows("c", 14.1, 15.0, 16.0, 14.0)
    better, worse = compare(found, [("a", "b"), ("c", "b")], "test", NAMES)
    assert (better.word, worse.word) == ("better", "worse")
    assert better.interval == pytest.approx((-2.1773, -1.8727), abs=1e-3)
    assert better.sentence.startswith("new against old: -2.02 points, 95 % interval -2.18 to -1.87, p < ")
    assert better.sentence.endswith(" after Holm: better")


def test_what_chance_explains_is_no_difference():
    (found,) = compare(rows("a", 10.0, 12.0, 11.0) + rows("b", 10.5, 11.9, 11.0), [("a", "b")], "test", NAMES)
    assert found.word == "no difference beyond chance"
    assert found.outcome == "tie"
    assert found.sentence.endswith(" after Holm: no difference beyond chance")


def test_a_gain_that_many_comparisons_would_bring_by_chance_does_not_count():
    pairs = by_seed(("new", {0: -1.0, 1: -1.2, 2: -0.7}), ("old", 0.0))
    assert Comparison(pairs, 0.02, 0.04).outcome == "better"
    assert Comparison(pairs, 0.02, 0.08).outcome == "tie"
    assert {one.outcome for one in paired_tests.tested([pairs] * 4)} == {"tie"}
    assert paired_tests.tested([pairs])[0].outcome == "better"


def test_only_seeds_that_both_arms_have_are_pairs():
    found = rows("a", 1.0, 2.0, 3.0) + rows("b", 5.0, 6.0, seeds=(1, 2))
    (pair,) = compare(found, [("a", "b")], "test", NAMES)
    assert pair.difference.values == (-3.0, -3.0)
    assert pair.difference.seeds == (1, 2)


def test_one_pair_or_none_says_nothing():
    one, none = compare(rows("a", 1.0) + rows("b", 2.0), [("a", "b"), ("a", "c")], "test", NAMES)
    assert one.sentence == "new against old: -1.00 points, a single pair, nothing to test"
    assert none.sentence == "new against other: not measured"
    assert (one.outcome, none.outcome) == ("tie", "tie")


def test_arms_that_change_places_change_the_outcome_and_the_signs():
    found = rows("a", 10.0, 11.0, 12.1, 9.9) + rows("b", 12.0, 13.1, 14.0, 12.0)
    (mine,), (theirs,) = (compare(found, [pair], "test", NAMES) for pair in (("a", "b"), ("b", "a")))
    assert (mine.outcome, theirs.outcome) == ("better", "worse")
    assert mine.p == theirs.p
    assert mine.interval == pytest.approx([-end for end in reversed(theirs.interval)])


def test_two_rows_of_a_seed_are_no_pairs():
    twice = rows("a", 1.0, 2.0, seeds=(0, 0))
    with pytest.raises(ValueError, match="new: 2 rows of 1 seeds; wanted one row a seed"):
        difference(("new", twice), ("old", twice))


def test_numbers_of_seeds_are_paired_with_each_other_or_with_a_bound():
    assert by_seed(("new", {2: 1.0, 0: 3.0}), ("old", {0: 1.0, 1: 9.0, 2: 0.5})).values == (2.0, 0.5)
    assert by_seed(("new", {2: 1.0, 0: 3.0}), ("2", 2.0)).values == (1.0, -1.0)
    assert by_seed(("new", {}), ("2", 2.0)).values == ()
