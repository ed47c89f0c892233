"""Ports: arrays of the network as frames and back, and what is refused."""

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.errors import DecodeError, FileFormatError, LoweringError
from fewbit.program import Program, ops
from fewbit.program.signature import Port, Signature, read_signature
from tests.program.made_by_hand import source, vector


def port(name="x", shape=(0, 2), time=0, order=(1,), **more):
    return Port(name, shape, time, order, **more)


@given(st.data())
def test_an_array_goes_through_frames_and_comes_back(data):
    axes = data.draw(st.integers(0, 4))
    shape = [data.draw(st.integers(1, 4)) for _ in range(axes)]
    time = data.draw(st.integers(-1, axes - 1))
    others = [axis for axis in range(axes) if axis != time]
    order = data.draw(st.permutations(others))
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    declared = tuple(0 if axis == time else size for axis, size in enumerate(shape))
    one = Port("x", declared, time, tuple(order), fraction_bits=0)
    frames = one.frames(x)
    assert frames.dtype == np.float32
    assert frames.shape == (1 if time == -1 else shape[time], one.size)
    assert np.array_equal(one.array(frames), x)
    shifted = Port("x", declared, time, tuple(order), first=3, fraction_bits=2)
    assert np.array_equal(shifted.array(np.pad(frames, ((0, 0), (3, 1)))), x / 4)


def test_the_numbers_of_a_frame_lie_in_the_order_of_its_axes():
    x = np.arange(24).reshape(2, 3, 4)  # channels, time, places
    for order in permutations((0, 2)):
        frames = Port("x", (2, 0, 4), 1, order).frames(x)
        assert np.array_equal(frames, x.transpose(1, *order).reshape(3, 8))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_channels_before_places_are_the_same_with_and_without_the_extension(monkeypatch, dtype):
    x = np.arange(60).reshape(3, 4, 5).astype(dtype)
    for each in (x, np.asfortranarray(x)):
        one = Port("x", (3, 4, 5), -1, (1, 2, 0))
        wanted = x.transpose(1, 2, 0).reshape(1, 60)
        assert np.array_equal(one.frames(each), wanted)
        with monkeypatch.context() as patched:
            patched.setattr("fewbit.program.signature.fast_binding", lambda: None)
            assert np.array_equal(one.frames(each), wanted)


def test_a_result_without_time_is_that_of_the_last_frame():
    frames = np.array([[1, 2], [3, 4]]) * 1024
    assert Port("y", (2,), -1, (0,)).array(frames).tolist() == [3, 4]
    assert Port("y", ()).array(frames[:, 1:]).tolist() == 4
    with pytest.raises(DecodeError, match="the input is too short: it gives no frame of y"):
        Port("y", ()).array(frames[:0])
    assert port().array(frames[:0]).shape == (0, 2)


def test_no_frames_are_no_frames():
    assert port(shape=(0, 2, 3), order=(2, 1)).frames(np.zeros((0, 2, 3))).shape == (0, 6)


def test_several_arrays_lie_side_by_side_and_what_has_no_time_is_repeated():
    both = Signature((port("a", (0, 2)), Port("b", (), symbols=True)), (port("y"),))
    assert both.frames([[[1, 2], [3, 4]], 7]).tolist() == [[1, 2, 7], [3, 4, 7]]
    alone = Signature((Port("b", (3,), -1, (0,)),), (port("y"),))
    assert alone.frames([[1, 2, 3]]).tolist() == [[1, 2, 3]]


def test_one_result_is_an_array_and_several_are_a_tuple():
    frames = np.array([[1, 2, 3]]) * 1024
    one, two = port("a"), Port("b", (0,), 0, (), 2)
    assert Signature((one,), (one,)).arrays(frames).tolist() == [[1, 2]]
    a, b = Signature((one,), (one, two)).arrays(frames)
    assert (a.tolist(), b.tolist()) == ([[1, 2]], [3])


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.zeros((3, 3)), r"x has shape \(3, 3\), wanted \(time, 2\) \(no batch axis\)"),
        (np.zeros((1, 3, 2)), r"x has shape \(1, 3, 2\), wanted \(time, 2\)"),
        (np.zeros(2), r"x has shape \(2,\), wanted \(time, 2\)"),
        (np.zeros((3, 2), bool), "x holds bool, wanted real numbers"),
        (np.zeros((3, 2), complex), "x holds complex128, wanted real numbers"),
        (np.full((3, 2), "a"), "x holds <U1, wanted real numbers"),
    ],
)
def test_an_array_of_another_shape_or_kind_is_refused(x, sentence):
    with pytest.raises(DecodeError, match=sentence):
        port().frames(x)


