"""The arithmetic of Programs against exact integers and the functions that it stands for."""

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.program.limits import MAX_MULTIPLIER, MAX_SHIFT
from fewbit.program.numerics import (
    INT16,
    INT32,
    Q12,
    Q15,
    TANH_TABLE,
    Rescale,
    mix,
    rescale_from,
    saturate,
    shared_shift,
    shift_round,
    sigmoid,
    tanh,
)

EVERY = np.arange(INT16[0], INT16[1] + 1)
gates = st.integers(0, Q15)
int16 = st.integers(*INT16)
int32 = st.integers(-(2**31 - 1), 2**31 - 1)
factors = st.floats(1e-9, 1e6) | st.floats(-1e6, -1e-9)


def exact(value: Fraction) -> int:
    return (value + Fraction(1, 2)).__floor__()


@given(st.integers(-(2**62), 2**62 - 1), st.integers(0, MAX_SHIFT))
def test_shifts_round_halves_up(x, shift):
    assert int(shift_round(np.int64(x), shift)) == exact(Fraction(x, 2**shift))


@pytest.mark.parametrize(("x", "y"), [(1, 1), (-1, 0), (3, 2), (-3, -1), (5, 3), (-5, -2), (2, 1), (-2, -1)])
def test_a_half_goes_up_on_both_sides_of_zero(x, y):
    assert shift_round(np.array([x]), 1).tolist() == [y]


@given(int32, int32, st.integers(0, MAX_SHIFT))
def test_rescale_is_exact(x, multiplier, shift):
    y = Rescale(np.array([multiplier]), shift, *INT32)(np.array([x]))
    assert int(y[0]) == min(max(exact(Fraction(x * multiplier, 2**shift)), INT32[0]), INT32[1])


@pytest.mark.parametrize("x", [-MAX_MULTIPLIER, MAX_MULTIPLIER])
@pytest.mark.parametrize("multiplier", [-MAX_MULTIPLIER, MAX_MULTIPLIER])
@pytest.mark.parametrize("shift", [0, 1, 61, MAX_SHIFT])
def test_the_largest_product_does_not_overflow(x, multiplier, shift):
    wide = Rescale(np.array([multiplier]), shift, -(2**62), 2**62)
    assert int(wide(np.array([x]))[0]) == exact(Fraction(x * multiplier, 2**shift))


@given(factors, int32)
def test_a_rescale_is_as_near_as_31_bits_come(factor, x):
    rescale = rescale_from(factor, -(2**62), 2**62)
    assert abs(int(rescale.multiplier[0])) <= MAX_MULTIPLIER
    assert 0 <= rescale.shift <= MAX_SHIFT
    held = Fraction(int(rescale.multiplier[0]), 2**rescale.shift)
    rounded = abs(held - Fraction(factor)) <= Fraction(1, 2 ** (rescale.shift + 1))
    assert rounded or abs(int(rescale.multiplier[0])) == MAX_MULTIPLIER
    wanted = Fraction(factor) * x
    assert abs(int(rescale(np.array([x]))[0]) - wanted) <= abs(wanted) * Fraction(1, 2**30) + Fraction(1, 2)


@given(st.lists(factors, min_size=1, max_size=5))
def test_the_shared_shift_is_the_largest_that_fits(several):
    shift = shared_shift(np.array(several))
    largest = Fraction(max(map(abs, several)))
    assert largest * 2**shift < 2**31
    assert shift == MAX_SHIFT or largest * 2 ** (shift + 1) >= 2**31


@pytest.mark.parametrize(("factor", "multiplier", "shift"), [(0.0, 0, 0), (1e-300, 0, MAX_SHIFT)])
def test_a_factor_of_nothing_is_nothing(factor, multiplier, shift):
    rescale = rescale_from(factor, *INT16)
    assert (rescale.multiplier.tolist(), rescale.shift) == ([multiplier], shift)


def test_each_output_has_its_own_multiplier():
    rescale = rescale_from(np.array([0.5, -2.0, 0.0]), -10, 7)
    assert rescale(np.array([[3, 3, 3], [-3, -9, 100]])).tolist() == [[2, -6, 0], [-1, 7, 0]]


# A table step of 1/256 puts the input of tanh off by at most 1/512, and the slope is at most 1; sigmoid has half of it.
@pytest.mark.parametrize(
    ("table", "wanted", "bound"),
    [
        (tanh, np.tanh(EVERY / Q12), 1 / 512 + 1 / Q15),
        (sigmoid, 1 / (1 + np.exp(-EVERY / Q12)), 1 / 1024 + 1 / Q15),
    ],
)
def test_a_table_is_near_its_function_on_every_input(table, wanted, bound):
    worst = np.abs(table(EVERY) / Q15 - wanted).max()
    assert bound / 2 < worst <= bound


@pytest.mark.parametrize("table", [tanh, sigmoid])
def test_a_table_never_falls(table):
    assert (np.diff(table(EVERY)) >= 0).all()


def test_tanh_is_odd_and_sigmoid_is_symmetric():
    inner = EVERY[1:]  # -32768 has no mirror image
    assert np.array_equal(tanh(-inner), -tanh(inner))
    assert set((sigmoid(-inner) + sigmoid(inner)).tolist()) == {Q15 - 1, Q15}  # halves are cut off


def test_tables_end_where_they_saturate():
    ends = np.array([INT16[0], -4 * Q12, 0, 4 * Q12, INT16[1]])
    assert tanh(ends).tolist() == [-32746, -32746, 0, 32746, 32746]
    assert sigmoid(np.array([INT16[0], 0, INT16[1]])).tolist() == [11, Q15 // 2, 32757]
    assert tanh(np.array(INT32)).tolist() == [-32746, 32746]


def test_the_table_is_the_one_of_the_specification():
    assert TANH_TABLE.shape == (1025,)
    digest = hashlib.sha256(TANH_TABLE.astype("<i8").tobytes()).hexdigest()
    assert digest == "77a208801cb96b87b6d51749fe43ea5df0067e7e655b97caaf5b03e240730550"


@given(gates, int16, int16)
def test_a_mix_is_exact_and_lies_between_its_parts(gate, kept, new):
    mixed = int(mix(np.int64(gate), np.int64(kept), np.int64(new)))
    assert mixed == exact(Fraction(gate * kept + (Q15 - gate) * new, Q15))
    assert min(kept, new) <= mixed <= max(kept, new)


@given(st.integers(-(2**40), 2**40))
def test_saturation_takes_the_nearest_end(x):
    assert int(saturate(np.int64(x), *INT16)) == sorted([INT16[0], x, INT16[1]])[1]
