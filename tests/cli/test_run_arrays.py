"""`fewbit run` on arrays: in the shapes of the network, by name where there are several, symbols as integers."""

import json

import numpy as np
import pytest

from fewbit.cli.main import main
from fewbit.formats import Int, PerRow, default_layout, pack
from fewbit.program import Program, load, ops
from fewbit.program.numerics import INT32, rescale_from
from fewbit.program.signature import Port, Signature


@pytest.fixture
def tagger(tmp_path):
    """Words (symbols) and a picture ``(2, time)`` in; classes of each word, and one number for all."""

    def matrix(rows, columns):
        codes = np.random.default_rng(rows).integers(-100, 100, (rows, columns))
        layout = default_layout(Int(8))
        return ops.Matrix(rows, columns, Int(8), layout, PerRow(), pack(codes, Int(8), layout))

    program = Program(
        (
            ops.Lookup("words", matrix(7, 3), rescale_from(1.0, -127, 127)),
            ops.Quantize("sound", np.ones(2, np.float32), np.zeros(2, np.float32), -127, 127, first=1),
            ops.Take("both", np.arange(1, 6), inputs=("words", "sound")),
            ops.Dense("head", matrix(5, 5), np.zeros(5, np.int64), rescale_from(1.0, *INT32)),
        ),
        signature=Signature(
            (Port("words", (0,), 0, (), 0, True), Port("sound", (2, 0), 1, (0,), 1)),
            (Port("classes", (4, 0), 1, (0,), 0), Port("level", (), -1, (), 4)),
        ),
    )
    return str(program.save(tmp_path / "tagger.fewbit"))


def test_several_inputs_go_by_name_and_results_too(tagger, tmp_path, capsys):
    words, sound = np.array([1, 6, 0]), np.random.default_rng(0).normal(0, 9, (2, 3))
    np.savez(tmp_path / "x.npz", sound=sound, words=words)
    classes, level = load(tagger)(words, sound)
    best = classes.argmax(axis=0).tolist()
    assert main(["run", tagger, str(tmp_path / "x.npz"), "--json", "--out", str(tmp_path / "y.npz")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "file": str(tmp_path / "x.npz"),
        "shape": [4, 3],
        "best": best,
        "results": [{"name": "classes", "shape": [4, 3], "best": best}, {"name": "level", "shape": [], "best": None}],
    }
    with np.load(tmp_path / "y.npz") as out:
        assert np.array_equal(out["classes"], classes)
        assert out["level"] == level
    assert main(["run", tagger, str(tmp_path / "x.npz")]) == 0
    said = capsys.readouterr().out
    assert f"classes 4 x 3, best class of each frame: {best[0]} {best[1]} {best[2]}\n" in said
    assert "level one number\n" in said


def refused(capsys, *arguments):
    assert main(["run", *map(str, arguments)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


def test_what_does_not_fit_is_one_sentence(tagger, tmp_path, capsys):
    file = tmp_path / "x.npz"
    np.save(tmp_path / "x.npy", np.zeros((2, 3)))
    assert "one array, but the network takes 2 (words, sound); give them by name in an .npz file" in refused(
        capsys, tagger, tmp_path / "x.npy"
    )
    np.savez(file, words=np.zeros(3, int))
    assert "holds words; the network takes words, sound" in refused(capsys, tagger, file)
    np.savez(file, words=np.zeros(3, int), sound=np.zeros((2, 3)), sond=np.zeros(1))
    assert "holds words, sound, sond; the network takes words, sound" in refused(capsys, tagger, file)
    np.savez(file, words=np.zeros(3), sound=np.zeros((2, 3)))
    assert "words holds float64, wanted integers (symbols)" in refused(capsys, tagger, file)
    np.savez(file, words=np.full(3, 7), sound=np.zeros((2, 3)))
    assert "symbol" in refused(capsys, tagger, file)
    np.savez(file, words=np.zeros(3, int), sound=np.zeros((1, 2, 3)))
    assert "sound has shape (1, 2, 3), wanted (2, time) (no batch axis)" in refused(capsys, tagger, file)
    np.savez(file, words=np.zeros(3, int), sound=np.zeros((2, 4)))
    assert "the inputs have different lengths in time: [3, 4]" in refused(capsys, tagger, file)
    np.savez(file, words=np.array([{}], object), sound=np.zeros((2, 3)))
    assert "cannot be read as arrays" in refused(capsys, tagger, file)
    file.write_bytes(file.read_bytes()[:60])
    assert "cannot be read as arrays" in refused(capsys, tagger, file)
    (tmp_path / "x.txt").write_text("1 2 3")
    assert "cannot be read as arrays" in refused(capsys, tagger, tmp_path / "x.txt")
    assert "cannot be read as arrays" in refused(capsys, tagger, tmp_path / "none.npy")


def test_a_network_without_signature_takes_frames_as_ever(listener, tmp_path, capsys):
    model = listener.save(tmp_path / "m.fewbit")
    np.save(tmp_path / "x.npy", np.zeros((8, listener.inputs), np.float32))
    assert main(["run", str(model), str(tmp_path / "x.npy")]) == 0
    assert "x.npy: scores 4 x 4, best class of each frame: " in capsys.readouterr().out