def test_symbols_are_integers_and_shapes_are_written_as_python_writes_them():
    with pytest.raises(DecodeError, match=r"x holds float64, wanted integers \(symbols\)"):
        Port("x", (0,), 0, (), symbols=True).frames(np.zeros(3))
    with pytest.raises(DecodeError, match=r"x has shape \(1, 3\), wanted \(time,\)"):
        Port("x", (0,), 0, (), symbols=True).frames(np.zeros((1, 3), int))


def test_a_wrong_number_of_arrays_and_other_lengths_are_refused():
    both = Signature((port("a"), port("b")), (port("y"),))
    with pytest.raises(DecodeError, match=r"the Program takes 2 arrays \(a, b\), not 1"):
        both.frames([np.zeros((3, 2))])
    with pytest.raises(DecodeError, match=r"different lengths in time: \[3, 4\]"):
        both.frames([np.zeros((4, 2)), np.zeros((3, 2))])


BAD_PORTS = [
    {"shape": (0, 0)},
    {"shape": (0, -1)},
    {"shape": (0, 2**24 + 1)},
    {"order": ()},
    {"order": (1, 1)},
    {"order": (0,)},
    {"time": 2},
    {"time": -2},
    {"first": -1},
    {"fraction_bits": 31},
    {"fraction_bits": -1},
    {"shape": (0,) + (1,) * 8, "order": tuple(range(1, 9))},
]


@pytest.mark.parametrize("fields", BAD_PORTS)
def test_a_port_without_consistent_shape_is_refused(fields):
    with pytest.raises(LoweringError, match="the port 'x' has no consistent shape"):
        port(**fields)


def test_a_port_of_too_many_numbers_is_refused():
    with pytest.raises(LoweringError, match="the port 'x' has more than 16777216 numbers a frame"):
        port(shape=(0, 2**13, 2**13), order=(1, 2))


def program(signature):
    return Program((source(2), ops.Take("t", vector(1, 2, 1))), signature=signature)


def test_a_program_runs_in_the_shapes_of_its_signature():
    one = program(Signature((port("x", (2, 0), 1, (0,)),), (Port("y", (0,), 0), port("z", first=1))))
    y, z = one(np.array([[1, 2, 3], [4, 5, 6]]))
    assert y.tolist() == [1 / 1024, 2 / 1024, 3 / 1024]
    assert (z * 1024).tolist() == [[4, 1], [5, 2], [6, 3]]
    assert one.fraction_bits == 10


@pytest.mark.parametrize(
    ("signature", "sentence"),
    [
        (Signature((port(first=1),), (port("y", (0, 3)),)), "the ports of the signature do not lie side by side"),
        (Signature((port(),), (port("y"), port("z", (0, 1), first=1))), "do not lie side by side"),
        (Signature((port(),), (port("y"),)), "the ports of the signature have 2 numbers, not 3"),
        (Signature((port("x", (0, 3)),), (port("y", (0, 3)),)), "the ports of the signature have 3 numbers, not 2"),
    ],
)
def test_a_signature_that_does_not_fit_is_refused(signature, sentence):
    with pytest.raises(LoweringError, match=sentence):
        program(signature)


GOOD = Signature((port(),), (port("y", (0, 3), symbols=False, fraction_bits=4),))


def test_a_signature_goes_through_json():
    assert read_signature(json.loads(json.dumps(GOOD.to_dict()))) == GOOD


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.pop("inputs"),
        lambda record: record.update(outputs=[]),
        lambda record: record.update(outputs=record["outputs"] * 65),
        lambda record: record.update(inputs=3),
        lambda record: record.update(inputs="x"),
        lambda record: record["inputs"][0].pop("order"),
        lambda record: record["inputs"][0].update(time=True),
        lambda record: record["inputs"][0].update(symbols=0),
        lambda record: record["inputs"][0].update(name=3),
        lambda record: record["inputs"][0].update(shape=[0, 2.0]),
        lambda record: record["inputs"][0].update(order=[True]),
        lambda record: record["inputs"][0].update(shape=(0, 2)) or record["inputs"][0].update(shape="02"),
        lambda record: record["inputs"][0].update(first=10**400),
        lambda record: record["inputs"][0].update(shape=[0, 10**400]),
    ],
)
def test_a_damaged_signature_is_refused(change):
    record = json.loads(json.dumps(GOOD.to_dict()))
    change(record)
    with pytest.raises(
        FileFormatError, match=r"^the signature is not as it should be \(.*\); the file is damaged$"
    ) as caught:
        read_signature(record)
    assert len(str(caught.value)) < 300
