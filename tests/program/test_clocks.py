"""Ops that count frames: tables, phases without drift, running means."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import DecodeError
from fewbit.program import Reference, ops
from fewbit.program.numerics import INT16
from fewbit.program.ops import Step
from tests.program.made_by_hand import narrow, points, rescale, run, source, vector


def ticks(n):
    return np.zeros((n, 1), np.int64)


def test_positions_are_the_frames_of_a_table_in_pieces_too():
    op = ops.Positions("p", 2, points(1, 2, 3, 4, 5, -6))
    assert run(op, ticks(3)).tolist() == [[1, 2], [3, 4], [5, -6]]
    first, state = op.run([ticks(1)], op.start(), Step())
    second, state = op.run([ticks(2)], state, Step())
    assert np.concatenate([first, second]).tolist() == run(op, ticks(3)).tolist()
    assert op.frames == 3


def test_after_the_last_position_the_network_refuses_to_go_on_and_keeps_its_state():
    run_ = Reference((source(), ops.Positions("p", 1, points(1, 2, 3))))
    _, state = run_.step(np.zeros((2, 1), np.float32), run_.init_state())
    with pytest.raises(DecodeError, match="p: the input is longer than its table of 3 positions"):
        run_.step(np.zeros((2, 1), np.float32), state)
    assert run_.step(np.zeros((1, 1), np.float32), state)[0].tolist() == [[3]]
    with pytest.raises(DecodeError, match="3 positions"):
        run_.step(np.zeros((4, 1), np.float32), run_.init_state())


def test_phases_do_not_drift_in_100_000_frames():
    turns = np.array([1 / (2 * np.pi), 1 / 3, 1e-4 / (2 * np.pi), -0.123456789])
    turn = np.rint(turns * 2**32).astype(np.int64)
    begin = np.array([0, 1 << 30, -(1 << 31), 12345], np.int64)
    op = ops.Phases("p", turn, begin, rescale(1, 12))
    found, state = [], op.start()
    for piece in np.array_split(np.arange(100_000), 7):
        y, state = op.run([ticks(len(piece))], state, Step())
        found.append(y)
    t = np.arange(100_000, dtype=object)[:, None]
    phase = (begin.astype(object) + t * turn.astype(object)) % 2**32
    error = np.abs(np.concatenate(found) / 32768 - np.sin(2 * np.pi * phase.astype(np.float64) / 2**32))
    assert error.max() < 2 / 32768
    assert error[-1000:].max() < 2 / 32768
    assert np.array_equal(np.concatenate(found), run(op, ticks(100_000)))


@pytest.mark.parametrize("turn", [2**31 - 1, -(2**31), 1])
def test_phases_go_round_after_2_32_frames(turn):
    op = ops.Phases("p", vector(turn), vector(-5), rescale(1, 12))
    near = 2**32 - 3
    found, state = op.run([ticks(6)], near, Step())
    phases = [(-5 + t * turn) % 2**32 for t in range(near, near + 6)]
    alone = [op.run([ticks(1)], t % 2**32, Step())[0][0, 0] for t in range(near, near + 6)]
    assert found[:, 0].tolist() == alone
    assert np.abs(found[:, 0] / 32768 - np.sin(2 * np.pi * np.array(phases) / 2**32)).max() < 2 / 32768
    assert state == 3


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 400), cut=st.integers(0, 400), loud=st.booleans())
def test_a_mean_is_that_of_all_frames_so_far(seed, count, cut, loud):
    rng = np.random.default_rng(seed)
    x = rng.choice(INT16, (count, 3)) if loud else rng.integers(-127, 128, (count, 3))
    op = ops.Mean("m", rescale(1, 0))
    wanted = np.cumsum(x, axis=0) / np.arange(1, count + 1)[:, None]
    found = run(op, x)
    # Half of 1/256, and what 2**31 // count lacks.
    assert np.abs(found / 256 - wanted).max() < 0.5 / 256 + 1e-9 + np.abs(wanted).max() * count / 2**31
    first, state = op.run([x[:cut]], op.start(), Step())
    second, state = op.run([x[cut:]], state, Step())
    assert np.array_equal(np.concatenate([first, second]), found)
    assert (state[0] == x.sum(0)).all()
    assert state[1] == count


def test_a_mean_of_whole_codes():
    op = ops.Mean("m", narrow(1, 8))
    assert run(op, [[4], [5], [6], [-14]]).tolist() == [[4], [5], [5], [0]]  # 4.5 goes up, 1/4 down


def test_a_mean_of_a_long_stream_does_not_overflow():
    op = ops.Mean("m", rescale(2**31 - 1, 62))
    count = 1 << 30
    y, _ = op.run([np.full((1, 1), INT16[0])], (np.array([INT16[0] * (count - 1)]), count - 1), Step())
    assert y.tolist() == [[((INT16[0] * 256) * (2**31 - 1) + (1 << 61)) >> 62]]


def test_the_first_frame_stays():
    op = ops.First("f")
    assert run(op, [[1, 2], [3, 4], [5, 6]]).tolist() == [[1, 2]] * 3
    nothing, state = op.run([np.zeros((0, 2), np.int64)], op.start(), Step())
    assert nothing.shape == (0, 2)
    _, state = op.run([np.array([[7, 8]])], state, Step())
    assert op.run([np.array([[9, 9], [0, 0]])], state, Step())[0].tolist() == [[7, 8]] * 2


@pytest.mark.parametrize("op", [ops.Positions("p", 1, points(1, 2)), ops.Phases("p", vector(1), vector(0), rescale())])
def test_what_the_input_holds_does_not_matter(op):
    assert np.array_equal(run(op, ticks(2)), run(op, ticks(2) + 9))
    assert replace(op, inputs=("x",)).is_new()
