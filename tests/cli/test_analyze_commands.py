"""``fewbit analyze``: every command on a small network of a user's own, with a picture and figures beside it."""

import json

import pytest

from fewbit.cli import main as cli
from fewbit.passes import read_recipe

TASK = """
import torch
from torch import nn
from fewbit.tasks import Task

inputs = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
labels = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()




def net(layers):
    def build(size):
        hidden = [part for _ in range(layers - 1) for part in (nn.Linear(size, size), nn.ReLU())]
        return nn.Sequential(nn.Linear(6, size), nn.ReLU(), *hidden, nn.Linear(size, 3))
    return build


def batches(seed):
    return list(zip(inputs.split(32), labels.split(32)))


def evaluate(model):
    return 100 * float((model(inputs).argmax(1) != labels).float().mean())


settings = {"batches": batches, "evaluate": evaluate, "size": 8, "sizes": (4, 8, 16), "epochs": 4, "retrain_epochs": 2}
settings |= {"lr": 0.02, "retrain_lr": 0.02}
task = Task("toy", net(2), **settings)
three = Task("toy", net(3), **settings)
"""


@pytest.fixture
def say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.py").write_text(TASK)

    def run(*words, code=0):
        assert cli.main(["analyze", *map(str, words)]) == code
        return capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("words", "stems"),
    [
        (("resilience", "toy.py", "--sizes", "4,8", "--seeds", 1), ["resilience-toy"]),
        (("capacity", "toy.py", "--seeds", 1, "--specs", "ternary,int8", "--bytes", 400), ["capacity-toy"]),
        (("sensitivity", "toy.py", "--bytes", 150), ["sensitivity-toy", "assigned-bits-toy"]),
        (("bits", "toy.py", "--weights", "2", "--signals", "4,2", "--seeds", 1), ["bits-toy"]),
        (("noise", "toy.py"), ["noise-toy"]),
        (("surface", "toy.py", "--grid", 3), ["surface-toy"]),
        (("sharpness", "toy.py"), ["sharpness-float-toy", "sharpness-ternary-retrained-toy"]),
        (("errors", "--width", 4, "--depth", 2, "--target", "spirals"), ["errors-spirals-2x4"]),
        (("design", "2=toy.py", "3=toy.py:three", "--bytes", 300, "--signals", "4,8"), ["design-toy"]),
    ],
    ids=lambda value: value[0] if isinstance(value[0], str) and "-" not in value[0] else "",
)
def test_a_command_leaves_a_picture_and_figures(say, tmp_path, words, stems):
    shown = say(*words).out
    results = tmp_path / "results"
    assert list(results.glob("*.png"))
    for stem in stems:
        assert json.loads((results / f"{stem}.json").read_text())
        head, *rows = (results / f"{stem}.csv").read_text().splitlines()
        assert rows
        assert "," in head
        assert f"{stem}.csv" in shown.replace("\n", "")


def test_assigned_bits_are_a_recipe(say, tmp_path):
    say("sensitivity", "toy.py", "--bytes", 300, "--signals", "", "--specs", "ternary,int4", "--retrain", 1)
    recipe = read_recipe(tmp_path / "results" / "assigned-bits-toy.toml")
    weights = dict(recipe.to_dict()["passes"][0]["weights"])
    assert set(weights) == {"0.weight", "2.weight", "4.weight"}
    assert set(weights.values()) <= {"ternary", "int4"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bits", "toy.py", "--weights", "two"), "--weights two: wanted whole numbers with commas between"),
        (("design", "toy.py", "--bytes", 300), "'toy.py': wanted DEPTH=TASK, such as 2=nets.py:two"),
        (("design", "2=toy.py", "--bytes", 20), "nothing fits into 20 bytes; the smallest network, 2 x 4, W2, takes"),
        (("noise", "gone.py"), "gone.py: there is no such file"),
        (("sensitivity", "toy.py", "--specs", "int99"), "int99"),
        (("errors", "--target", "moons"), "target='moons'"),
        (("resilience", "toy.py", "--sizes", "a"), "--sizes a: wanted numbers"),
    ],
)
def test_faults_are_one_message(say, words, message):
    assert message in say(*words, code=1).err.replace("\n", " ")


def test_a_task_of_a_file_runs_in_other_processes_and_anew_once_it_is_edited(say, tmp_path):
    words = ("resilience", "toy.py", "--sizes", "4", "--seeds", 1, "--specs", "ternary")
    say(*words, "--workers", 2)
    (first,) = (tmp_path / "results").glob("*.jsonl")
    kept = first.read_text()
    assert "resuming with the runs in" in say(*words).out.replace("\n", " ")
    assert first.read_text() == kept
    (tmp_path / "toy.py").write_text(TASK.replace("+ (inputs[:, 1] > 0).long()", ""))
    say(*words)
    assert first.read_text() == kept
    assert len(list((tmp_path / "results").glob("*.jsonl"))) == 2


def test_failed_runs_are_said_and_no_figures_are_an_error(say, tmp_path):
    (tmp_path / "nan.py").write_text(TASK + "inputs[0, 0] = float('nan')\n")
    assert "no run gave figures; the first: " in say("resilience", "nan.py", "--seeds", 1, code=1).err.replace(
        "\n", " "
    )
    (tmp_path / "afile").write_text("")
    assert "--out afile: is a file" in say("bits", "toy.py", "--out", "afile", code=1).err
    assert "ternry" in say("sensitivity", "toy.py", "--specs", "ternry", code=1).err
