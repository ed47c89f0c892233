"""Tasks: what an analysis works on, also from a user's file."""

import pytest
import torch
from torch import nn

from fewbit.errors import DataError
from fewbit.tasks import Task, load_task

FILE = """
import torch
from torch import nn
from fewbit.tasks import Task

X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()
task = Task(
    name="side",
    build=lambda size: nn.Sequential(nn.Linear(5, int(size)), nn.Dropout(0.5), nn.Linear(int(size), 2)),
    batches=lambda seed: [(X, Y)] * 20,
    evaluate=lambda model: 100 * float((model(X).argmax(1) != Y).float().mean()),
    size=8,
)
def make():
    return task
number = 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_a_task_comes_from_a_file(file):
    task = load_task(str(file))
    assert isinstance(load_task(f"{file}:make"), Task)
    model = task.trained(0, epochs=3, lr=0.01)
    assert task.score(model) == task.measure(model) < 20
    model.train()
    assert task.measure(model) == task.measure(model), "measured in eval mode"
    assert model.training, "left as found"
    same = task.trained(0, epochs=3, lr=0.01)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))


def test_a_network_that_is_there_is_not_trained_anew():
    trained = nn.Linear(2, 2)
    task = Task("x", lambda size: nn.Linear(2, 2), lambda seed: [], lambda model: 0.0, 1, network=lambda: trained)
    copy = task.trained(0)
    assert copy is not trained
    assert torch.equal(copy.weight, trained.weight)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py", "there is no such file; wanted a Python file that defines 'task'"),
        ("mine.py:number", "'number' is int, wanted a fewbit.tasks.Task"),
        ("mine.py:absent", "there is no 'absent' in it; it defines"),
        ("broken.py", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_faults_are_said(file, name, message):
    (file.parent / "broken.py").write_text("1 / 0")
    with pytest.raises(DataError, match=message):
        load_task(str(file.parent / name))
    with pytest.raises(DataError, match=r"no\.such\.module: cannot be imported: ModuleNotFoundError"):
        load_task("no.such.module")
