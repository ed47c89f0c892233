"""Packed files of every version ever released are read, and mean the same integers on every machine."""

from pathlib import Path

import numpy as np
import pytest

from fewbit.program import load, ops
from fewbit.program.write import VERSION

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.fewbit"))


def frames():
    t = np.arange(80)[:, None] / 7
    return np.asarray(3 * np.sin(t * np.arange(1, 11)) + t / 5, np.float32)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_old_files_give_the_integers_they_gave(file):
    program = load(file)
    scores, _ = program.step(frames(), program.init_state())
    assert np.array_equal(scores, np.load(file.with_suffix(".npy")))


@pytest.mark.parametrize("file", sorted(FOLDER.glob(f"*_v{VERSION}.fewbit")), ids=lambda file: file.stem)
def test_the_present_version_is_written_byte_for_byte(file):
    assert load(file).to_bytes() == file.read_bytes()


def test_the_golden_programs_have_every_kind_of_op():
    kinds = {type(op) for file in FOLDER.glob(f"*_v{VERSION}.fewbit") for op in load(file).ops}
    assert kinds == set(ops.Op.__args__)
