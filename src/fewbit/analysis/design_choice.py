"""The choice of model and bits together: depth, width, bits of weights and of signals within one memory.

Within a given memory, fewer bits allow more units, and fewer layers tolerate coarser signals, so the best network for
few bits is not the best one in float. For each depth and each number of bits the largest width that fits is taken; all
such designs are trained and quantized briefly; the best few get the whole recipe, and development data choose:

    float training  ->  weights quantized, retrained  ->  signals quantized, retrained

References:
    Boo, Shin, Sung 2020 (arXiv 2006.00530) for the idea; the procedure is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

from fewbit.analysis.multiplication_count import multiplications
from fewbit.analysis.network_interior import inner_layers, weight_spec
from fewbit.analysis.report import Table
from fewbit.analysis.trials import FAILED, Executor, sweep
from fewbit.analysis.weight_memory import stored_bytes
from fewbit.errors import ArgumentError, DataError
from fewbit.passes import Quantize, compress
from fewbit.tasks import Task


@dataclass(frozen=True)
class NetworkDesign:
    """A network and its bits.

    bytes: of all that is stored. bit_operations: multiplications for one input times bits of weights times bits of
    signals. bound: what keeps it from being wider: ``bytes``, or ``width`` where the widest one fits. probe: metric
    after the short recipe; dev, test: after the whole one, for the best few.

    Examples:
        >>> NetworkDesign(4, 32, 2, 4, bytes=900, bit_operations=24_000, bound="bytes").name
        '4 x 32, W2A4'
    """

    depth: int
    width: float
    weight_bits: int
    signal_bits: int
    bytes: int
    bit_operations: int
    bound: str
    probe: float | None = None
    dev: float | None = None
    test: float | None = None

    @property
    def name(self) -> str:
        """Such as ``4 x 32, W2A4``."""
        return f"{self.depth} x {self.width:g}, W{self.weight_bits}A{self.signal_bits}"


@dataclass(frozen=True)
class DesignChoice:
    """What `choose_design` found: all designs, best first; `dropped` says what was left out and why.

    Examples:
        >>> design = NetworkDesign(4, 32, 2, 4, bytes=900, bit_operations=24_000, bound="bytes", dev=7.5)
        >>> DesignChoice("toy", "error (%)", 1000, (design,)).best.name
        '4 x 32, W2A4'
    """

    task: str
    metric: str
    budget: int
    designs: tuple[NetworkDesign, ...]
    dropped: tuple[str, ...] = ()

    @property
    def best(self) -> NetworkDesign:
        """The design that development data choose."""
        return self.designs[0]

    def tables(self) -> tuple[Table, ...]:
        """Every design, best first."""
        columns = ("design", "bytes", "bit operations", "bound by", "short recipe", "dev", "test")
        rows = tuple((d.name, d.bytes, d.bit_operations, d.bound, d.probe, d.dev, d.test) for d in self.designs)
        return (Table(f"{self.task}: {self.metric} in {self.budget:,} bytes, best first", columns, rows),)


def choose_design(
    families: Mapping[int, Task],
    bytes: int,
    *,
    weight_bits: Sequence[int] = (2, 3, 4, 8),
    signal_bits: Sequence[int] = (2, 3, 4, 8),
    bit_operations: float | None = None,
    finalists: int = 3,
    seed: int = 0,
    executor: Executor | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> DesignChoice:
    """Find depth, width and bits for a memory.

    Args:
        families: depth -> the task of networks of that depth, whose size is their width.
        bytes: for the whole network (`stored_bytes`).
        weight_bits: of all weights; 2 is ternary.
        signal_bits: of all signals but the network's input.
        bit_operations: a second budget, multiplications times bits times bits.
        finalists: designs that get the whole recipe.
        seed: of weights and batches.
        executor, out, progress: as in `sweep`.

    Raises:
        ArgumentError: no design fits; the message names the smallest one.
        DataError: no design could be trained.

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
        >>> found = choose_design({2: task}, 100, weight_bits=(2,), signal_bits=(4, 8), progress=False)
        >>> found.best.weight_bits, found.best.bytes <= 100, len(found.designs)
        (2, True, 2)
    """
    designs, dropped = _fitting(families, bytes, weight_bits, signal_bits, bit_operations)
    rows = _rows(families, designs, seed, True, executor, out, progress)
    probed = [replace(design, probe=row["dev"]) for design, row in zip(designs, rows, strict=True) if FAILED not in row]
    lost = [f"{d.name}: {row[FAILED]}" for d, row in zip(designs, rows, strict=True) if FAILED in row]
    probed.sort(key=lambda design: (design.probe, design.bytes))
    rows = _rows(families, probed[:finalists], seed, False, executor, out, progress)
    final = [
        replace(design, dev=row["dev"], test=row["test"])
        for design, row in zip(probed, rows, strict=False)
        if FAILED not in row
    ]
    if not final:
        raise DataError(f"{_task(families).name}: no design could be trained: {'; '.join(lost) or 'see the rows'}")
    final.sort(key=lambda design: (design.dev, design.bytes))
    task = _task(families)
    return DesignChoice(task.name, task.metric, bytes, (*final, *probed[finalists:]), (*dropped, *lost))


def _fitting(
    families: Mapping[int, Task],
    budget: int,
    weight_bits: Sequence[int],
    signal_bits: Sequence[int],
    bit_operations: float | None,
) -> tuple[list[NetworkDesign], list[str]]:
    """The widest network that fits for each depth and number of bits, and what is left out."""
    found, dropped = [], []
    smallest: tuple[int, str] | None = None
    for (depth, task), w in product(families.items(), weight_bits):
        batch = next(iter(task.batches(0)))
        fits: tuple[float, int, int] | None = None
        for width in task.sizes:
            size, work = _cost(task, width, w, batch)
            if smallest is None or size < smallest[0]:
                smallest = size, f"{depth} x {width:g}, W{w}"
            if size <= budget:
                fits = width, size, work
        if fits is None:
            dropped.append(f"depth {depth}, weights of {w} bits: the narrowest takes more than {budget:,} bytes")
            continue
        width, size, work = fits
        bound = "width" if width == task.sizes[-1] else "bytes"
        for a in signal_bits:
            design = NetworkDesign(depth, width, w, a, size, work * w * a, bound)
            if bit_operations is not None and design.bit_operations > bit_operations:
                dropped.append(f"{design.name}: {design.bit_operations:,} bit operations, above {bit_operations:,.0f}")
            else:
                found.append(design)
    if not found:
        near = f"the smallest network, {smallest[1]}, takes {smallest[0]:,}" if smallest else "there are no networks"
        raise ArgumentError(
            f"{_task(families).name}: nothing fits into {budget:,} bytes"
            f"{'' if bit_operations is None else f' and {bit_operations:,.0f} bit operations'}; {near}"
        )
    return found, dropped


def _cost(task: Task, width: float, bits: int, batch: Any) -> tuple[int, int]:
    """Bytes of an untrained network with quantized weights, and its multiplications."""
    model = task.new(0, width)
    return stored_bytes(compress(model, Quantize(weight_spec(bits)))), multiplications(model, batch)


def _rows(
    families: Mapping[int, Task],
    designs: Sequence[NetworkDesign],
    seed: int,
    short: bool,
    executor: Executor | None,
    out: str | Path | None,
    progress: bool,
) -> list[dict[str, Any]]:
    task = _task(families)
    about = {
        "task_name": task.name,
        "schedule": f"{task.epochs} x {task.lr:g}, {task.retrain_epochs} x {task.retrain_lr:g}",
        "seed": seed,
        "short": short,
    }
    names = ("depth", "width", "weight_bits", "signal_bits")
    configs = [about | {name: getattr(design, name) for name in names} for design in designs]
    title = f"{task.name}, {'short' if short else 'whole'} recipe"
    return sweep(partial(_trial, families), configs, out=out, executor=executor, progress=progress, title=title)


def _trial(
    families: Mapping[int, Task],
    depth: int,
    width: float,
    weight_bits: int,
    signal_bits: int,
    seed: int,
    short: bool,
    **_: Any,
) -> dict[str, Any]:
    task = families[depth]
    if short:
        epochs, again = (max(1, count // 4) for count in (task.epochs, task.retrain_epochs))
        task = replace(task, epochs=epochs, retrain_epochs=again)
    model = task.trained(seed, width)
    batches = list(islice(task.batches(seed), 4))
    inner = inner_layers(model, batches[0])
    signals = Quantize(
        None, {name: inner.signal_spec(name, signal_bits) for name in inner.signals}, calibration=batches
    )
    weights = Quantize(f"{weight_spec(weight_bits)}{'+adaptive' if weight_bits < 8 else ''}")
    gently = task.retraining(seed, lr=task.retrain_lr / 2)
    result = compress(model, weights, task.retraining(seed), signals, gently)
    return {"dev": task.measure(result), "test": None if short else task.score(result)}


def _task(families: Mapping[int, Task]) -> Task:
    return next(iter(families.values()))
