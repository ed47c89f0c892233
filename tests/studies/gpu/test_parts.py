"""The parts of the studies on a GPU that need none."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from fewbit.errors import DataError
from fewbit.nn import LSTM
from studies.evidence import read_study
from studies.gpu import report, scans, speech, trained_report
from studies.gpu.cudnn_lstm import FusedLSTM, fuse
from studies.gpu.run import sound, trainings
from studies.gpu.stopwatch import Stopwatch
from studies.methods.hlstm import network


@pytest.mark.parametrize("arm", ["flat", "no reset", "HLSTM-B"])
def test_fused_layers_give_what_loops_give(arm):
    torch.manual_seed(0)
    plain = network(arm, 29, 6)
    fused = fuse(network(arm, 29, 6), arm)
    fused.load_state_dict(plain.state_dict())
    kinds = [type(module) for module in fused.modules()]
    assert (kinds.count(FusedLSTM), kinds.count(LSTM)) == {"flat": (2, 0), "no reset": (2, 2), "HLSTM-B": (0, 4)}[arm]
    x = torch.randint(29, (3, 40))
    states = [None, None]
    for part in (x[:, :25], x[:, 25:]):
        (a, states[0]), (b, states[1]) = plain(part, states[0]), fused(part, states[1])
        assert torch.allclose(a, b, atol=1e-5)
        gradients = [torch.autograd.grad(y.square().sum(), model.parameters()) for y, model in ((a, plain), (b, fused))]
        assert all(torch.allclose(p, q, atol=1e-3, rtol=1e-3) for p, q in zip(*gradients, strict=True))
        states = [_detached(state) for state in states]


def _detached(state):
    return state.detach() if isinstance(state, torch.Tensor) else state and tuple(map(_detached, state))


def test_other_speeds_are_drawn_between_frames():
    frames = np.arange(20, dtype=np.float32).reshape(10, 2)
    assert np.array_equal(speech.at_speed(frames, 1.0), frames[:-1])
    assert np.allclose(speech.at_speed(frames, 0.5)[:, 0], np.arange(0, 18, 1.0))
    assert len(speech.at_speed(frames, 1.25)) == 8


def test_a_stopwatch_counts_steps_between_two_times():
    now = time.time()
    watch = Stopwatch([1, 2, 3], now, now + 0.3)
    for _ in watch:
        time.sleep(0.02)
    assert 0.02 <= watch.seconds() < 0.05
    with pytest.raises(DataError, match="too few to say"):
        Stopwatch([1], now, now).seconds()


def test_differences_see_what_is_not_finite():
    good = torch.tensor([1.0, -4.0])
    assert scans.difference([good], [good + 0.4]) == pytest.approx(0.4 / 3.6)
    assert scans.difference([torch.tensor([1.0, float("nan")])], [good]) == float("inf")


def test_recurrences_that_are_wrong_or_were_not_checked_are_not_used():
    row = {"kind": "check", "fused outputs": 1e-6, "fused gradients": 1e-5}
    assert sound([row, row])
    assert not sound([row, row | {"fused gradients": 0.1}])
    assert not sound([])


def made_up(path):
    rows = [
        {"kind": "resnet20", "job": f"{arm}{seed}", "seed": seed, "arm": arm, "epochs": 60, "train": 1.0}
        | {"dev": 20.0, "test": error + 0.1 * seed * (arm == "direct"), "bytes": 1000}
        for seed in range(3)
        for arm, error in (("float", 15.0), ("direct", 70.0), ("retrained", 16.0))
    ]
    time = {"batch": 1, "frames": 300, "channels": 512, "task": "forward", "p10_ms": 1.0, "p90_ms": 3.0, "rounds": 9}
    rows += [
        {"kind": "time", "what": "layer", "way": way, "median_ms": median} | time
        for way, median in (("SRU, fused", 2.0), ("SRU, loops", 20.0), ("torch.nn.LSTM", 3.0))
    ]
    machine = {"card": "A Card", "driver": "1.2", "torch": "2", "cuda": "13", "cores": 16, "processor": "a processor"}
    result = {"machine": machine, "rows": rows, "not_ended": ["resnet20 2 + KD", "an4 0 ordinary"]}
    path.write_text(json.dumps(result))
    return path


def test_a_report_has_what_there_are_rows_for(tmp_path):
    report.main([str(made_up(tmp_path / "gpu.json")), "--results", str(tmp_path / "results")])
    found = {path.name: read_study(path) for path in (tmp_path / "results").glob("*.json")}
    assert set(found) == {"gpu-resnet20.json", "gpu-scans.json"}
    pictures, times = found["gpu-resnet20.json"], found["gpu-scans.json"]
    assert pictures.machine.startswith("A Card, driver 1.2, torch 2, CUDA 13")
    assert pictures.seeds == (0, 1, 2)
    said = next(finding for finding in pictures.findings if finding.startswith("ternary, retrained against ternary, d"))
    assert said.endswith("after Holm: better.")
    assert [(len(one.difference.values), one.outcome) for one in pictures.comparisons if one.difference.values] == [
        (3, "better")
    ]
    assert len(pictures.rows["networks"]) == 9
    assert pictures.findings[-1] == "Not ended in the time at hand: resnet20 2 + KD."
    assert pictures.tables[1].rows[0] == ("float, as it is quantized", 0, 60, 1.0, 20.0, 15.0, 1000)
    assert len(pictures.tables[1].rows) == 9
    assert times.findings == (
        "layer, forward: 10 times as long with SRU, loops as with SRU, fused.",
        "layer, forward: 1.5 times as long with torch.nn.LSTM as with SRU, fused.",
    )


def test_ternary_and_control_begin_with_one_float_network_and_have_equal_epochs(tmp_path, monkeypatch):
    begun, plain = [], speech.train_on
    monkeypatch.setattr(speech, "train_on", lambda *given: begun.append(given[-1].state_dict()) or plain(*given))
    told = []
    for arm in ("control", "ordinary", "ternary"):
        speech.arm(told.append, seed=0, arm=arm, epochs=2, networks=str(tmp_path), small=True)
    assert [path.name for path in tmp_path.iterdir()] == ["an4-e2-s0.safetensors"]
    assert all(torch.equal(value, begun[1][name]) for name, value in begun[0].items())
    assert [(row["arm"], row["all epochs"]) for row in told] == [("control", 6), ("ordinary", 4), ("ternary", 6)]
    assert len({row["weights"] for row in told}) == 1


def test_of_two_jobs_that_train_a_float_network_the_first_that_ends_counts(tmp_path, monkeypatch):
    data, plain = speech.read(small=True), speech.trained

    def overtaken(*given):
        monkeypatch.setattr(speech, "trained", plain)
        monkeypatch.setattr(speech.os, "getpid", lambda: 1)
        first.append(speech.float_network(data, 0, 1, tmp_path))
        monkeypatch.setattr(speech.os, "getpid", lambda: 2)
        return plain(data, "ordinary", 9, 1)

    first = []
    monkeypatch.setattr(speech, "trained", overtaken)
    late = speech.float_network(data, 0, 1, tmp_path)
    assert all(torch.equal(value, late.state_dict()[name]) for name, value in first[0].state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == ["an4-e1-s0.safetensors"]


@pytest.mark.parametrize("arm", ["control", "ternary"])
def test_further_training_is_tried_for_its_share_of_the_epochs(arm):
    told = []
    speech.trial(told.append, arm=arm, begin=time.time(), end=time.time() + 0.5, small=True)
    [row] = told
    assert row["part"] == arm
    assert row["updates"] == 2 * 1 / 2 * 2  # rounds, epochs against those in float, batches
    assert row["seconds"] > 0


def test_ternary_is_reported_against_the_control_where_both_were_trained(tmp_path):
    result = json.loads(made_up(tmp_path / "gpu.json").read_text())
    kept = {"kind": "an4", "epochs": 60, "fused": True, "weights": 9, "dev wer": 1.0, "dev cer": 1.0, "test cer": 1.0}
    result["rows"] = [
        kept | {"job": f"{arm}{seed}", "seed": seed, "arm": arm, "all epochs": epochs, "test wer": error + 0.1 * seed}
        for seed in range(3)
        for arm, epochs, error in (("ordinary", 120, 20.0), ("control", 180, 18.0), ("ternary", 180, 19.0))
    ]
    made = trained_report.speech(result)
    said = [finding.split(":")[0] for finding in made.findings[:3]]
    assert said == [
        "ternary against float, trained on",
        "ternary against float, ordinary",
        "float, trained on against float, ordinary",
    ]
    assert "+1.00" in made.findings[0]
    assert len(made.comparisons) == 2 * 3  # words and letters, tested together
    assert made.rows == {"networks": result["rows"]}
    assert [row[:3] for row in made.tables[0].rows] == [
        ("float, ordinary", 3, 120),
        ("float, trained on", 3, 180),
        ("ternary", 3, 180),
    ]


def test_float_networks_come_before_the_arms_that_need_them(tmp_path):
    import argparse

    from studies.gpu import budget, rows

    rows.append(tmp_path / "rows.jsonl", budget.SMALL.row())
    arguments = argparse.Namespace(small=True, work=tmp_path, only=["resnet20", "an4"])
    jobs = trainings(arguments, tmp_path / "rows.jsonl")
    names = [job.name for job in jobs]
    assert names[0] == "resnet20 0 float"
    assert not jobs[0].after
    assert {job.after for job in jobs[1:] if job.group == "resnet20"} == {"resnet20 0 float"}
    assert len(names) == len(set(names)) == 14
    waiting = {job.name: job.after for job in jobs if job.group == "an4"}
    first = "an4 0 ordinary"
    assert waiting == {first: "", "an4 0 four times as wide": "", "an4 0 control": first, "an4 0 ternary": first}


def test_no_library_for_sound_is_needed():
    blocked = ("soundfile", "soxr", "kaldi_native_fbank", "sounddevice", "loky")
    program = f"""
import sys
for name in {blocked}:
    sys.modules[name] = None
from studies.gpu import letters, pictures, speech
assert speech.read(small=True).parts and letters.read(small=True).symbols and pictures.NAMES
"""
    root = Path(__file__).parents[3]
    paths = f"{root / 'src'}:{root}"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": paths, "PATH": ""})
