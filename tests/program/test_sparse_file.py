"""Sparse ternary weights in packed files: every layout comes back, in version 2, and damaged bytes are refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save

from fewbit.errors import FileFormatError
from fewbit.formats import PerTensor, SparseTernary, default_layout, format_from_name, pack
from fewbit.program import Program, Reference, cost, load, ops
from fewbit.program.numerics import rescale_from

NAMES = ["sparse8,2", "sparse8,1", "sparse4,2", "sparse8,3", "sparse16,4", "sparse4=3"]


def dense(name, rows, columns, spec, rng, layout=None):
    format = format_from_name(spec)
    layout = layout or default_layout(format)
    codes = format.draw(rng, rows, columns)
    weight = ops.Matrix(rows, columns, format, layout, PerTensor(), pack(codes, format, layout))
    return ops.Dense(name, weight, np.zeros(rows, np.int64), rescale_from(0.5, -127, 127)), codes


def program(spec="sparse8,2", layout=None, rows=5, columns=20):
    first = ops.Quantize("x", np.full(columns, 20, np.float32), np.zeros(columns, np.float32), -127, 127)
    op, codes = dense("y", rows, columns, spec, np.random.default_rng(0), layout)
    return Program((first, op)), codes


def changed(data, change):
    """A packed file with its description and tensors changed."""
    length = int.from_bytes(data[:8], "little")
    description = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["fewbit"])
    tensors = {name: array.copy() for name, array in tensors_of(data).items()}
    change(description["ops"][1]["weight"], tensors)
    return save(tensors, {"fewbit": json.dumps(description, sort_keys=True, separators=(",", ":"))})


def refusal(path, data):
    path.write_bytes(data)
    with pytest.raises(FileFormatError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(("name", "layout"), [*((name, None) for name in NAMES), ("sparse8,1", "pairs")])
def test_a_program_comes_back_from_its_file(name, layout, tmp_path):
    made, codes = program(name, layout)
    path = tmp_path / "sparse.fewbit"
    made.save(path)
    found = load(path)
    matrix = found.ops[1].weight
    assert (matrix.format.name, matrix.layout) == (name, layout or default_layout(format_from_name(name)))
    assert np.array_equal(matrix.codes(), codes)
    assert path.read_bytes() == found.to_bytes()
    x = np.random.default_rng(1).normal(size=(7, 20)).astype(np.float32)
    integers = np.clip(np.floor(x.astype(np.float64) * 20 + 0.5), -127, 127).astype(int)
    wanted = np.clip((integers @ codes.T.astype(int) + 1) // 2, -127, 127)
    reference = Reference(found.ops)
    assert np.array_equal(reference.step(x, reference.init_state(), True)[0], wanted)


def test_the_file_takes_the_bytes_that_the_words_take():
    made, _ = program("sparse8,3", rows=100, columns=100)
    assert cost(made).ops[1].bits == round(13 * 10 / 100, 2)
    assert made.ops[1].weight.data.nbytes == int(np.ceil(100 * 13 * 10 / 8))


def test_sparse_weights_need_version_2():
    data = program()[0].to_bytes()
    length = int.from_bytes(data[:8], "little")
    description = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["fewbit"])
    assert description["version"] == 2
    assert description["ops"][1]["weight"] == {
        "rows": 5, "columns": 20, "format": "sparse8,2", "layout": "pairs", "per": "tensor",
    }  # fmt: skip


def put(key, value):
    return lambda weight, tensors: weight.update({key: value})


def shaped(*shape):
    return lambda weight, tensors: tensors.update({"01.weight": np.zeros(shape, np.uint8)})


def first_byte(value):
    def change(weight, tensors):
        tensors["01.weight"].flat[0] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("sparse8,2", put("layout", "bits"), "sparse8,2 has no layout bits"),
        ("sparse8,2", put("layout", "table"), "which take (15,) bytes, but has (5, 3)"),
        ("sparse8,2", put("format", "sparse99,2"), "sparse99,2: wanted groups of 2 to 16 columns"),
        ("sparse8,2", put("format", "sparse8,3"), "layout pairs holds at most two non-zeros of eight columns"),
        ("sparse8,2", put("format", "sparse8,1"), "is no group of sparse8,1 in the layout pairs"),
        ("sparse8,2", put("per", 8), "sparse8,2 with a scale per group, which sparse codes do not have"),
        ("sparse8,2", shaped(15), "which take (5, 3) bytes, but has (15,)"),
        ("sparse8,2", first_byte(0x80), "byte 0x80 is no group of sparse8,2"),
        ("sparse8,3", shaped(5, 4), "which take (19,) bytes, but has (5, 4)"),
        ("sparse8,3", put("rows", 2**24), "'weight' claims 16777216 x 20 sparse8,3 codes"),
        ("sparse4,2", first_byte(0xFF), "word 63 is outside the 33 patterns of sparse4,2"),
        ("sparse4=3", put("columns", 19), "sparse4=3 needs whole groups of 4 columns, not 19 columns"),
    ],
)
def test_what_does_not_fit_is_refused(name, change, fault, tmp_path):
    data = program(name)[0].to_bytes()
    if "per" in fault and "scale" in fault:
        original = change

        def change(weight, tensors):
            original(weight, tensors)
            tensors["01.weight.group_scale"] = np.ones((5, 3), np.uint16)

    assert fault in refusal(tmp_path / "broken.fewbit", changed(data, change))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_byte_of_the_weights_is_refused_or_is_what_a_writer_writes(name, place, value, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "sparse.fewbit"

    def change(weight, tensors):
        codes = tensors["01.weight"]
        codes.flat[place % codes.size] = value

    data = changed(program(name)[0].to_bytes(), change)
    path.write_bytes(data)
    try:
        found = load(path)
    except FileFormatError:
        return
    assert found.to_bytes() == data
    assert isinstance(found.ops[1].weight.format, SparseTernary)
