"""The choice of a symbol from scores."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from fewbit.errors import ArgumentError
from fewbit.streams.sampling import Sampling, exp_of_negative

UNIT = 1024.0


def plainly(scores, temperature, top_p, chance):
    """The same by the textbook, symbol by symbol."""
    chances = np.exp((scores - scores.max()) / UNIT / temperature)
    chances /= chances.sum()
    kept, reached = [], 0.0
    for place in sorted(range(len(scores)), key=lambda place: (-scores[place], place)):
        kept.append(place)
        reached += chances[place]
        if reached >= top_p:
            break
    at = chance * reached
    for place in kept:
        at -= chances[place]
        if at < 0:
            return place
    return kept[-1]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("top_p", [0.05, 0.7, 0.95, 1.0])
def test_choices_are_those_of_the_textbook(temperature, top_p) -> None:
    random = np.random.default_rng(0)
    sampling = Sampling(temperature, top_p)
    for _ in range(300):
        scores, chance = random.integers(-3000, 3000, random.integers(1, 40)), random.random()
        assert sampling.choose(scores, UNIT, chance) == plainly(scores, temperature, top_p, chance)


def test_the_set_is_the_smallest_that_reaches_the_probability_and_ties_go_to_the_first() -> None:
    scores = np.array([0, 0, 0, 0])
    chances = (np.arange(400) + 0.5) / 400

    def drawn(top_p):
        return {Sampling(1.0, top_p).choose(scores, UNIT, chance) for chance in chances}

    assert [drawn(top_p) for top_p in (0.2, 0.25, 0.26, 0.5, 0.51, 1.0)] == [
        {0}, {0}, {0, 1}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3},
    ]  # fmt: skip
    # Each symbol owns a quarter of the chances, from its lower end on.
    assert [Sampling().choose(scores, UNIT, chance) for chance in (0.0, 0.25, 0.5, 0.75)] == [0, 1, 2, 3]
    assert Sampling(0.0).choose(np.array([1, 7, 7, 2]), UNIT, 0.99) == 1


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-6])
def test_the_smallest_temperatures_choose_among_the_highest_scores_only(temperature) -> None:
    scores = np.array([4, 2**31 - 1, -(2**31), 2**31 - 1])
    chosen = [Sampling(temperature).choose(scores, UNIT, chance) for chance in (0.0, 0.49, 0.51, 1 - 2**-53)]
    assert chosen == [1, 1, 3, 3]


def test_a_high_temperature_draws_from_all() -> None:
    assert Sampling(1e300).choose(np.array([0, 5000, -5000]), UNIT, 1 - 2**-53) == 2


def test_exp_is_exp_and_uses_none_of_a_library(monkeypatch) -> None:
    monkeypatch.setattr(np, "exp", None)
    monkeypatch.setattr(np, "exp2", None)
    x = -np.concatenate([[0.0], np.geomspace(1e-12, 690, 400)])
    with localcontext(prec=40):
        wanted = np.array([float(Decimal(float(value)).exp()) for value in x])
    assert np.abs(exp_of_negative(x) / wanted - 1).max() < 2e-13
    assert exp_of_negative(np.array([0.0]))[0] == 1
    assert 0 < exp_of_negative(np.array([-np.inf]))[0] < 1e-300


def test_the_bits_of_exp_are_those_of_every_machine() -> None:
    # The same operations on Python's floats, which IEEE 754 defines.
    x = -np.random.default_rng(3).exponential(20, 200)
    for value, found in zip(x.tolist(), exp_of_negative(x).tolist(), strict=True):
        halvings = round(value / 0.6931471805599453)
        rest = (value - halvings * 0.6931471805599453) / 16
        y = rest * (1 / 720)
        for factor in (1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0):
            y = (y + factor) * rest
        y += 1.0
        for _ in range(4):
            y *= y
        assert found == y * 2.0**halvings


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_wrong_temperatures_are_refused(temperature) -> None:
    with pytest.raises(ArgumentError, match=f"temperature={temperature}, wanted a finite number from 0 on"):
        Sampling(temperature)


@pytest.mark.parametrize("top_p", [0.0, -1.0, 1.01, float("nan")])
def test_wrong_probabilities_are_refused(top_p) -> None:
    with pytest.raises(ArgumentError, match=f"top_p={top_p}, wanted above 0 and at most 1"):
        Sampling(1.0, top_p)
