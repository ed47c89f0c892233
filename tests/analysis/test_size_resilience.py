"""Networks of several sizes in few bits: what is measured, what is trained only once, and the claim in small."""

import json
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from typer.testing import CliRunner

from fewbit.analysis import Resilience, SizedNetwork, resilience, stored_bytes
from fewbit.errors import ArgumentError, DataError, FormatError
from fewbit.formats import pack
from fewbit.models import mlp
from fewbit.passes import Quantize, compress
from fewbit.plot import plot_resilience
from fewbit.quant import quantizer_of
from fewbit.tasks import Task
from tests.plot.drawn import drawn, legend

Data = tuple[Tensor, Tensor]


def blobs(count: int, seed: int) -> Data:
    """Eight clouds in eight dimensions that three classes share."""
    centres = 1.5 * torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    cloud = torch.randint(8, (count,), generator=generator)
    return centres[cloud] + 0.6 * torch.randn(count, 8, generator=generator), cloud % 3


def batches(seed: int) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*blobs(512, 1)), 64, shuffle=True, generator=torch.Generator().manual_seed(seed))


def error(data: Data, model: nn.Module) -> float:
    return 100 * float((model(data[0]).argmax(1) != data[1]).float().mean())


def build(size: float) -> nn.Module:
    return mlp(8, int(size), 1, 3)


def toy(**settings: Any) -> Task:
    chosen: dict[str, Any] = {"size": 8, "sizes": (2, 4), "epochs": 1, "retrain_epochs": 1} | settings
    held = partial(error, blobs(500, 2))
    return Task("toy", build, batches, held, test=partial(error, blobs(1000, 3)), lr=2e-2, retrain_lr=1e-2, **chosen)


def row(size: float, spec: str, seed: int, direct: float, retrained: float) -> SizedNetwork:
    return SizedNetwork(size, spec, seed, int(size) * 10, int(size) * 40, 0.0, direct, retrained, direct, retrained)


@pytest.mark.parametrize("spec", ["ternary", "int3", "int4:row", "int5/7", "int8", "binary"])
def test_stored_bytes_are_what_packing_gives(spec: str) -> None:
    torch.manual_seed(0)
    model = compress(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(11, 5)), Quantize(spec)
    )
    wanted = 4 * (4 + 4 * 4 + 5)  # biases, and weight, bias, mean and variance of the norm
    for layer in (model[0], model[3]):  # type: ignore[index]
        quantizer = quantizer_of(layer)
        assert quantizer is not None
        codes = quantizer.codes(layer.parametrizations.weight.original.detach())
        wanted += pack(codes.values.flatten(1).int().numpy(), codes.format).nbytes + 4 * codes.scale.numel()
    assert stored_bytes(model) == wanted


def test_stored_bytes_count_a_shared_weight_once_and_no_quantizer() -> None:
    model = nn.Sequential(nn.Linear(6, 6, bias=False), nn.ReLU(), nn.Linear(6, 6, bias=False))
    model[2].weight = model[0].weight
    assert stored_bytes(model) == 4 * 36
    assert stored_bytes(compress(model, Quantize("int4"))) == 18 + 4
    signals = Quantize("int4", "int8", calibration=[torch.randn(2, 6)])
    assert stored_bytes(compress(model, signals)) == 18 + 4


def test_one_row_for_each_network_and_float_networks_are_trained_once(tmp_path: Path) -> None:
    task, asked = toy(), []

    def network(task: Task, seed: int, size: float) -> nn.Module:
        asked.append((size, seed))
        return task.new(seed, size)

    out = tmp_path / "rows.jsonl"
    report = resilience(task, ("ternary", "int4"), seeds=(0, 1), network=network, out=out, progress=False)
    assert [(r.spec, r.size, r.seed) for r in report.rows] == [
        (spec, size, seed) for spec in ("float", "ternary", "int4") for size in (2, 4) for seed in (0, 1)
    ]
    asked.clear()
    assert resilience(task, ("ternary", "int4"), seeds=(0, 1), network=network, out=out, progress=False) == report
    assert asked == []  # all rows were there
    resilience(task, ("int3",), seeds=(0, 1), network=network, out=out, progress=False)
    assert asked == [(size, seed) for size in (2, 4) for seed in (0, 1)]


def test_networks_are_kept_beside_the_rows_and_give_the_same_figures(tmp_path: Path) -> None:
    alone = resilience(toy(), ("int4",), seeds=(0,), progress=False)
    kept = resilience(toy(), ("int4",), seeds=(0,), out=tmp_path / "rows.jsonl", progress=False)
    assert alone == kept
    assert len(list((tmp_path / "rows").glob("*.safetensors"))) == 2
    other = resilience(toy(retrain_epochs=2), ("int4",), seeds=(0,), out=tmp_path / "rows.jsonl", progress=False)
    assert other.rows != kept.rows  # another schedule is another row
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 8


