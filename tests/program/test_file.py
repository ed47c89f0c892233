"""The packed file: what is saved comes back, and each kind of damage is refused in a sentence of its own."""

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as to_safetensors

from fewbit.cli.main import main
from fewbit.errors import FileFormatError
from fewbit.program import load, show
from fewbit.program.signature import Port, Signature

HEADER_MAX = 100_000_000  # of safetensors


def same(a, b):
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    return type(a) is type(b) and a == b


def test_a_saved_program_comes_back(every_op, tmp_path):
    path = every_op.save(tmp_path / "net.fewbit")
    again = load(path)
    assert all(same(a, b) for a, b in zip(every_op.ops, again.ops, strict=True))
    assert (again.features, again.alphabet, again.recipe) == (every_op.features, every_op.alphabet, every_op.recipe)
    assert again.to_bytes() == every_op.to_bytes() == path.read_bytes()
    x = np.random.default_rng(2).normal(0, 30, (20, 6)).astype(np.float32)
    scores = every_op(x)
    assert scores.shape == (10, 3)
    assert len(np.unique(scores, axis=0)) > 5  # the comparison is worth something
    assert np.array_equal(again(x), scores)


def test_saving_leaves_one_complete_file_and_replaces_an_older_one(every_op, tmp_path):
    path = tmp_path / "net.fewbit"
    path.write_bytes(b"old")
    every_op.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["net.fewbit"]
    assert path.read_bytes() == every_op.to_bytes()


def test_the_file_is_safetensors_with_one_metadata_key(every_op):
    data = every_op.to_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == ["fewbit"]
    text = header["__metadata__"]["fewbit"]
    meta = json.loads(text)
    assert list(meta) == ["alphabet", "features", "ops", "recipe", "version"]
    assert text == json.dumps(meta, sort_keys=True, separators=(",", ":"))
    assert {str(value.dtype) for value in tensors_of(data).values()} == {"float32", "int32", "uint16", "uint8"}


GRAPHS = sorted((Path(__file__).parents[1] / "golden").glob("graph_*_v2.fewbit"))


def test_a_chain_of_old_kinds_is_still_written_as_version_1(every_op):
    assert described(every_op)["version"] == 1
    read = replace(every_op.ops[1], inputs=("input",))
    assert described(replace(every_op, ops=(every_op.ops[0], read, *every_op.ops[2:])))["version"] == 2
    ports = Port("x", (0, 6), 0, (1,)), Port("y", (0, 3), 0, (1,))
    assert described(replace(every_op, signature=Signature(ports[:1], ports[1:])))["version"] == 2


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_a_graph_comes_back(path):
    program = load(path)
    meta = described(program)
    assert meta["version"] == 2
    assert [record.get("inputs", []) for record in meta["ops"]] == [list(op.inputs) for op in program.ops]
    types = {str(value.dtype) for value in tensors_of(program.to_bytes()).values()}
    assert types <= {"float32", "int32", "int16", "uint16", "uint8"}
    cost = show(path)
    assert cost.payload_bytes == cost.weight_bytes == sum(part.bytes for part in cost.ops)
    assert [part.inputs for part in cost.ops[1:2]] == [tuple(program.ops[i].name for i in program.graph.inputs[1])]


def test_a_program_with_a_signature_comes_back(tmp_path):
    program = load(next(path for path in GRAPHS if path.stem == "graph_stream_v2"))
    again = load(program.save(tmp_path / "net.fewbit"))
    assert again.signature == program.signature
    x, words = np.zeros((30, 10), np.float32), np.zeros((2, 30), int)
    assert np.array_equal(again(x, words), program(x, words))
    assert again(x, words).shape == (15, 5)


def described(program):
    data = program.to_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["fewbit"])


def test_all_bytes_of_the_file_are_counted(every_op, tmp_path):
    cost = show(every_op.save(tmp_path / "net.fewbit"))
    assert cost.header_bytes + cost.payload_bytes == cost.file_bytes == len(every_op.to_bytes())
    assert cost.payload_bytes == cost.weight_bytes == sum(part.bytes for part in cost.ops)


