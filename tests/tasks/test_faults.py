"""What a user may get wrong in a task, in files and in options: one sentence that says what to do, no traceback."""

import pytest

from fewbit.cli import main as cli
from fewbit.errors import ArgumentError
from fewbit.tasks import Task

TASK = """
import torch
from torch import nn
from fewbit.tasks import Task

X = torch.randn(32, 5)
Y = (X[:, 0] > 0).long()
settings = dict(
    name="side",
    build=lambda size: nn.Sequential(nn.Linear(5, size), nn.ReLU(), nn.Linear(size, 2)),
    batches=lambda seed: [(X, Y)] * 2,
    evaluate=lambda model: 100 * float((model(X).argmax(1) != Y).float().mean()),
    size=8, epochs=1, retrain_epochs=1,
)
task = Task(**settings | dict({change}))
"""
CHANGES = {
    "build=lambda size: None": "task 'side': build gave NoneType; wanted a torch.nn.Module",
    "build=lambda size: 1 / 0": "task 'side': build failed: ZeroDivisionError: division by zero (mine.py, line",
    "build=lambda size: nn.Linear(3, 2)": "task 'side': training failed: RuntimeError: mat1 and mat2",
    "build=5": "Task 'side': build is int; wanted a function",
    "batches=[1]": "Task 'side': batches is list; wanted a function",
    "batches=lambda: []": "task 'side': training failed: TypeError",
    "evaluate=lambda model: 'good'": "task 'side': the network is in f, but its evaluation failed: ValueError",
    "evaluate=lambda model: float('nan')": "task 'side': the network is in f, but its evaluation gave NaN",
    "objective=lambda model, batch, progress: 'loss'": "task 'side': training failed: ",
    "batches=lambda seed: [(X, Y.float())] * 2": "task 'side': training failed: RuntimeError",
    "size='large'": "Task 'side': size: saw 'large'; wanted a number above 0",
}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a command; its exit code and its error."""
    monkeypatch.chdir(tmp_path)

    def run(*words, change=""):
        (tmp_path / "mine.py").write_text(TASK.replace("{change}", change))
        code = cli.main([*words])
        return code, " ".join(capsys.readouterr().err.split())

    return run


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_task_is_named_with_its_part(run, change):
    code, error = run("train", "mine.py", "--out", "f", change=change)
    assert code == 1
    assert CHANGES[change] in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "mine.py", "--size", "0"), "size: saw 0.0; wanted a number above 0"),
        (("train", "mine.py", "--size", "-3"), "size: saw -3.0; wanted a number above 0"),
        (("train", "mine.py", "--size", "2.5"), "task 'side': build failed: TypeError"),
        (("train", "."), ". is a folder; wanted a Python file, or a module that defines 'task'"),
        (("train", "mine.py", "--out", "mine.py/x"), "mine.py is not a folder that can be written to"),
        (("train", "no.such.module"), "cannot be imported: ModuleNotFoundError: No module named 'no'"),
        (("compress", "mine.py", "nothing"), "nothing: there is no such file; wanted a network saved by fewbit train"),
        (("compress", "mine.py", "."), ".: is a folder; wanted a network saved by fewbit train"),
        (("compress", "mine.py", "f", "--weights", "nonsense"), "--weights 'nonsense': unknown format 'nonsense'"),
        (("compress", "mine.py", "f", "--weights", ""), "--weights '': "),
        (("compress", "mine.py", "f", "--weights", "2=int8,*"), "'*' has no format; wanted PATTERN=FORMAT, ..."),
        (("compress", "mine.py", "f", "--activations", "ternary9"), "--activations 'ternary9': "),
        (("compress", "mine.py", "f", "--weights", "hed=int8"), "no weight matches 'hed'; the model has ['0.weight'"),
        (("compress", "mine.py", "q"), "q: the network is quantized already; give the float network of fewbit train"),
        (("pack", "mine.py", "f"), "f: the network is float; run fewbit compress first"),
    ],
)
def test_wrong_files_and_options_are_named(run, words, message):
    assert run("train", "mine.py", "--out", "f")[0] == 0
    assert run("compress", "mine.py", "f", "--epochs", "0", "--out", "q")[0] == 0
    code, error = run(*words)
    assert code == 1
    assert message in error
    assert "Traceback" not in error
    assert "<frozen" not in error


def test_a_file_of_another_network_is_refused(run):
    assert run("train", "mine.py", "--out", "f")[0] == 0
    code, error = run("pack", "mine.py", "f", change="build=lambda size: nn.Linear(5, 2)")
    assert code == 1
    assert "f: the file does not fit the network that task 'side' builds now" in error
    assert error.endswith("train it again")


def test_signals_may_stay_float(run):
    assert run("train", "mine.py", "--out", "f")[0] == 0
    assert run("compress", "mine.py", "f", "--activations", "float", "--epochs", "0", "--out", "q")[0] == 0


def test_a_size_is_a_number_above_zero():
    with pytest.raises(ArgumentError, match="size: saw -1; wanted a number above 0"):
        Task("x", lambda size: None, lambda seed: [], lambda model: 0.0, size=1, sizes=(1, -1))
