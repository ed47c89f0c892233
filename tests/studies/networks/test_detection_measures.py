"""Area under the curve and equal error rate against what they are by definition."""

import numpy as np
import pytest

from studies.networks.detection import area_under_curve, equal_error_rate

YES = np.array([True, True, False, False])


def test_the_area_is_the_part_of_pairs_in_the_right_order():
    random = np.random.default_rng(0)
    scores, yes = random.integers(0, 6, 60).astype(float), random.random(60) < 0.4
    pairs = np.sign(scores[yes][:, None] - scores[~yes][None])
    assert area_under_curve(scores, yes) == pytest.approx(float(np.mean((pairs + 1) / 2)))


def test_perfect_reversed_and_constant_scores():
    perfect = np.array([4.0, 3.0, 2.0, 1.0])
    assert (area_under_curve(perfect, YES), equal_error_rate(perfect, YES)) == (1, 0)
    assert (area_under_curve(-perfect, YES), equal_error_rate(-perfect, YES)) == (0, 1)
    assert (area_under_curve(np.zeros(4), YES), equal_error_rate(np.zeros(4), YES)) == (0.5, 0.5)


def test_at_the_equal_error_rate_both_errors_are_the_same():
    assert equal_error_rate(np.array([4.0, 2.0, 3.0, 1.0]), YES) == 0.5
