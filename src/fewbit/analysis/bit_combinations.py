"""Does a network need bits in its weights or in its signals? Both quantized in all combinations, and retrained.

Networks differ: narrow ones suffer from coarse weights, deep ones from coarse signals, whose noise the layers pass on.
Two numbers tell which: the loss with 2-bit weights and float signals, and that with float weights and 2-bit signals.

References:
    Boo, Shin, Sung 2020 (arXiv 2006.00530).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

from torch import nn

from fewbit.analysis.float_store import kept_network, store_beside
from fewbit.analysis.network_interior import inner_layers
from fewbit.analysis.report import Table
from fewbit.analysis.trials import FAILED, Executor, grid, sweep
from fewbit.errors import ArgumentError
from fewbit.passes import compress
from fewbit.tasks import Task

Bits = int | None


@dataclass(frozen=True)
class BitCell:
    """One network of the grid; ``None`` bits are float. direct, retrained: the metric on development data.

    Examples:
        >>> cell = BitCell(0, weight_bits=2, signal_bits=None, direct=40.0, retrained=12.0, retrained_test=13.0)
        >>> cell.direct - cell.retrained  # gained by retraining
        28.0
    """

    seed: int
    weight_bits: Bits
    signal_bits: Bits
    direct: float
    retrained: float
    retrained_test: float


@dataclass(frozen=True)
class BitGrid:
    """What `bit_grid` measured; `failed` names the runs that gave no figures.

    Examples:
        >>> cells = (BitCell(0, None, None, 9.0, 9.0, 10.0), BitCell(0, 2, None, 40.0, 12.0, 13.0))
        >>> report = BitGrid("toy", "error (%)", cells)
        >>> report.weight_bits, report.loss(2, None)
        ((None, 2), 3.0)
    """

    task: str
    metric: str
    cells: tuple[BitCell, ...]
    failed: tuple[str, ...] = ()

    @property
    def weight_bits(self) -> tuple[Bits, ...]:
        """Bits of weights, as they were asked for."""
        return tuple(dict.fromkeys(cell.weight_bits for cell in self.cells))

    @property
    def signal_bits(self) -> tuple[Bits, ...]:
        """Bits of signals, as they were asked for."""
        return tuple(dict.fromkeys(cell.signal_bits for cell in self.cells))

    def of(self, weight_bits: Bits, signal_bits: Bits, which: str = "retrained_test") -> tuple[float, ...]:
        """A measure of one combination for each seed."""
        found = [cell for cell in self.cells if (cell.weight_bits, cell.signal_bits) == (weight_bits, signal_bits)]
        return tuple(getattr(cell, which) for cell in found)

    def loss(self, weight_bits: Bits, signal_bits: Bits) -> float:
        """Mean test metric above the network in float."""
        return mean(self.of(weight_bits, signal_bits)) - mean(self.of(None, None))

    def tables(self) -> tuple[Table, ...]:
        """Means over seeds of test data after retraining."""
        columns = ("weights", *(f"signals {_name(bits)}" for bits in self.signal_bits))
        rows = tuple(
            (_name(w), *(mean(found) if (found := self.of(w, a)) else None for a in self.signal_bits))
            for w in self.weight_bits
        )
        return (Table(f"{self.task}: {self.metric} of test data after retraining", columns, rows),)


def bit_grid(
    task: Task,
    weight_bits: Sequence[Bits] = (None, 8, 4, 3, 2),
    signal_bits: Sequence[Bits] = (None, 8, 4, 3, 2),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    network: Callable[[Task, int], nn.Module] | None = None,
    executor: Executor | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> BitGrid:
    """Quantize inner weights and inner signals (all but those of the first and last layer) and retrain, in every
    combination of bits; the float network is retrained for as long.

    Args:
        task: its network of size ``task.size`` is quantized.
        weight_bits, signal_bits: ``None`` is float, 2 bits of weights are ternary.
        network: (task, seed) -> trained float network, if you store them; by default it is trained.
        executor, out, progress: as in `sweep`.

    Raises:
        ArgumentError: ``None`` (float) is missing on one side, or the network has no layer between the first and the
            last.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.tasks import Task
        >>> x = torch.rand(64, 4)
        >>> labels = (x.sum(1) > 2).long()
        >>> def build(size):
        ...     layers = [nn.Linear(4, size), nn.ReLU(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 2)]
        ...     return nn.Sequential(*layers)
        >>> def errors(model):
        ...     return 100 * float((model(x).argmax(-1) != labels).float().mean())
        >>> lengths = {"epochs": 2, "retrain_epochs": 1}
        >>> task = Task("toy", build, lambda seed: [(x, labels)], errors, size=4, sizes=(4, 8), **lengths)
        >>> report = bit_grid(task, (None, 2), (None, 2), seeds=(0,), progress=False)
        >>> len(report.cells), report.failed
        (4, ())
    """
    if None not in weight_bits or None not in signal_bits:
        raise ArgumentError(
            f"{task.name}: bits {tuple(weight_bits)} x {tuple(signal_bits)}; both need None, the float base"
        )
    configs = grid(
        task_name=[task.name],
        schedule=[f"{task.size:g}, {task.epochs} x {task.lr:g}, {task.retrain_epochs} x {task.retrain_lr:g}"],
        seed=seeds,
        weight_bits=weight_bits,
        signal_bits=signal_bits,
    )
    with store_beside(out) as folder:
        trial = partial(_trial, task, network or partial(kept_network, folder))
        found = sweep(trial, configs, out=out, executor=executor, progress=progress, title=f"{task.name}, bits")
    names = tuple(BitCell.__dataclass_fields__)
    cells = tuple(BitCell(**{name: row[name] for name in names}) for row in found if FAILED not in row)
    lost = tuple(
        f"weights {_name(row['weight_bits'])}, signals {_name(row['signal_bits'])}, seed {row['seed']}: {row[FAILED]}"
        for row in found
        if FAILED in row
    )
    return BitGrid(task.name, task.metric, cells, lost)


def _trial(
    task: Task,
    network: Callable[[Task, int], nn.Module],
    seed: int,
    weight_bits: Bits,
    signal_bits: Bits,
    **_: Any,
) -> dict[str, Any]:
    model = network(task, seed)
    batches = list(islice(task.batches(seed), 4))
    inner = inner_layers(model, batches[0])
    quantized = weight_bits is not None or signal_bits is not None
    direct = compress(model, *([inner.quantize(batches, weight_bits, signal_bits)] if quantized else []))
    retrained = compress(direct, task.retraining(seed))
    return {
        "direct": task.measure(direct),
        "retrained": task.measure(retrained),
        "retrained_test": task.score(retrained),
    }


def _name(bits: Bits) -> str:
    return "float" if bits is None else f"{bits} bits"
