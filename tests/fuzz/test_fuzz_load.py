"""Damaged files: loading works or raises `FileFormatError`, and what was loaded runs; sizes ask for no more memory."""

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import FewbitError, FileFormatError
from fewbit.program import load, show
from fewbit.program.limits import MAX_TOTAL

FRAMES = 5
SMALL = 1 << 18
GOLDEN = Path(__file__).parent.parent / "golden"
positions = st.integers(0, 1 << 16)
edits = st.one_of(
    st.tuples(st.just("flip"), positions, st.integers(1, 255)),
    st.tuples(st.just("cut"), positions, st.integers(1, 64)),
    st.tuples(st.just("insert"), positions, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just("end"), positions, st.none()),
)
HUGE = (-(2**31), -1, 0, 1, 2**12, 2**15, 2**20, 2**24 - 1, 2**24, 2**31 - 1)
numbers = st.sampled_from([*HUGE, 2, 3, 62, 63, 2**31, 2**63, 2**64, 1e308, 0.5])
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
    sizes = needed(program)
    assert max(sizes) <= MAX_TOTAL
    if sum(sizes) > SMALL:  # allowed, but not worth the time
        return
    x = np.random.default_rng(0).integers(0, 5, (FRAMES, program.inputs)).astype(np.float32)
    try:
        scores, _ = program.executor.step(x, program.executor.init_state(), True)
    except FewbitError:
        return
    assert scores.shape[1] == program.outputs


def needed(program):
    """Numbers of all values, of the state, and of what one op lays side by side."""
    graph = program.graph
    reads = [[graph.values[place] for place in places] for places in graph.inputs]
    waiting = (
        n * value.size
        for queue, read in zip(graph.queues, reads, strict=True)
        for n, value in zip(queue, read, strict=True)
    )
    state = sum(op.state_numbers(read) for op, read in zip(graph.ops, reads, strict=True)) + sum(waiting)
    work = max(op.work_numbers(read) for op, read in zip(graph.ops, reads, strict=True))
    return sum(value.size for value in graph.values), state, work


@pytest.fixture(
    scope="module",
    params=[
        "every_op",
        "hierarchy_v1",
        "graph_stream_v2",
        "graph_whole_v2",
        "graph_parts_v2",
        "graph_kernels_v2",
        "graph_columns_v2",
    ],
)
def program(request, every_op):
    """Programs of both versions that have every op together."""
    return every_op if request.param == "every_op" else load(GOLDEN / f"{request.param}.fewbit")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "net.fewbit"


@settings(max_examples=60, deadline=None)
@given(st.lists(edits, min_size=1, max_size=4))
def test_damaged_bytes(program, path, several):
    data = program.to_bytes()
    for edit in several:
        data = edited(data, edit)
    check(path, data)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_payload(program, path, data):
    content = bytearray(program.to_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    for place in data.draw(st.lists(st.integers(start, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    check(path, bytes(content))


@settings(max_examples=90, deadline=None)
@given(st.data())
def test_damaged_description(program, path, repack, data):
    def change(meta, tensors):
        for _ in range(data.draw(st.integers(1, 2))):
            several = places(meta)
            if several:
                container, key = several[data.draw(st.integers(0, len(several) - 1))]
                container[key] = data.draw(values)

    check(path, repack(program.to_bytes(), change))


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_damaged_wiring(path, repack, data):
    """Inputs that point anywhere, ops that move, are doubled or gone."""

    def change(meta, tensors):
        records = meta["ops"]
        names = [record["name"] for record in records]
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(records) - 1))
            match data.draw(st.sampled_from(["read", "read", "forget", "move", "double", "drop", "name"])):
                case "read":
                    wanted = data.draw(st.lists(st.sampled_from([*names, "nobody"]), min_size=1, max_size=4))
                    records[place]["inputs"] = wanted
                case "forget":
                    records[place].pop("inputs", None)
                case "move":
                    records.insert(data.draw(st.integers(0, len(records) - 1)), records.pop(place))
                case "double":
                    records.insert(place, dict(records[place]))
                case "drop" if len(records) > 1:
                    records.pop(place)
                case "name":
                    records[place]["name"] = data.draw(st.sampled_from(names))

    check(path, repack((GOLDEN / "graph_stream_v2.fewbit").read_bytes(), change))


def integers(value):
    """Every ``(container, key)`` of nested JSON that holds an integer."""
    return [(inside, key) for inside, key in places(value) if type(inside[key]) is int]


@pytest.mark.parametrize(
    "name",
    ["graph_stream_v2", "graph_whole_v2", "graph_parts_v2", "graph_kernels_v2", "graph_columns_v2", "every_op_v1"],
)
@pytest.mark.parametrize("number", [0, 2**20, 2**24, 2**31 - 1])
def test_no_size_asks_for_more_memory_or_time_than_the_file_is_large(name, number, path, repack):
    """Every integer of a description in turn."""
    content = (GOLDEN / f"{name}.fewbit").read_bytes()
    count = len(integers(json_of(content)["ops"]))
    bound = (8 << 20) + 300 * len(content)
    for i in range(count):

        def change(meta, tensors, i=i):
            inside, key = integers(meta["ops"])[i]
            inside[key] = number

        path.write_bytes(repack(content, change))
        tracemalloc.start()
        start = time.monotonic()
        try:
            program = load(path)
        except FileFormatError:
            program = None
        seconds = time.monotonic() - start
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < bound
        assert seconds < 2
        if program is not None:
            check(path, path.read_bytes())


def json_of(content):
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["fewbit"])


def test_many_ops_are_read_in_time_that_grows_with_their_number(path, repack):
    """Ten thousand ops, each of which reads two before it."""

    def change(meta, tensors):
        tensors.clear()
        record = {"kind": "take", "inputs": ["0", "0"], "tensors": "take"}
        tensors["take.index"] = np.array([1], np.int32)
        tensors |= {"00.gain": np.ones(1, np.float32), "00.offset": np.ones(1, np.float32)}
        first = {"kind": "quantize", "tensors": "00", "name": "0", "low": -1, "high": 1}
        meta["ops"] = [
            first,
            *(record | {"name": f"{i}", "inputs": [f"{i // 2}", f"{i - 1}"]} for i in range(1, 10_000)),
        ]
        meta["signature"] = None

    path.write_bytes(repack((GOLDEN / "graph_whole_v2.fewbit").read_bytes(), change))
    start = time.monotonic()
    assert len(load(path).ops) == 10_000
    assert time.monotonic() - start < 10