def test_settings_of_quantization_reach_the_network() -> None:
    plain, kept, signals = (
        resilience(toy(), ("ternary",), (4,), (0,), progress=False, **settings).of(4, "ternary")[0]
        for settings in ({}, {"keep": ("3",)}, {"activations": "int2"})
    )
    assert kept.bytes == plain.bytes + 4 * 12 - (3 * 1 + 4)  # 3 x 4 weights of the last layer
    assert signals.bytes == plain.bytes
    assert signals.direct_test != plain.direct_test
    assert plain.zeros > 0


def test_a_network_that_fails_is_named(tmp_path: Path) -> None:
    def network(task: Task, seed: int, size: float) -> nn.Module:
        if size == 2:
            raise DataError("no such network")
        return task.new(seed, size)

    report = resilience(toy(), ("int4",), seeds=(0,), network=network, progress=False)
    assert report.sizes == (4,)
    assert report.failed == tuple(f"{spec} of size 2, seed 0: DataError: no such network" for spec in ("float", "int4"))


def test_asking_for_nothing_or_for_no_weights_is_an_error() -> None:
    with pytest.raises(ArgumentError, match="toy: no sizes to measure; give some"):
        resilience(toy(sizes=()), progress=False)
    with pytest.raises(ArgumentError, match="toy: no specs to measure"):
        resilience(toy(), (), progress=False)
    with pytest.raises(FormatError, match="is a spec of signals"):
        resilience(toy(), ("uint8",), progress=False)
    with pytest.raises(ArgumentError, match="two configs are equal"):
        resilience(toy(), ("int4",), (4, 4), progress=False)


def test_gaps_are_paired_by_seed() -> None:
    rows = [row(4, "float", seed, 9.0, value) for seed, value in ((0, 5.0), (1, 7.0))]
    rows += [row(4, "int3", seed, 20.0, value) for seed, value in ((1, 7.5), (0, 6.0), (2, 1.0))]
    report = Resilience("toy", "error (%)", tuple(rows))
    assert sorted(report.gaps(4, "int3")) == [0.5, 1.0]  # seed 2 has no float network
    assert sorted(report.gaps(4, "int3", direct=True)) == [13.0, 15.0]
    assert report.gaps(4, "float") == (0.0, 0.0)


def test_the_loss_of_ternary_weights_vanishes_in_larger_networks(tmp_path: Path) -> None:
    task = toy(sizes=(3, 24), epochs=8, retrain_epochs=8)
    report = resilience(task, ("ternary",), seeds=(0, 1), progress=False)
    small, large = (mean(report.gaps(size, "ternary")) for size in report.sizes)
    assert small > 3
    assert large < small / 3
    assert all(mean(report.gaps(size, "ternary", direct=True)) > mean(report.gaps(size, "ternary")) for size in (3, 24))
    left, right = drawn(lambda: plot_resilience(report, tmp_path / "picture.png")).axes
    assert legend(left) == ["float", "ternary, direct", "ternary, retrained"]
    assert right.lines[0].get_ydata().tolist() == [mean(report.gaps(size, "ternary")) for size in report.sizes]


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(
        "import torch\nfrom fewbit.tasks import Task\n"
        "x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))\ny = (x[:, 0] > 0).long()\n"
        "task = Task('mine', lambda size: torch.nn.Linear(4, int(size)), lambda seed: [(x, y)],\n"
        "            lambda m: 100 * float((m(x).argmax(1) != y).float().mean()), 2, (2, 3, 4), epochs=1)\n"
    )
    return path


def test_the_commands_write_pictures_and_share_rows(task_file: Path) -> None:
    from fewbit.cli.analyze import app

    out = task_file.parent / "found"
    runner = CliRunner()
    options = [str(task_file), "--specs", "ternary,int3", "--seeds", "1", "--out", str(out)]
    assert runner.invoke(app, ["resilience", *options]).exit_code == 0
    (kept,) = out.glob("resilience-mine-*.jsonl")
    rows = kept.read_text()
    assert runner.invoke(app, ["capacity", *options, "--bytes", "40"]).exit_code == 0
    assert kept.read_text() == rows
    assert len(json.loads((out / "capacity-mine.json").read_text())["ratios"]) == 9
    assert (out / "capacity-mine.csv").read_text().startswith("weights,size,dev,test")
    assert all((out / f"{name}-mine.png").is_file() for name in ("resilience", "capacity"))
    wrong = runner.invoke(app, ["resilience", *options, "--sizes", "2;3"])
    assert isinstance(wrong.exception, ArgumentError)
    assert "--sizes 2;3: wanted numbers with commas" in str(wrong.exception)
