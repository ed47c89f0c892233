"""Constants of time: sines are recognised from short examples, and go on for ever as they began."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.lower.times import TURN, phases_of

FAR = 10_000
"""Frames after which a phase that is off by 1e-8 of a radian a frame is off by 1e-4."""


def speeds(size, base=10_000.0):
    return base ** (-torch.arange(0, size, 2) / size)


def waves(function, frames, speed):
    """As networks compute them, in float32."""
    return function(torch.arange(frames)[:, None] * speed).double().numpy()


def far_apart(found, function, speed):
    """By how much the sines are off in a frame far behind the example."""
    turn, begin = (each.astype(np.float64) / TURN * 2 * np.pi for each in found)
    return np.abs(np.sin(turn * FAR + begin) - function(FAR * speed.double()).numpy()).max()


@pytest.mark.parametrize("frames", [12, 17, 24, 48, 200])
@pytest.mark.parametrize("size", [4, 16, 64, 128])
@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
@pytest.mark.parametrize("function", [torch.cos, torch.sin])
def test_rotary_phases_are_those_far_behind_the_example(function, base, size, frames):
    speed = torch.cat([speeds(size, base)] * 2)
    found = phases_of(waves(function, frames, speed))
    assert found is not None
    moves = speed * frames > 1.2e-3  # what is slower is a constant 1 in float32, if it is a cosine
    assert far_apart([each[moves] for each in found], function, speed[moves]) < 2e-3


@pytest.mark.parametrize("frames", [12, 30, 100])
def test_tables_of_sines_beside_cosines_are_found(frames):
    speed = speeds(32)
    rows = np.stack([waves(torch.sin, frames, speed), waves(torch.cos, frames, speed)], 2).reshape(frames, -1)
    turn, begin = phases_of(rows)
    assert np.abs(turn[::2] - turn[1::2]).max() < 300  # 4e-7 of a radian
    assert set(begin[::2].tolist()) == {0}
    assert set(begin[1::2].tolist()) == {TURN // 4}


def test_angles_that_are_no_powers_are_found_one_by_one():
    speed = speeds(64)
    speed = torch.where(speed < 0.05, speed / 8, speed)  # stretched, as for long texts
    found = phases_of(waves(torch.sin, 200, speed))
    assert far_apart(found, torch.sin, speed) < 2e-2


@settings(deadline=None, max_examples=100)
@given(st.integers(16, 200), st.floats(0.02, 3.1), st.floats(-3.1, 3.1))
def test_any_sine_is_found(frames, angle, phase):
    rows = np.sin(np.arange(frames) * angle + phase)[:, None].astype(np.float32).astype(np.float64)
    found = phases_of(rows)
    if found is not None:  # a short piece of a slow sine may be that of several
        turn, begin = (each.astype(np.float64) / TURN * 2 * np.pi for each in found)
        assert np.abs(np.sin(np.arange(frames) * turn + begin) - rows[:, 0]).max() < 1e-3
    if angle * frames > 6 and angle < 3 and abs(np.sin(phase)) < 0.99:
        assert found is not None


@pytest.mark.parametrize(
    "rows",
    [
        np.random.default_rng(0).uniform(-1, 1, (40, 3)),
        np.linspace(0, 1, 40)[:, None],
        np.abs(np.sin(np.arange(40) * 0.7))[:, None],
        0.5 * np.sin(np.arange(40) * 0.7)[:, None],
        2 * np.cos(np.arange(40) * 0.7)[:, None],
        np.sin(np.arange(7) * 0.7)[:, None],
        np.where(np.arange(40) < 30, np.sin(np.arange(40) * 0.7), 0.1)[:, None],
    ],
)
def test_what_is_no_sine_is_a_table(rows):
    assert phases_of(rows) is None


def test_constants_stay_constants():
    turn, begin = phases_of(np.full((20, 1), 0.25))
    assert turn.tolist() == [0]
    assert np.sin(begin[0] / TURN * 2 * np.pi) == pytest.approx(0.25)