@pytest.fixture
def refused(tmp_path, capsys):
    """Checks that a file is refused with one sentence, by Python and by the command line."""

    def check(content, sentence):
        path = tmp_path / "net.fewbit"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=sentence) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert main(["show", str(path)]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == f"error: {caught.value}\n"

    return check


def test_a_missing_file_and_a_folder_are_refused(tmp_path, capsys):
    for path in (tmp_path / "none.fewbit", tmp_path):
        with pytest.raises(FileFormatError, match=f"{path}: there is no such file"):
            load(path)
        assert main(["show", str(path)]) == 1
        assert capsys.readouterr().err == f"error: {path}: there is no such file\n"


CUT_OFF = "the header claims more bytes than the file has; it was cut off or is no packed network"
NOT_FILLED = "the tensors do not fill the file exactly; it was cut off or something was added"
TOO_LARGE = "the header claims to be larger than 100 MB; this is not a packed network"
SHORT = "the file is shorter than 8 bytes; it is empty or was cut off"
NOT_JSON = "the header is not JSON of a safetensors file; it is damaged or something else"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", SHORT),
        (b"\x00" * 7, SHORT),
        (b"PK\x03\x04" + bytes(100), CUT_OFF),
        (b"GGUF\x03\x00\x00\x00" + bytes(100), TOO_LARGE),
        (b"This is a text, and a long one.\n" * 9, TOO_LARGE),
        ((4 << 30).to_bytes(8, "little") + b"{}", TOO_LARGE),
        ((1 << 63).to_bytes(8, "little") + b"{}", TOO_LARGE),
        ((2**64 - 1).to_bytes(8, "little") + b"{}", TOO_LARGE),
        (HEADER_MAX.to_bytes(8, "little") + b"{}", CUT_OFF),
        ((8).to_bytes(8, "little") + b"\xff" * 8, "the header is not text; the file is damaged"),
        ((8).to_bytes(8, "little") + b"[[[[[[[[", NOT_JSON),
        ((99_000).to_bytes(8, "little") + b"[" * 99_000, NOT_JSON),
        (to_safetensors({"x": np.zeros(1)}), "not a packed network .no 'fewbit' in its metadata.; make one with"),
        (to_safetensors({}, {"fewbit": "{"}), "the description is not JSON .*; the file is damaged"),
        (to_safetensors({}, {"fewbit": "[" * 99_000}), "the description is not JSON .*recursion"),
        (to_safetensors({}, {"fewbit": '{"a":' + "9" * 5000 + "}"}), "the description is not JSON .*digits"),
        (to_safetensors({}, {"fewbit": '{"a":' + "[" * 99 + "]" * 99 + "}"}), "is nested deeper than 64"),
        (to_safetensors({}, {"fewbit": '{"a":"\\ud800"}'}), "holds half a character"),
        (to_safetensors({}, {"fewbit": '{"a":1e999}'}), "holds a number that is too large"),
        (to_safetensors({}, {"fewbit": '{"a":-Infinity}'}), "the description holds -Infinity, which is no number"),
        (to_safetensors({}, {"fewbit": "[]"}), "the description is not a JSON object"),
        (to_safetensors({}, {"fewbit": '{"version":1}'}), "the description lists no ops"),
        (to_safetensors({}, {"fewbit": '{"version":1,"ops":[3]}'}), "op 0: the description of the op is not as it"),
    ],
)
def test_what_is_no_packed_network_is_refused(content, sentence, refused):
    refused(content, sentence)


@pytest.mark.parametrize(
    ("keep", "sentence"),
    [(1, SHORT), (8, CUT_OFF), (100, CUT_OFF), (-1, NOT_FILLED), (-400, NOT_FILLED)],
)
def test_a_file_that_was_cut_off_is_refused(keep, sentence, every_op, refused):
    refused(every_op.to_bytes()[:keep], sentence)


def test_bytes_after_the_end_are_refused(every_op, refused):
    refused(every_op.to_bytes() + b"\x00", NOT_FILLED)


@pytest.mark.parametrize(
    ("seen", "false", "sentence"),
    [
        (b'"shape":[6]', b'"shape":[7]', "a tensor's shape does not fit its bytes"),
        (b'"dtype":"F32","shape":[6]', b'"dtype":"BF16","shape":[12]', "the tensor '00.gain' holds numbers that no"),
        (b'"dtype":"F32","shape":[6]', b'"dtype":"F16","shape":[12]', "'00.gain' holds float16, wanted float32"),
        (b'"shape":[6]', b'"shape":[4611686018427387904,4]', "a tensor's shape is too large to be true"),
    ],
)
def test_a_lying_header_is_refused(seen, false, sentence, every_op, refused):
    data = every_op.to_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = data[8:start].replace(seen, false, 1)
    assert header != data[8:start]
    refused(len(header).to_bytes(8, "little") + header + data[start:], sentence)
