"""Networks pruned and quantized in every way: what each got, what is measured, and what a recipe gives again."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fewbit as fb
from fewbit import tasks
from fewbit.analysis import Pruning, pruned_networks, pruning
from fewbit.errors import ArgumentError, DataError, FormatError, PruningError
from fewbit.passes import PruneChannels, PruneKernels, Quantize, compress, read_recipe
from fewbit.program import load
from fewbit.speed.timing import Timing
from fewbit.tasks import Task
from fewbit.train import CrossEntropy

X = torch.randn(48, 2, 6, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0].mean((1, 2)) > 0).long()


def batches(seed: int) -> list[Any]:
    order = torch.randperm(48, generator=torch.Generator().manual_seed(seed))
    return list(zip(X[order].split(16), Y[order].split(16), strict=True))


def wrong(model: nn.Module) -> float:
    return 100 * float((model(X).argmax(1) != Y).float().mean())


def maps(size: int) -> nn.Module:
    layers = [nn.Conv2d(2, size, 3), nn.ReLU(), nn.Conv2d(size, 4, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 2))


class Heard(nn.Module):
    """Units of a recurrent layer; the scores are those of the last frame."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(2, size, batch_first=True), nn.Linear(size, 2)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.rnn(x)
        scores: Tensor = self.head(y[:, -1])
        return scores


def task(**settings: Any) -> Task:
    chosen: dict[str, Any] = {"build": maps, "batches": batches, "evaluate": wrong, "size": 6, "epochs": 2}
    return Task("toy", **(chosen | {"retrain_epochs": 1, "lr": 0.02, "retrain_lr": 0.01} | settings))


def heard() -> Task:
    def frames(seed: int) -> list[Any]:
        return [(x.flatten(2).transpose(1, 2), y) for x, y in batches(seed)]

    return task(build=Heard, batches=frames, evaluate=lambda model: float(model(frames(0)[0][0])[0, 0].abs()))


