"""``fewbit analyze prune`` from end to end: its files, an interrupted run, and the recipe of the chosen point."""

import csv
import json
import shlex
from pathlib import Path

import pytest

from fewbit.cli import main as cli
from fewbit.program import show

TASK = """
import torch
from torch import nn
from fewbit.tasks import Task

x = torch.randn(48, 2, 6, 6, generator=torch.Generator().manual_seed(0))
y = (x[:, 0].mean((1, 2)) > 0).long()


def build(size):
    return nn.Sequential(nn.Conv2d(2, size, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * size, 2))


def evaluate(model):
    return 100 * float((model(x).argmax(1) != y).float().mean())


lengths = {"epochs": 2, "retrain_epochs": 1, "lr": 0.02, "retrain_lr": 0.02}
task = Task("small maps", build, lambda seed: list(zip(x.split(16), y.split(16))), evaluate, size=6, **lengths)
"""
WORDS = ("maps.py", "--ratio", "0.5", "--specs", "ternary,int4", "--seeds", 1)


@pytest.fixture
def say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fewbit.cli.output.console.width", 200)
    (tmp_path / "maps.py").write_text(TASK)

    def run(*words, code=0):
        assert cli.main([*map(str, words)]) == code
        return capsys.readouterr()

    return run


def errors(folder: Path) -> dict[str, str]:
    with (folder / "prune-small-maps.csv").open() as file:
        return {row["network"]: row["error (%)"] for row in csv.DictReader(file)}


def test_the_files_of_a_run_and_the_recipe_of_its_choice(say, tmp_path):
    results = tmp_path / "results"
    shown = say("analyze", "prune", *WORDS).out
    assert "left out: units: Sequential has no units to prune" in shown
    assert "nothing is chosen; --bytes, --macs or --error chooses a point, and trains nothing again" in shown
    assert (results / "prune-small-maps.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((results / "prune-small-maps.json").read_text())
    wanted = [(name, spec) for name in ("dense", "channels", "kernels") for spec in ("ternary", "int4")]
    assert [(row["granularity"], row["spec"]) for row in found["rows"]] == wanted
    assert all(row["time_us"] > 0 for row in found["rows"])
    assert len(errors(results)) == 7
    assert not list(results.glob("*.toml"))

    (kept,) = results.glob("*.jsonl")
    rows = kept.read_text()
    maps = next(row for row in found["rows"] if row["granularity"] == "channels" and row["spec"] == "ternary")
    shown = say("analyze", "prune", *WORDS, "--bytes", maps["bytes"]).out
    assert kept.read_text() == rows
    assert f"chosen: channels 0.5 ternary: {maps['bytes']} bytes, error (%) {maps['error']:.4g} on" in shown
    assert (
        json.loads((results / "prune-small-maps.json").read_text())["chosen"]["networks"][0]["bytes"] == maps["bytes"]
    )

    words = shlex.split(shown.strip().splitlines()[-1])
    assert words[:2] == ["fewbit", "compress"]
    assert f"held out {maps['error']:.2f}" in say(*words[1:], "--out", "small").out
    say("pack", "maps.py", "small", "--out", "small.fewbit")
    packed = show(tmp_path / "small.fewbit")
    assert (packed.macs, packed.weight_bytes) == (maps["macs"], maps["bytes"])


# loky starts a worker anew whose memory has grown by 300 MB, as traced networks let it, and says so; no run is lost.
@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs were given to the executor")
def test_an_interrupted_run_goes_on_with_the_same_figures_also_in_other_processes(say, tmp_path):
    say("analyze", "prune", *WORDS, "--out", "whole")
    (kept,) = (tmp_path / "whole").glob("*.jsonl")
    lines = kept.read_text().splitlines(keepends=True)
    (tmp_path / "torn").mkdir()
    torn = tmp_path / "torn" / kept.name
    torn.write_text("".join(lines[:3]) + lines[3][:50])  # killed while it wrote
    assert "resuming with the runs in" in say("analyze", "prune", *WORDS, "--out", "torn", "--workers", 2).out
    again = torn.read_text().splitlines(keepends=True)
    assert again[:3] == lines[:3]
    assert sorted(again) == sorted(lines)
    assert errors(tmp_path / "torn") == errors(tmp_path / "whole")


def test_a_wish_that_nothing_fulfils_is_an_error_and_the_figures_are_kept(say, tmp_path):
    words = ("maps.py", "--ratio", "0", "--specs", "int4", "--seeds", 1, "--bytes", 9)
    said = say("analyze", "prune", *words, code=1)
    assert "nothing measured has at most 9 bytes; the least, dense int4, has" in said.err
    assert "dense int4" in errors(tmp_path / "results")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ratio", "0.9..0.1"), "--ratio 0.9..0.1: '0.9..0.1' goes down"),
        (("--by", "rows"), "small maps: no granularity is called 'rows'; there are channels, units, heads, kernels"),
        (("--by", "units"), "small maps: nothing can be pruned: units: Sequential has no units"),
        (("--specs", "int99"), "int99"),
        (("--bytes", 9, "--macs", 9), "--bytes, --macs and --error: saw [9, 9.0]; wanted one of them at most"),
        (("--error", "inf"), "saw [inf]; wanted one of them at most, and a number"),
        (("--activations", "ternry"), "ternry"),
    ],
)
def test_faults_are_one_message_before_any_training(say, tmp_path, words, message):
    assert message in say("analyze", "prune", "maps.py", *words, code=1).err
    assert not list(tmp_path.rglob("*.jsonl"))
