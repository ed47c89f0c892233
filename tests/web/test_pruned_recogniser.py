"""A pruned recogniser with sparse codes, from training to a stream: file, command line and server say the same."""

import json

import numpy as np
import pytest
import soundfile
import torch

import fewbit as fb
from fewbit.cli.main import main
from fewbit.decode import to_dict
from fewbit.models import SpeechRNN
from fewbit.program import Program
from fewbit.streams import Session
from fewbit.web import app
from tests.web.web_server import RATE, running

LETTERS = ("a", "b", "c")


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32)


@pytest.fixture(scope="module")
def program(sound: np.ndarray) -> Program:
    """Half of the units gone, at most two of eight weights not zero; it is trained to say letters about noise."""
    mels, alphabet = fb.LogMel(mels=8, sample_rate=RATE), fb.Alphabet(LETTERS)
    frames = torch.from_numpy(np.asarray(mels(sound), np.float32))[None]
    torch.manual_seed(0)
    model = SpeechRNN(8, 32, 2, alphabet.classes, dropout=0.0)
    model.norm.fit(frames[0])
    labels = torch.arange((frames.shape[1] + 1) // 2)[None] // 4 % alphabet.classes
    retrain = fb.Finetune([(frames, labels)], fb.CrossEntropy(), epochs=40, lr=1e-2, progress=False)
    student = fb.compress(
        model,
        retrain,
        fb.PruneUnits(0.5, frames),
        fb.Quantize(weights={"head": "int8", "*": "sparse8,2"}, activations="int8", calibration=[frames]),
        retrain,
    )
    return fb.pack(student.eval(), features=mels, alphabet=alphabet)


def test_its_matrices_are_small_and_sparse(program: Program) -> None:
    weights = [op.weight for op in program.ops if hasattr(op, "weight")]
    assert [(w.rows, w.columns, str(w.format)) for w in weights] == [
        (16, 40, "sparse8,2"),
        (48, 16, "sparse8,2"),
        (48, 16, "sparse8,2"),
        (4, 16, "int8"),
    ]


@pytest.mark.parametrize("parts", [1, 3, 11])
def test_any_split_says_the_same(program: Program, sound: np.ndarray, parts: int) -> None:
    whole = Session(program, sample_rate=RATE)
    events = whole.step(sound) + whole.finish()
    split = Session(program, sample_rate=RATE)
    heard = [event for part in np.array_split(sound, parts) for event in split.step(part)] + split.finish()
    assert [to_dict(event) for event in heard] == [to_dict(event) for event in events]
    assert any(event.text for event in events if hasattr(event, "text"))


def test_the_command_line_and_the_server_say_what_the_file_says(program, sound, tmp_path, capsys) -> None:
    path = program.save(tmp_path / "small.fewbit")
    soundfile.write(tmp_path / "noise.wav", sound, RATE, subtype="PCM_16")
    heard = fb.stream(fb.load(path), tmp_path / "noise.wav").text
    assert main(["stream", str(tmp_path / "noise.wav"), "--json", "--model", str(path), "--lm", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == heard != ""
    with running(app(fb.load(path))) as server:
        events = server.hear(sound)
    session = Session(program, sample_rate=RATE)
    rounded = (np.rint(sound * 32768).clip(-32768, 32767) / 32768).astype(np.float32)
    wanted = [json.loads(json.dumps(to_dict(event))) for event in session.step(rounded) + session.finish()]
    assert [event for event in events if event["event"] not in ("ready", "stats")] == wanted
