"""The training loop: what it minimises, that seeds hold, and that a stopped training ends in the same weights."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fewbit.errors import ArgumentError, DataError, FileFormatError
from fewbit.quant import attach
from fewbit.train import CrossEntropy, cosine, fit, linear

SCRIPT = Path(__file__).parent / "resumable.py"


def problem(samples=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 6, generator=generator)
    y = (x[:, 0] * x[:, 1] > 0).long()
    return DataLoader(TensorDataset(x, y), 16, shuffle=True, generator=torch.Generator().manual_seed(1))


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 2))


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_training_lowers_the_loss():
    network = model()
    history = fit(network, problem(), CrossEntropy(), epochs=60, lr=0.02, optimizer=torch.optim.Adam, progress=False)
    assert len(history.losses) == 60
    assert history.losses[-1] < 0.6 * history.losses[0]


def test_training_leaves_nothing_behind_on_the_model():
    network = model()
    before = set(vars(network))
    fit(network, problem(), CrossEntropy(), epochs=1, progress=False)
    assert set(vars(network)) == before  # accelerate's mark of a prepared model keeps a second training on the CPU


def test_the_same_seed_gives_the_same_weights_and_another_does_not():
    results = []
    for seed in (3, 3, 4):
        network = model()
        fit(network, problem(), CrossEntropy(), epochs=3, seed=seed, progress=False)
        results.append(weights(network))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_an_optimizer_may_call_the_closure_more_than_once():
    class Twice(torch.optim.SGD):
        calls = 0

        def step(self, closure):
            for _ in range(2):
                loss = closure()
                self.calls += 1
            super().step()
            return loss

    network = model()
    optimizer = Twice(network.parameters(), lr=0.1)
    fit(network, problem(), CrossEntropy(), epochs=2, optimizer=lambda _, lr: optimizer, progress=False)
    assert optimizer.calls == 2 * 2 * 4


def test_the_schedule_scales_the_rate_by_progress():
    network = model()
    seen = []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)

    class Spy:
        def __call__(self, model, batch, progress):
            seen.append((progress, optimizer.param_groups[0]["lr"]))
            return CrossEntropy()(model, batch, progress)

    fit(
        network,
        problem(),
        Spy(),
        epochs=2,
        optimizer=lambda _, lr: optimizer,
        schedule=linear(1.0, 0.0),
        progress=False,
    )
    assert seen == [(i / 8, 0.5 * (1 - i / 8)) for i in range(8)]


def test_schedules():
    assert cosine()(0.0) == 1.0
    assert cosine()(1.0) == 0.0
    assert cosine(warmup=0.2)(0.1) == 0.5
    assert linear(0.9, 0.1)(0.5) == pytest.approx(0.5)


def test_a_weight_quantizer_runs_once_for_each_step():
    network = attach(nn.Sequential(nn.Linear(6, 2)), "ternary")
    quantizer = network[0].parametrizations.weight[0]
    calls = []
    quantizer.register_forward_hook(lambda *_: calls.append(1))

    class ReadsTwice(CrossEntropy):
        def __call__(self, model, batch, progress):
            return super().__call__(model, batch, progress) + 0 * model[0].weight.sum()

    fit(network, problem(), ReadsTwice(), epochs=1, progress=False)
    assert len(calls) == 4


def test_no_batches_and_infinite_loss_are_refused():
    with pytest.raises(DataError, match="there are no batches"):
        fit(model(), DataLoader(TensorDataset(torch.zeros(0, 6), torch.zeros(0))), CrossEntropy(), epochs=1)
    x = torch.full((4, 6), torch.nan)
    with pytest.raises(DataError, match="the loss became nan in epoch 1 of 2"):
        fit(model(), DataLoader(TensorDataset(x, torch.zeros(4).long())), CrossEntropy(), epochs=2, progress=False)


def test_resume_equals_an_undisturbed_training(tmp_path):
    whole, broken = model(), model()
    fit(whole, problem(), CrossEntropy(), epochs=6, schedule=cosine(), progress=False)

    class Stop(CrossEntropy):
        def __call__(self, model, batch, progress):
            if progress > 0.6:
                raise KeyboardInterrupt
            return super().__call__(model, batch, progress)

    file = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        fit(broken, problem(), Stop(), epochs=6, schedule=cosine(), checkpoint=file, progress=False)
    fresh = model()
    history = fit(fresh, problem(), CrossEntropy(), epochs=6, schedule=cosine(), checkpoint=file, progress=False)
    assert len(history.losses) == 6
    assert torch.equal(weights(whole), weights(fresh))


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    file = tmp_path / "checkpoint"
    fit(model(), problem(), CrossEntropy(), epochs=1, checkpoint=file, progress=False)
    other = nn.Sequential(nn.Linear(6, 2))
    with pytest.raises(FileFormatError, match="the checkpoint belongs to another model"):
        fit(other, problem(), CrossEntropy(), epochs=2, checkpoint=file, progress=False)
    (tmp_path / "text").write_text("not a checkpoint")
    with pytest.raises(FileFormatError, match="cannot be read as safetensors"):
        fit(model(), problem(), CrossEntropy(), epochs=2, checkpoint=tmp_path / "text", progress=False)


def test_kill_9_and_resume_equals_an_undisturbed_training(tmp_path):
    def run(folder, kill_after_epochs=None):
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder)], env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        if kill_after_epochs is not None:
            deadline = time.monotonic() + 120
            log = folder / "epochs"
            while time.monotonic() < deadline and process.poll() is None:
                if log.is_file() and len(log.read_text()) > kill_after_epochs * 4:
                    break
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        return process.wait()

    assert run(tmp_path / "whole") == 0
    assert run(tmp_path / "killed", kill_after_epochs=3) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "weights.pt").exists()
    assert run(tmp_path / "killed") == 0
    a, b = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("whole", "killed"))
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_list_of_batches_will_do():
    network, batches = model(), list(problem())
    history = fit(network, batches, CrossEntropy(), epochs=2, progress=False)
    assert len(history.losses) == 2
    with pytest.raises(DataError, match="wanted a DataLoader or a list of batches"):
        fit(network, iter(batches), CrossEntropy(), epochs=1)


def test_an_optimizer_in_place_of_what_makes_it_is_refused():
    network = model()
    sgd = torch.optim.SGD(network.parameters(), lr=0.1)
    with pytest.raises(ArgumentError, match=r"saw an instance of SGD; wanted what makes it, such as torch\.optim\.SGD"):
        fit(network, problem(), CrossEntropy(), epochs=1, optimizer=sgd, progress=False)
