"""Packed files of every version ever released are read, and mean the same integers on every machine."""

import json
from pathlib import Path

import numpy as np
import pytest

from fewbit.native import targets
from fewbit.program import Reference, load, ops
from fewbit.program.native_run import Native
from fewbit.program.write import VERSION

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.fewbit"))


def frames(inputs=10):
    t = np.arange(80)[:, None]
    real = 3 * np.sin(t / 7 * np.arange(1, 11)) + t / 7 / 5
    symbols = (t * np.arange(3, inputs - 7) + t // 9) % 5
    return np.asarray(np.concatenate([real, symbols], axis=1), np.float32)


def version(file):
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["fewbit"])["version"]


def integers(executor, inputs):
    """What an executor gives for a whole input, and for its pieces where it runs as a stream."""
    return executor.step(frames(inputs), executor.init_state(), True)[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_old_files_give_the_integers_they_gave(file):
    program, wanted = load(file), np.load(file.with_suffix(".npy"))
    assert np.array_equal(integers(Reference(program.ops), program.inputs), wanted)
    assert np.array_equal(integers(program.executor, program.inputs), wanted)
    for target in targets():
        assert np.array_equal(integers(Native(program.ops, target), program.inputs), wanted)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_files_of_every_version_are_written_byte_for_byte(file):
    """What version 1 can say is still written as version 1."""
    assert load(file).to_bytes() == file.read_bytes()
    assert file.stem.endswith(f"_v{version(file)}")


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*_v2.fewbit")), ids=lambda file: file.stem)
def test_the_integers_say_something(file):
    scores = np.load(file.with_suffix(".npy"))
    assert min(len(np.unique(column)) for column in scores.T) > 10


def test_every_version_has_a_file():
    assert {version(file) for file in FILES} == set(range(1, VERSION + 1))


def test_the_golden_programs_have_every_kind_of_op():
    several = [op for file in FILES for op in load(file).ops]
    several += [part for op in several if isinstance(op, ops.Hierarchy) for chain in op.chains for part in chain]
    assert {op.kind for op in several} == set(ops.KINDS)
    conv = [op for op in several if isinstance(op, ops.Conv)]
    assert any(op.grid != ops.ONE_PLACE for op in conv)
    assert any(op.groups > 1 for op in conv)
    assert any(op.dilation > 1 and op.right for op in conv)
    attend = [op for op in several if isinstance(op, ops.Attend)]
    assert {(op.places > 0, op.window_frames > 0) for op in attend} == {(True, False), (False, True), (False, False)}
