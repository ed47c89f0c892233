"""What is said of made-up differences: nothing without a test."""

import pytest

from studies.evidence.paired_tests import Comparison, compare, flip_p, holm, margin_p, student_tail, t_p

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


def test_three_pairs_cannot_convince_sign_flips():
    assert flip_p([-5.0, -5.1, -4.9]) == 0.25
    assert flip_p([-5.0, -5.1, -4.9, -5.2, -4.8]) == 2 / 32
    assert flip_p([1.0, -1.0, 0.0]) == 1.0


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
    assert better.sentence("points", 2).startswith("new against old: -2.02 ± 0.10 points, lower in 4 of 4 pairs (")
    assert better.sentence("points", 2).endswith("sign flips p = 0.12): better.")


def test_what_chance_explains_is_no_difference():
    (found,) = compare(rows("a", 10.0, 12.0, 11.0) + rows("b", 10.5, 11.9, 11.0), [("a", "b")], "test", NAMES)
    assert found.word == "no difference beyond chance"
    assert "lower in 1 of 3 pairs, 1 tied (" in found.sentence("points", 1)


def test_a_gain_that_many_comparisons_would_bring_by_chance_does_not_count():
    assert Comparison("new", "old", (-1.0, -1.2, -0.7), 0.02, 0.04).word == "better"
    assert Comparison("new", "old", (-1.0, -1.2, -0.7), 0.02, 0.08).word == "no difference beyond chance"


def test_only_seeds_that_both_arms_have_are_pairs():
    found = rows("a", 1.0, 2.0, 3.0) + rows("b", 5.0, 6.0, seeds=(1, 2))
    (pair,) = compare(found, [("a", "b")], "test", NAMES)
    assert pair.differences == (-3.0, -3.0)


def test_one_pair_or_none_says_nothing():
    one, none = compare(rows("a", 1.0) + rows("b", 2.0), [("a", "b"), ("a", "c")], "test", NAMES)
    assert one.sentence("points", 1) == "new against old: -1.0 points (a single pair, nothing to test)."
    assert none.sentence("points", 1) == "new against other: not measured."
