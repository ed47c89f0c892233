"""A row of the benchmark of networks: what is in it, and what an error leaves."""

import numpy as np
import pytest
import torch
from torch import nn

from studies.networks import judging
from studies.networks.network import Network


class StandIn:
    """Takes the place of a Program: the fake-quantized network, all scores off by `error`."""

    def __init__(self, student, error=0.0):
        self.student, self.error, self.ops, self.executor = student, error, ("dense",), None

    def to_bytes(self):
        return b"12345678"

    def __call__(self, x):
        with torch.no_grad():
            return self.student(torch.from_numpy(x)[None])[0].double().numpy() + self.error


@pytest.fixture
def judged():
    torch.manual_seed(0)
    inputs = [(torch.randn(1, 5),) for _ in range(20)]
    labels = [np.array([i % 3]) for i in range(12)]

    def largest(predict):
        return {"largest": float(max(predict(x).max() for x in inputs))}

    model = nn.Linear(5, 3).eval()
    return judging.Judged(Network("tiny", model, inputs[:8], inputs[8:], "scores", largest, labels=labels))


def test_a_program_that_equals_the_quantized_network_costs_nothing(judged, monkeypatch):
    monkeypatch.setattr(judging, "pack", lambda student, example, time: StandIn(student))
    row = judging.judge(judged, "int8", "int8", rounds=5)
    assert "error" not in row
    assert row["agreement"]["fake_program"]["kl"] == pytest.approx(0, abs=1e-9)
    assert 0 <= row["agreement"]["fake_noise"]["kl"] < row["agreement"]["float_fake"]["kl"]
    assert row["agreement"]["float_fake"]["kl"] > 0
    assert row["measure"]["program"] == pytest.approx(row["measure"]["fake"])
    assert (row["file_bytes"], row["float_bytes"], row["ops"]) == (8, 4 * 18, 1)
    assert row["time"]["native_over_torch"] > 0
    assert "cross_entropy_difference" in row["agreement"]["fake_program"]


def test_what_cannot_be_packed_keeps_what_came_before(judged, monkeypatch):
    def refuse(student, example, time):
        raise RuntimeError("no rule for it")

    monkeypatch.setattr(judging, "pack", refuse)
    row = judging.judge(judged, "int8", "int8", rounds=5)
    assert row["error"] == "pack: RuntimeError: no rule for it"
    assert set(row["measure"]) == {"float", "fake"}
    assert "float_fake" in row["agreement"]
    assert "file_bytes" not in row


def test_the_table_is_80_columns_wide(judged, monkeypatch):
    monkeypatch.setattr(judging, "pack", lambda student, example, time: StandIn(student, error=1.0))
    rows = [judging.judge(judged, "int8:row", "int8", rounds=5), {"network": "other", "error": "load: " + 99 * "x"}]
    lines = judging.table(rows).splitlines()
    assert max(map(len, lines)) <= 80
    assert "int8:row" in lines[1]
    assert lines[-1].strip().startswith("load: xxx")
