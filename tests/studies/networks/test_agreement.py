"""Agreement of two networks: what counts, and what is counted apart."""

import numpy as np
import pytest

from studies.networks.agreement import FLOOR, agreement, cosine_distance, divergence, errors, rows_of, same_top

SCORES = np.array([[2.0, 0.0, -1.0], [0.1, 0.0, -3.0], [-1.0, 0.5, 3.0]])


def test_equal_outputs_agree_in_everything():
    found = agreement(SCORES, SCORES, "scores", np.array([0, 1, 2]))
    assert found["kl"] == 0 == found["largest_error"] == found["mean_error"] == found["cross_entropy_difference"]
    assert found["same"] == found["same_clear"] == 1
    assert agreement(SCORES, SCORES, "embedding")["cosine_distance"] == pytest.approx(0, abs=1e-15)


def test_a_constant_on_all_scores_changes_no_probability():
    assert divergence(SCORES, SCORES + 7) == pytest.approx(0, abs=1e-12)


def test_the_divergence_of_two_classes_is_that_of_their_probabilities():
    p, q = np.array([0.75, 0.25]), np.array([0.5, 0.5])
    assert divergence(np.log(p)[None], np.log(q)[None]) == pytest.approx(float((p * np.log(p / q)).sum()))


def test_swapped_outputs_do_not_agree():
    found = agreement(SCORES, SCORES[:, ::-1], "scores", np.array([0, 0, 2]))
    assert found["kl"] > 1
    assert found["same"] == 0
    assert found["cross_entropy_difference"] > 1


def test_near_ties_are_counted_apart():
    other = SCORES.copy()
    other[1] = [0.0, 0.1, -3.0]  # the near-tie falls the other way
    top = same_top(SCORES, other)
    assert (top.decisions, top.near_ties, top.same, top.same_clear) == (3, 1, pytest.approx(2 / 3), 1)
    assert same_top(SCORES, other, near=0.05).same_clear == pytest.approx(2 / 3)


def test_with_near_ties_alone_there_is_no_clear_decision():
    top = same_top(SCORES[1:2], SCORES[1:2])
    assert top.near_ties == 1
    assert top.same_clear is None


def test_a_probability_becomes_two_classes():
    rows = rows_of([np.array([0.5, 0.9]), np.array([0.0])], "probability")
    assert rows[:, 0].tolist() == [0, 0, 0]
    assert rows[:2, 1] == pytest.approx([0, np.log(9)])
    assert rows[2, 1] == pytest.approx(np.log(FLOOR / (1 - FLOOR)))


def test_examples_of_different_lengths_are_put_below_one_another():
    assert rows_of([np.ones((2, 4, 3)), np.ones((1, 3)), np.ones(3)], "scores").shape == (10, 3)


def test_cosine_distance_looks_at_directions_only():
    assert cosine_distance(SCORES, 3 * SCORES) == pytest.approx(0, abs=1e-12)
    assert cosine_distance(SCORES, -SCORES) == pytest.approx(2)
    zeros = np.zeros((1, 3))
    assert cosine_distance(zeros, zeros) == 0
    assert cosine_distance(zeros, SCORES[:1]) == 1


def test_errors_are_relative_to_the_spread_of_the_reference():
    found = errors(10 * SCORES, 10 * SCORES + np.array([10.0, 0, 0]))
    assert found["largest_error"] == pytest.approx(1 / SCORES.std())
    assert found["mean_error"] == pytest.approx(1 / 3 / SCORES.std())


def test_outputs_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 3\) and \(2, 3\)"):
        agreement(SCORES, SCORES[:2], "scores")
