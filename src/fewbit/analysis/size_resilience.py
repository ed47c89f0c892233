"""Whether a network is large enough for few bits: networks of several sizes, in float, quantized and retrained.

A network limited by its size loses much when its weights are quantized, and retraining recovers only a part; one that
is limited by its training data loses almost nothing.

References:
    Sung, Shin, Hwang 2015 (arXiv 1511.06488).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import nn

from fewbit.analysis.float_store import Network, kept_network, store_beside
from fewbit.analysis.report import Cell, Table
from fewbit.analysis.trials import FAILED, Executor, grid, sweep
from fewbit.analysis.weight_memory import stored_bytes
from fewbit.errors import ArgumentError
from fewbit.passes import Quantize, compress
from fewbit.quant import weight_names, weight_quantizer
from fewbit.tasks import Task

FLOAT = "float"


@dataclass(frozen=True)
class SizedNetwork:
    """One network: its size, its bits, its seed, and how wrong it is.

    bytes: of all that was trained (`stored_bytes`). zeros: largest share of zero weights in a layer after retraining,
    in %. direct, retrained: the metric on development data after quantization and after retraining, with ``_test`` on
    test data. For the spec ``float``, `direct` is the network as trained and `retrained` the same network after as
    many additional epochs as the quantized ones got.

    Examples:
        >>> network = SizedNetwork(8, "ternary", 0, 100, 25, 40.0, 30.0, 12.0, 31.0, 13.0)
        >>> network.direct_test - network.retrained_test  # gained by retraining
        18.0
    """

    size: float
    spec: str
    seed: int
    parameters: int
    bytes: int
    zeros: float
    direct: float
    retrained: float
    direct_test: float
    retrained_test: float


@dataclass(frozen=True)
class Resilience:
    """What `resilience` measured; `failed` names the runs that gave no figures.

    Examples:
        >>> rows = (SizedNetwork(8, "float", 0, 100, 400, 0.0, 9.0, 9.0, 10.0, 10.0),)
        >>> rows += (SizedNetwork(8, "ternary", 0, 100, 25, 40.0, 30.0, 12.0, 31.0, 13.0),)
        >>> Resilience("toy", "error (%)", rows).gaps(8, "ternary")
        (3.0,)
    """

    task: str
    metric: str
    rows: tuple[SizedNetwork, ...]
    failed: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[float, ...]:
        """All sizes, smallest first."""
        return tuple(sorted({row.size for row in self.rows}))

    @property
    def specs(self) -> tuple[str, ...]:
        """All specs as they were asked for, ``float`` first."""
        return tuple(dict.fromkeys(row.spec for row in self.rows))

    def of(self, size: float, spec: str) -> tuple[SizedNetwork, ...]:
        """The networks of a size and a spec, by seed."""
        return tuple(row for row in self.rows if row.size == size and row.spec == spec)

    def gaps(self, size: float, spec: str, direct: bool = False) -> tuple[float, ...]:
        """Test metric less that of the float network of the same seed, for each seed; positive is worse.

        The float network has had the epochs of retraining as well.
        """
        base = {row.seed: row.retrained_test for row in self.of(size, FLOAT)}
        found = [row for row in self.of(size, spec) if row.seed in base]
        return tuple((row.direct_test if direct else row.retrained_test) - base[row.seed] for row in found)

    def tables(self) -> tuple[Table, ...]:
        """Means over seeds, of test data."""
        network = ("size", "weights", "parameters", "bytes")
        columns = (*network, "direct", "retrained", "gap to float", "spread of gap", "most zeros in a layer (%)")
        means = [self._means(size, spec) for spec in self.specs for size in self.sizes if self.of(size, spec)]
        return (Table(f"{self.task}: {self.metric} of test data, means over seeds", columns, tuple(means)),)

    def _means(self, size: float, spec: str) -> tuple[Cell, ...]:
        rows, gaps = self.of(size, spec), self.gaps(size, spec)
        direct, retrained = (mean(getattr(row, f"{name}_test") for row in rows) for name in ("direct", "retrained"))
        gap: tuple[Cell, ...] = (mean(gaps), stdev(gaps)) if len(gaps) > 1 else (*gaps, None) if gaps else (None, None)
        zeros = max(row.zeros for row in rows)
        return (size, spec, rows[0].parameters, rows[0].bytes, direct, retrained, *gap, zeros)


def resilience(
    task: Task,
    specs: Sequence[str] = ("ternary", "int3"),
    sizes: Sequence[float] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    keep: Sequence[str] = (),
    activations: str | None = None,
    network: Network | None = None,
    executor: Executor | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> Resilience:
    """Train `task` in float at every size, then quantize it to every spec and retrain it.

    Args:
        specs: of weights, such as ``ternary`` or ``int3``; all weights are quantized, the first and last layer too.
        sizes: default ``task.sizes``.
        keep: patterns of weights that stay float.
        activations: spec of signals; by default they stay float.
        network: (task, seed, size) -> trained float network, if you store them; by default they are trained once and
            kept beside `out`.
        executor, out, progress: as in `sweep`; `out` may hold rows of other tasks, specs and sizes.

    Raises:
        ArgumentError: there are no sizes or no specs, or two are equal.
        FormatError: a spec is not one for weights.

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
        >>> report = resilience(task, specs=("ternary",), seeds=(0,), progress=False)
        >>> report.sizes, report.specs, report.failed
        ((4.0, 8.0), ('float', 'ternary'), ())
    """
    sizes = task.sizes if sizes is None else tuple(sizes)
    if not sizes or not specs:
        missing, example = ("sizes", "sizes=(8, 16)") if specs else ("specs", "specs=('ternary',)")
        raise ArgumentError(f"{task.name}: no {missing} to measure; give some, such as {example}")
    for spec in specs:
        weight_quantizer(spec)
    settings: dict[str, list[Any]] = {
        "task_name": [task.name],
        "schedule": [f"{task.epochs} x {task.lr:g}, {task.retrain_epochs} x {task.retrain_lr:g}"],
        "keep": [list(keep)],
        "activations": [activations],
    }
    with store_beside(out) as folder:
        trial = partial(_trial, task, network or partial(kept_network, folder))
        found: list[dict[str, Any]] = []
        for group in ((FLOAT,), specs):  # first all float networks, from which the others start
            configs = grid(**settings, spec=group, size=[float(size) for size in sizes], seed=seeds)
            found += sweep(
                trial, configs, out=out, executor=executor, progress=progress, title=f"{task.name}, {', '.join(group)}"
            )
    names = tuple(SizedNetwork.__dataclass_fields__)
    rows = tuple(SizedNetwork(**{name: row[name] for name in names}) for row in found if FAILED not in row)
    lost = [
        f"{row['spec']} of size {row['size']:g}, seed {row['seed']}: {row[FAILED]}" for row in found if FAILED in row
    ]
    return Resilience(task.name, task.metric, rows, tuple(lost))


def _trial(
    task: Task,
    network: Network,
    size: float,
    spec: str,
    seed: int,
    keep: Sequence[str],
    activations: str | None,
    **_: Any,
) -> dict[str, Any]:
    model = network(task, seed, size)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if spec != FLOAT:
        calibration = None if activations is None else task.batches(seed)
        model = compress(model, Quantize(spec, activations, keep, calibration))
    direct = {"direct": task.measure(model), "direct_test": task.score(model)}
    model = compress(model, task.retraining(seed), copy=False)
    return {
        "parameters": parameters,
        "bytes": stored_bytes(model),
        "zeros": _most_zeros(model),
        **direct,
        "retrained": task.measure(model),
        "retrained_test": task.score(model),
    }


def _most_zeros(model: nn.Module) -> float:
    """Largest share of zero weights in a layer, in %."""
    with torch.no_grad():
        weights = []
        for full in weight_names(model):
            path, _, name = full.rpartition(".")
            weights.append(getattr(model.get_submodule(path), name))
        return max((100 * float((weight == 0).double().mean()) for weight in weights), default=0.0)
