"""Train, compress and pack on files, for a network that fewbit does not know."""

import numpy as np
import pytest
import torch
from torch import nn

from fewbit import load
from fewbit.errors import ArgumentError, FileFormatError, LoweringError
from fewbit.passes import Recipe
from fewbit.tasks import Task, compress, compression, load_network, pack, save_network, train

X = torch.randn(256, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, :3].sum(1) > 0).long()


def wrong(model):
    return 100 * float((model(X).argmax(1) != Y).float().mean())


def task_of(**changes):
    settings = {
        "name": "sign",
        "build": lambda size: nn.Sequential(nn.Linear(6, size), nn.BatchNorm1d(size), nn.GELU(), nn.Linear(size, 2)),
        "batches": lambda seed: [(X, Y)] * 20,
        "evaluate": wrong,
        "size": 12,
        "epochs": 4,
        "lr": 1e-2,
        "retrain_epochs": 2,
    }
    return Task(**(settings | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The task, the folder with its three files, and what was measured on the way."""
    task, folder = task_of(test=wrong), tmp_path_factory.mktemp("steps")
    trained = train(task, folder / "float")
    compressed = compress(task, folder / "float", folder / "quantized")
    pack(task, folder / "quantized", folder / "packed.fewbit")
    return task, folder, trained, compressed


def test_the_files_hold_what_was_measured(made):
    task, folder, trained, compressed = made
    for measured, name in ((trained, "float"), (compressed, "quantized")):
        assert measured.path == folder / name
        assert measured.held_out == measured.test == task.measure(load_network(folder / name, task).model)
        assert measured.metric == "error (%)"
        assert measured.held_out < 20


def test_the_packed_network_decides_as_the_quantized_one(made):
    task, folder, _, _ = made
    program, model = load(folder / "packed.fewbit"), load_network(folder / "quantized", task).model
    assert len(model[0].weight.unique()) == 3
    with torch.no_grad():
        wanted = model(X[:50]).argmax(1).numpy()
    found = np.array([program(x.numpy()).argmax() for x in X[:50]])
    assert (found == wanted).mean() >= 0.96
    assert Recipe.from_dict(program.recipe) == compression(task)
    assert program.recipe["task"] == "sign"


def test_another_size_is_kept_in_the_file(tmp_path):
    task = task_of()
    train(task, tmp_path / "wide", size=20, epochs=1)
    assert load_network(tmp_path / "wide", task).model[0].out_features == 20


def test_patterns_keep_their_order_and_zero_epochs_is_direct_quantization(made, tmp_path):
    task, folder, _, _ = made
    how = compression(task, {"3": "int8", "*": "ternary"}, epochs=0)
    assert [step["kind"] for step in how.steps] == ["Quantize"]
    compress(task, folder / "float", tmp_path / "direct", how)
    loaded = load_network(tmp_path / "direct", task)
    assert loaded.quantized["weights"] == {"0.weight": "ternary", "3.weight": "int8"}
    float_model = load_network(folder / "float", task).model
    assert torch.equal(loaded.model[1].running_mean, float_model[1].running_mean), "nothing was trained"


def test_an_objective_of_the_user_is_retrained_alone(made):
    task = task_of(objective=lambda model, batch, progress: nn.functional.cross_entropy(model(batch[0]), batch[1]))
    assert "objective" not in compression(task).steps[1]
    assert compression(made[0]).steps[1]["objective"]["kind"] == "LogitKD"


def test_faults_are_said_before_the_work(made, tmp_path):
    task, folder, _, _ = made
    with pytest.raises(LoweringError, match="the network is float; run fewbit compress first"):
        pack(task, folder / "float", tmp_path / "x")
    with pytest.raises(ArgumentError, match="is a folder; name a file to write"):
        train(task, tmp_path)
    with pytest.raises(FileFormatError, match="does not fit the network that task 'other' builds now"):
        load_network(folder / "float", task_of(name="other", build=lambda size: nn.Linear(6, 2)))
    (tmp_path / "text").write_text("x")
    with pytest.raises(FileFormatError):
        load_network(tmp_path / "text", task)


def test_saved_equals_loaded(tmp_path):
    task = task_of()
    model = task.new(3)
    loaded = load_network(save_network(tmp_path / "m", model, task.size, {"a": 1}), task)
    assert all(
        torch.equal(a, b) for a, b in zip(model.state_dict().values(), loaded.model.state_dict().values(), strict=True)
    )
    assert (loaded.size, loaded.quantized, loaded.recipe) == (12, None, {"a": 1})


def test_a_network_that_is_one_layer_comes_back_too(tmp_path):
    task = task_of(build=lambda size: nn.Linear(6, 2))
    train(task, tmp_path / "float", epochs=1)
    compress(task, tmp_path / "float", tmp_path / "quantized", compression(task, epochs=0))
    assert load_network(tmp_path / "quantized", task).quantized == {
        "weights": {"weight": "ternary"},
        "activations": {"": "int8"},
    }
    assert pack(task, tmp_path / "quantized", tmp_path / "packed.fewbit").is_file()
