"""The elementary functions against Python's integers of any size, and against the functions that they stand for."""

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.program.numerics import (
    EXP_POINTS,
    INT16,
    MAX_EXPONENT,
    Q15,
    SINE_POINTS,
    bit_length,
    exp_weights,
    fine_sigmoid,
    fine_tanh,
    interpolate,
    mixture,
    normalise,
    shares,
    shift_round_each,
    sine,
    square_root,
)

ONE = 1 << 23
int16 = st.integers(*INT16)


def rounded(value):
    return (Fraction(value) + Fraction(1, 2)).__floor__()


@pytest.mark.parametrize("bits", range(62))
def test_bits_are_counted_at_powers_of_two(bits):
    near = [n for n in (2**bits - 1, 2**bits, 2**bits + 1) if n < 2**62]
    assert bit_length(np.array(near)).tolist() == [n.bit_length() for n in near]


@given(st.integers(0, 2**62 - 1))
def test_bits_are_counted(x):
    assert int(bit_length(np.array([x]))[0]) == x.bit_length()


@given(st.integers(0, 2**31 - 1), st.integers(-2, 2))
def test_roots_around_squares_are_exact(root, off):
    x = min(max(root * root + off, 0), 2**62 - 1)
    assert int(square_root(np.array([x]))[0]) == math.isqrt(x)


def test_roots_at_the_ends_are_exact():
    x = [0, 1, 2, 3, 4, 2**52 - 1, 2**53 + 1, (2**31 - 1) ** 2 - 1, (2**31 - 1) ** 2, 2**62 - 1]
    assert square_root(np.array(x)).tolist() == [math.isqrt(n) for n in x]


@given(st.integers(-(2**61), 2**61), st.integers(0, 62))
def test_shifts_that_are_arrays_round_as_the_others(x, shift):
    assert int(shift_round_each(np.array([x]), np.array([shift]))[0]) == rounded(Fraction(x, 2**shift))


def shifted(n, shift):
    return (n + (1 << shift >> 1)) >> shift


