"""Damaged files: loading works or raises `FileFormatError`, and what was loaded runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import FewbitError, FileFormatError
from fewbit.program import load, show

FRAMES = 5
positions = st.integers(0, 1 << 16)
edits = st.one_of(
    st.tuples(st.just("flip"), positions, st.integers(1, 255)),
    st.tuples(st.just("cut"), positions, st.integers(1, 64)),
    st.tuples(st.just("insert"), positions, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just("end"), positions, st.none()),
)
numbers = st.sampled_from([-1, 0, 1, 2, 3, 62, 63, 2**15, -(2**31), 2**31 - 1, 2**31, 2**63, 2**64, 1e308, 0.5])
values = st.recursive(
    numbers | st.none() | st.booleans() | st.floats() | st.text(max_size=6) | st.sampled_from(["int4", "trits", "00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)


def edited(data, edit):
    kind, place, what = edit
    place %= len(data) + 1
    match kind:
        case "flip" if place < len(data):
            return data[:place] + bytes([data[place] ^ what]) + data[place + 1 :]
        case "cut":
            return data[:place] + data[place + what :]
        case "insert":
            return data[:place] + what + data[place:]
    return data[:place]


def places(value, found=()):
    """Every ``(container, key)`` of nested JSON."""
    found = list(found)
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        found += [(value, key), *places(value[key])]
    return found


def check(path, content):
    path.write_bytes(content)
    program, fault = None, ""
    try:
        program = load(path)
    except FileFormatError as error:
        fault = str(error)
    if program is None:
        assert fault.startswith(f"{path}: ")
        assert "\n" not in fault
        return
    assert show(path).file_bytes == len(program.to_bytes())
    x = np.random.default_rng(0).normal(0, 100, (FRAMES, program.inputs)).astype(np.float32)
    try:
        scores, _ = program.step(x, program.init_state())
    except FewbitError:
        return
    assert scores.shape[1] == program.outputs


@pytest.fixture(scope="module", params=["every_op", "hierarchy"])
def program(request, every_op):
    """A Program with every simple op, and one whose op has parts."""
    golden = Path(__file__).parent.parent / "golden" / "hierarchy_v1.fewbit"
    return every_op if request.param == "every_op" else load(golden)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "net.fewbit"


@settings(max_examples=250, deadline=None)
@given(st.lists(edits, min_size=1, max_size=4))
def test_damaged_bytes(program, path, several):
    data = program.to_bytes()
    for edit in several:
        data = edited(data, edit)
    check(path, data)


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_damaged_payload(program, path, data):
    content = bytearray(program.to_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    for place in data.draw(st.lists(st.integers(start, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    check(path, bytes(content))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_description(program, path, repack, data):
    def change(meta, tensors):
        for _ in range(data.draw(st.integers(1, 2))):
            several = places(meta)
            if several:
                container, key = several[data.draw(st.integers(0, len(several) - 1))]
                container[key] = data.draw(values)

    check(path, repack(program.to_bytes(), change))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_header(program, path, data):
    content = program.to_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    several = places(header)
    container, key = several[data.draw(st.integers(0, len(several) - 1))]
    container[key] = data.draw(values)
    text = json.dumps(header).encode()
    check(path, len(text).to_bytes(8, "little") + text + content[start:])