def measured(
    given: Task, ratios: tuple[float, ...] = (0.5,), specs: tuple[str, ...] = ("int4",), **more: Any
) -> Pruning:
    settings: dict[str, Any] = {"seeds": (0,), "seconds": 0.001, "progress": False} | more
    return pruning(given, ratios, specs, **settings)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks took turns in each round. The n-th takes n microseconds in the third round, less before it and
    more after it, so that the medians of times and of gains are those of that round.
    """
    seen: list[int] = []

    def measure(calls: Mapping[str, tuple[Callable[[], object], int, float]]) -> dict[str, Timing]:
        seen.append(len(calls))
        for call, _, _ in calls.values():
            call()
        power = (0.0, 0.5, 1.0, 1.5, 2.0)[(len(seen) - 1) % 5]
        return {name: Timing(n**power, 0.0, 0.0, 0.0, 1) for n, name in enumerate(calls, 1)}

    monkeypatch.setattr(pruned_networks, "measure_in_turns", measure)
    return seen


def test_every_combination_is_measured_and_all_take_turns_at_the_end(timed: list[int]) -> None:
    report = measured(task(), (0.5,), specs=("ternary", "int4"), seeds=(0, 3))
    shapes = [("dense", 0.0), ("channels", 0.5), ("kernels", 0.5)]
    wanted = [(name, ratio, spec, seed) for name, ratio in shapes for spec in ("ternary", "int4") for seed in (0, 3)]
    assert [(row.granularity, row.ratio, row.spec, row.seed) for row in report.rows] == wanted
    assert timed == [len(wanted)] * 5
    assert [row.time_us for row in report.rows] == [1.0 + n for n in range(len(wanted))]
    assert [row.gain for row in report.rows] == pytest.approx([(1 + n % 4) / (1 + n) for n in range(len(wanted))])
    assert report.seeds == (0, 3)
    assert len(report.baseline) == 2
    assert report.failed == ()
    assert report.left_out == tuple(
        f"{kind}: Sequential has no {kind} to prune (6: it is a result of the network)" for kind in ("units", "heads")
    )


@pytest.mark.parametrize("name", ["channels", "kernels"])
def test_a_row_is_what_the_passes_give_by_hand(timed: list[int], name: str) -> None:
    given = task()
    (row,) = [row for row in measured(given, by=(name,), seeds=(2,)).rows if row.granularity == name]
    prune = {"channels": PruneChannels, "kernels": PruneKernels}[name](0.5, X[:1])
    quantize = Quantize("int4", "int8", calibration=batches(2))
    first, second = (replace(given.retraining(2), seed=seed) for seed in (3, 5))  # each pass has its own
    model = compress(given.trained(2), prune, first, quantize, second)
    counted = fb.cost(fb.pack(model, example=batches(0)))
    assert (row.error, row.macs, row.bytes) == (given.measure(model), counted.macs, counted.weight_bytes)


def test_a_recipe_gives_the_network_of_its_point(timed: list[int], tmp_path: Path) -> None:
    given = task()
    report = measured(given, (0.4,), specs=("ternary",), seeds=(0, 1))
    for seed in report.seeds:
        start = tasks.train(given, tmp_path / f"float-{seed}", seed=seed, progress=False)
        for number, point in enumerate(report.points):
            file = tmp_path / f"{number}.toml"
            file.write_text(report.toml(point))
            made = tasks.compress(given, start.path, tmp_path / "small", read_recipe(file), seed=seed)
            counted = fb.cost(load(tasks.pack(given, made.path, tmp_path / "small.fewbit")))
            row = point.networks[seed]
            assert (made.held_out, counted.macs, counted.weight_bytes) == (row.error, row.macs, row.bytes), point.name
    assert len(report.points) == 3


def test_kernels_are_stored_as_zeros_and_count(timed: list[int]) -> None:
    dense, kernels = measured(task(), (0.05,), by=("kernels",)).rows
    assert (kernels.macs, kernels.bytes) == (dense.macs, dense.bytes)  # so few that no map loses all of its kernels
    _, channels = measured(task(), (0.2,), by=("channels",)).rows
    assert channels.macs < dense.macs


def test_units_of_a_recurrent_layer_are_pruned(timed: list[int]) -> None:
    report = measured(heard(), by=("units", "kernels"))
    dense, units = report.rows
    assert (units.granularity, units.macs < dense.macs) == ("units", True)
    assert [line.partition(":")[0] for line in report.left_out] == ["kernels"]
    with pytest.raises(PruningError, match="toy: nothing can be pruned: kernels: Heard has no convolution"):
        measured(heard(), by=("kernels",))


class Counted:
    """Cross-entropy that counts the batches of training."""

    def __init__(self) -> None:
        self.inner, self.seen = CrossEntropy(), 0

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        self.seen += 1
        return self.inner(model, batch, progress)


def test_all_points_are_trained_as_long(timed: list[int]) -> None:
    counter, seen = Counted(), []

    def evaluate(model: nn.Module) -> float:
        seen.append(counter.seen)
        return wrong(model)

    given = task(evaluate=evaluate, retrain_objective=counter, retrain_epochs=2)
    measured(given, specs=("ternary", "int4"))
    steps = [now - before for before, now in zip([0, *seen], seen, strict=False)]
    assert steps == [2 * 2 * len(batches(0))] * 7  # in float, and three shapes in two formats


def test_a_run_that_fails_is_said_and_stops_no_other(timed: list[int]) -> None:
    def evaluate(model: nn.Module) -> float:
        first = model.get_submodule("0")
        if isinstance(first, nn.Conv2d) and first.out_channels == 3:
            raise RuntimeError("no networks of three maps")
        return wrong(model)

    report = measured(task(evaluate=evaluate), (0.5, 0.2))
    assert [(row.granularity, row.ratio) for row in report.rows] == [
        ("dense", 0.0), ("channels", 0.2), ("kernels", 0.5), ("kernels", 0.2)
    ]  # fmt: skip
    (line,) = report.failed
    assert line.startswith("channels 0.5, int4, seed 0: DataError: task 'toy': compression failed: RuntimeError: no ")
    assert timed == [4] * 5


def test_without_the_native_runtime_there_are_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWBIT_TARGET", "reference")
    report = measured(task(), by=("channels",))
    assert [(row.time_us, row.gain) for row in report.rows] == [(None, None)] * 2
    assert report.front("bytes")
    assert report.front("time_us") == ()
    (line,) = report.failed
    assert line.startswith("time of dense 0, int4, seed 0 (2 networks): the native runtime is not there")


def test_rows_are_kept_and_only_what_is_missing_is_trained(timed: list[int], tmp_path: Path) -> None:
    starts: list[int] = []

    def network(given: Task, seed: int) -> nn.Module:
        starts.append(seed)
        return given.trained(seed)

    out = tmp_path / "rows.jsonl"
    whole = measured(task(), network=network, out=out)
    assert len(starts) == 4
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:2]) + lines[2][:40])
    assert measured(task(), network=network, out=out) == whole
    assert len(starts) == 6
    assert out.read_text().splitlines(keepends=True) == lines
    signals = measured(task(), network=network, out=out, activations="float")
    assert len(starts) == 10  # other signals are other rows
    assert signals.recipe(signals.points[0]).steps[1] == {"kind": "Quantize", "weights": "int4"}


def test_test_data_are_not_looked_at_and_a_network_of_ones_own_is_taken(timed: list[int]) -> None:
    def test(model: nn.Module) -> float:
        raise AssertionError("test data")

    mine = task().trained(7)
    report = measured(task(test=test, network=lambda: mine, retrain_epochs=0), ratios=(0.0,), specs=("int8",))
    assert [row.granularity for row in report.rows] == ["dense"]
    assert report.baseline == (wrong(mine.eval()),)


@pytest.mark.parametrize(
    ("wanted", "kind", "message"),
    [
        ({"ratios": (1.0,)}, ArgumentError, "ratio is 1.0; wanted the share of elements to prune"),
        ({"ratios": (float("nan"),)}, ArgumentError, "ratio is nan"),
        ({"ratios": (-0.1,)}, ArgumentError, "ratio is -0.1"),
        ({"ratios": ()}, ArgumentError, r"toy: ratios \[\]: wanted one at least"),
        ({"specs": ("int4", "int4")}, ArgumentError, "and none of them twice"),
        ({"specs": ("float",)}, FormatError, "float"),
        (
            {"by": ("rows",)},
            ArgumentError,
            "no granularity is called 'rows'; there are channels, units, heads, kernels",
        ),
        ({"by": ()}, ArgumentError, "granularities"),
        ({"seeds": ()}, ArgumentError, "seeds"),
        ({"activations": "int99"}, FormatError, "int99"),
    ],
)
def test_wrong_settings_are_refused_before_any_training(wanted: dict[str, Any], kind: type, message: str) -> None:
    def build(size: int) -> nn.Module:
        raise DataError("built")

    with pytest.raises(kind, match=message):
        measured(replace(task(), build=build), **wanted)