def exact_normalise(x, eps, centre):
    """`normalise` with integers of any size, and whether all of its steps had fitted 64 bits."""
    seen = []

    def see(n):
        seen.append(abs(n))
        return n

    total = sum(x)
    d = [see(len(x) * n - total) if centre else n for n in x]
    e = max(max(map(abs, d)).bit_length() - 15, 0)
    d = [shifted(n, e) for n in d]
    v = see(sum(n * n for n in d) + (eps >> min(2 * e, 62)))
    if v == 0:
        return [0] * len(x), seen
    p = (62 - v.bit_length()) >> 1
    root = math.isqrt(see(v << 2 * p))
    shift = 61 - 23 - p
    return [shifted(see(n * ((1 << 61) // root)), shift) for n in d], seen


groups = st.lists(int16, min_size=1, max_size=9) | st.lists(
    st.sampled_from([*INT16, 0, 1, -1]), min_size=1, max_size=40
)
epsilons = st.sampled_from([0, 1, 2, 1000, 2**30, 2**40, (2**31 - 1) << 30]) | st.integers(0, 2**31 - 1)


@settings(max_examples=300)
@given(groups, epsilons, st.booleans())
def test_a_normalised_group_is_that_of_exact_integers(x, eps, centre):
    wanted, seen = exact_normalise(x, eps, centre)
    w = normalise(np.array([x]), eps, centre)[0]
    assert w.tolist() == wanted
    assert max(seen) < 2**62
    assert np.abs(w).max() <= ONE


@settings(max_examples=200)
@given(groups, st.booleans())
def test_a_normalised_group_is_near_the_true_one(x, centre):
    real = np.array(x, np.float64) * (len(x) if centre else 1)
    real -= real.mean() if centre else 0
    length = np.sqrt((real**2).sum())
    w = normalise(np.array([x]), 0, centre)[0] / ONE
    if length == 0:
        assert not w.any()
        return
    # d has 15 bits, and the root and the division have about 30.
    assert np.abs(w - real / length).max() <= 2.0**-14
    assert abs(np.square(w).sum() - 1) < 2.0**-12


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("first", [INT16[0], INT16[1]])
@pytest.mark.parametrize("eps", [0, (2**31 - 1) << 30])
def test_the_largest_groups_do_not_overflow(centre, first, eps):
    x = np.full(1 << 16, INT16[0] + INT16[1] - first)
    x[0] = first
    wanted, _ = exact_normalise(x.tolist(), eps, centre)
    assert normalise(x[None], eps, centre)[0].tolist() == wanted


def test_a_normalised_group_of_equal_numbers_is_zero_and_each_group_is_alone():
    x = np.array([[[5, 5, 5], [0, 0, 0], [-3, 0, 3]]])
    centred = normalise(x, 0, True)[0]
    assert not centred[:2].any()
    assert centred[2].tolist() == [-centred[2, 2], 0, centred[2, 2]]
    assert centred[2, 2] / ONE == pytest.approx(math.sqrt(0.5), abs=1e-6)
    assert normalise(x, 0, False)[0, 0] / ONE == pytest.approx(math.sqrt(1 / 3), abs=1e-6)
    assert normalise(np.array([[7]]), 0, False).tolist() == [[ONE]]
    assert normalise(np.array([[-32768]]), 0, False).tolist() == [[-ONE]]


@given(
    st.lists(st.integers(-(2**45) + 1, 2**45 - 1), min_size=1, max_size=6), st.integers(0, 2**16), st.integers(0, 62)
)
def test_weights_are_powers_of_two_of_exact_distances(scores, multiplier, shift):
    weights = exp_weights(np.array([scores]), None, multiplier, shift)[0]
    for score, weight in zip(scores, weights.tolist(), strict=True):
        u = rounded(Fraction((max(scores) - score) * multiplier, 2**shift))
        assert abs(weight - 32767 * 2.0 ** (-u / 1024)) <= 1
        assert weight == (0 if u >= MAX_EXPONENT else rounded(Fraction(int(EXP_POINTS[u % 1024]), 2 ** (u >> 10))))
    assert weights[np.argmax(scores)] == 32767


def test_hidden_scores_weigh_nothing_and_do_not_count_as_largest():
    scores, seen = np.array([[9, 5, 3]]), np.array([[False, True, True]])
    assert exp_weights(scores, seen, 1024, 0).tolist() == [[0, 32767, 8192]]
    assert exp_weights(scores, None, 1024, 0).tolist() == [[32767, 2048, 512]]


weights_of = st.lists(st.integers(0, 32767), min_size=1, max_size=8)


@given(weights_of)
def test_shares_are_those_of_one_division(weights):
    found = shares(np.array([weights]))[0]
    inverse = 2**46 // max(sum(weights), 1)
    assert found.tolist() == [rounded(Fraction(w * inverse, 2**31)) for w in weights]
    if sum(weights):
        assert np.abs(found - np.array(weights) * Q15 / sum(weights)).max() < 0.51
        assert abs(found.sum() - Q15) <= len(weights)


@given(st.data())
def test_mixtures_are_those_of_one_division(data):
    weights = data.draw(weights_of)
    values = [data.draw(int16) for _ in weights]
    total = sum(w * v for w, v in zip(weights, values, strict=True))
    wanted = rounded(Fraction(total * (2**46 // max(sum(weights), 1)), 2**31))
    assert mixture(np.array([weights]), np.array(values)[:, None]).tolist() == [[wanted]]
    if sum(weights):
        assert abs(wanted / Q15 - total / sum(weights)) < 0.01
        assert min(values) - 0.01 <= wanted / Q15 <= max(values) + 0.01


def test_a_mixture_of_the_most_and_largest_does_not_overflow():
    many = 1 << 20
    for end in INT16:
        found = mixture(np.full((1, many), 32767), np.full((many, 1), end))
        inverse = 2**46 // (many * 32767)
        assert found.tolist() == [[rounded(Fraction(many * 32767 * end * inverse, 2**31))]]
        assert found[0, 0] / Q15 == pytest.approx(end, rel=1e-3)


@given(st.data())
def test_interpolation_is_exact(data):
    fraction, spare = data.draw(st.integers(0, 16)), data.draw(st.integers(0, 16))
    several = data.draw(st.lists(int16, min_size=2, max_size=9))
    x = data.draw(st.integers(0, ((len(several) - 1) << fraction) - 1))
    i, f = x >> fraction, Fraction(x % 2**fraction, 2**fraction)
    wanted = rounded((several[i] * (1 - f) + several[i + 1] * f) / 2**spare)
    assert int(interpolate(np.array([x]), np.array(several), fraction, spare)[0]) == wanted


def test_a_sine_is_near_the_sine_everywhere():
    phase = np.concatenate([np.arange(0, 1 << 32, 65_521), np.arange(5000), (1 << 32) - 1 - np.arange(5000)])
    error = np.abs(sine(phase) / 2**27 - np.sin(2 * np.pi * phase / 2**32)).max()
    # An entry is rounded and counts 1/32768 of 32767; between entries the sine is bent by 3e-7.
    assert 1 / Q15 < error < 1.5 / Q15 + 3e-7
    quarters = sine(np.arange(4) << 30)
    assert quarters.tolist() == [0, 32767 << 12, 0, -32767 << 12]
    phase = phase[phase > 255] & ~255  # the lowest 8 bits do not count
    assert np.array_equal(sine((1 << 32) - phase), -sine(phase))


def test_fine_tables_are_near_their_functions_on_every_input():
    every = np.arange(INT16[0], INT16[1] + 1)
    real = every / 4096
    # Half of the rounding of an entry, that of the result, 1/32768 at the ends, and what bends between two entries.
    assert np.abs(fine_tanh(every) / Q15 - np.tanh(real)).max() < 1.1 / Q15 + 6e-6
    assert np.abs(fine_sigmoid(every) / Q15 - 1 / (1 + np.exp(-real))).max() < 1.1 / Q15 + 3e-6
    assert (np.diff(fine_tanh(every)) >= 0).all()
    assert np.array_equal(fine_tanh(-every[1:]), -fine_tanh(every[1:]))
    assert fine_tanh(np.array([INT16[0], 0, INT16[1]])).tolist() == [-32767, 0, 32767]


def test_the_tables_are_those_of_the_specification():
    assert (EXP_POINTS.shape, SINE_POINTS.shape) == ((1024,), (4097,))
    digests = [hashlib.sha256(table.astype("<i8").tobytes()).hexdigest()[:16] for table in (EXP_POINTS, SINE_POINTS)]
    assert digests == ["4a45ab29eb867110", "ba3ca3da1afc1739"]
