"""Where a network needs its bits: every group of weights and every signal quantized alone, all else float.

A recurrent network uses a weight at every time step and feeds its errors back, so its matrices and signals differ in
how few bits they tolerate. `assign_bits` chooses from the figures measured here.

References:
    Shin, Hwang, Sung 2016, "Fixed-point performance analysis of recurrent neural networks" (arXiv 1512.01322).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import nn
from torch.nn.utils import parametrize

from fewbit.analysis.report import Cell, Table
from fewbit.analysis.trials import FAILED, Executor, sweep
from fewbit.analysis.weight_memory import FLOAT_BYTES, stored_bytes
from fewbit.errors import ArgumentError, DataError, QuantizationError, SelectionError
from fewbit.passes import Pass, Quantize, compress, describe
from fewbit.quant import Quantizer, activation_quantizer, attach, calibrate, input_quantizer, quantizers, weight_names
from fewbit.quant import weight_quantizer as _weight_quantizer

WEIGHTS, SIGNAL = "weights", "signal"


@dataclass(frozen=True)
class QuantizedGroup:
    """One group or signal, quantized alone.

    kind: ``weights`` or ``signal``. names: of the weights, or of the module whose input is the signal. numbers: how
    many weights. bytes: packed codes and steps (0 for signals). loss: `metric` less that of the float network.

    Examples:
        >>> cell = QuantizedGroup("head", "weights", "ternary", ("head.weight",), 10, 4, metric=1.5, loss=0.5)
        >>> cell.metric - cell.loss  # of the float network
        1.0
    """

    group: str
    kind: str
    spec: str
    names: tuple[str, ...]
    numbers: int
    bytes: int
    metric: float
    loss: float


@dataclass(frozen=True)
class Sensitivity:
    """What `sensitivity` measured; `failed` names the cells that gave no figure.

    float_metric: of the float network (after the same retraining, where there is one). float_bytes: `stored_bytes` of
    the float network.

    Examples:
        >>> cell = QuantizedGroup("head", "weights", "ternary", ("head.weight",), 10, 4, metric=1.5, loss=0.5)
        >>> report = Sensitivity("toy", "loss", float_metric=1.0, float_bytes=60, rows=(cell,))
        >>> report.of("head", "ternary").loss, report.rest_bytes
        (0.5, 20)
    """

    network: str
    metric: str
    float_metric: float
    float_bytes: int
    rows: tuple[QuantizedGroup, ...]
    failed: tuple[str, ...] = ()

    def groups(self, kind: str = WEIGHTS) -> tuple[str, ...]:
        """All groups, or all signals, in the order of the network."""
        return tuple(dict.fromkeys(row.group for row in self.rows if row.kind == kind))

    def specs(self, kind: str = WEIGHTS) -> tuple[str, ...]:
        """All specs as they were asked for."""
        return tuple(dict.fromkeys(row.spec for row in self.rows if row.kind == kind))

    def of(self, group: str, spec: str, kind: str = WEIGHTS) -> QuantizedGroup | None:
        """One cell, ``None`` where it failed."""
        return next((row for row in self.rows if (row.group, row.spec, row.kind) == (group, spec, kind)), None)

    @property
    def rest_bytes(self) -> int:
        """Bytes of all that is in no group and stays float: biases, norms, statistics."""
        numbers = {row.group: row.numbers for row in self.rows if row.kind == WEIGHTS}
        return self.float_bytes - FLOAT_BYTES * sum(numbers.values())

    def tables(self) -> tuple[Table, ...]:
        """Losses of the groups of weights, of the signals, and the bytes of the groups."""
        title = f"{self.network}: {self.metric} above float ({self.float_metric:.4g}) when one alone is quantized"
        weights = [(group, self._first(group).numbers, *self._cells(group, WEIGHTS, "loss")) for group in self.groups()]
        signals = [(signal, *self._cells(signal, SIGNAL, "loss")) for signal in self.groups(SIGNAL)]
        sizes = [(group, FLOAT_BYTES * self._first(group).numbers, *self._cells(group, WEIGHTS, "bytes"))
                 for group in self.groups()]  # fmt: skip
        tables = (
            Table(title, ("weights", "number", *self.specs()), tuple(weights)),
            Table(title, ("signal", *self.specs(SIGNAL)), tuple(signals)),
            Table(f"{self.network}: bytes of each group", ("weights", "float", *self.specs()), tuple(sizes)),
        )
        return tuple(table for table in tables if table.rows)

    def _first(self, group: str) -> QuantizedGroup:
        return next(row for row in self.rows if row.group == group and row.kind == WEIGHTS)

    def _cells(self, group: str, kind: str, value: str) -> list[Cell]:
        cells = [self.of(group, spec, kind) for spec in self.specs(kind)]
        return [None if cell is None else getattr(cell, value) for cell in cells]


def sensitivity(
    model: nn.Module,
    evaluate: Callable[[nn.Module], float],
    *,
    weights: Sequence[str] = ("ternary", "int3", "int4", "int6", "int8"),
    activations: Sequence[str] | None = None,
    calibration: Iterable[Any] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    retrain: Pass | None = None,
    network: str = "network",
    metric: str = "metric",
    executor: Executor | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> Sensitivity:
    """Quantize one group of weights or one signal of a float network at a time, and measure.

    Args:
        model: a float network; it stays as it is.
        evaluate: network in eval mode -> metric, smaller is better.
        weights: specs for weights.
        activations: specs for signals: inputs of modules with weights, and every `fewbit.nn.Signal`.
        calibration: batches from which the steps of signals are chosen (the first eight); needed for `activations`.
        groups: label -> patterns of weights that are quantized together, such as ``{"recurrent":
            ["*.weight_hidden"]}``; weights in no group stay float. Default: every weight by itself.
        retrain: a pass that retrains what was quantized, and the float network too, before it is measured.
        network, metric: their labels in tables and pictures.
        executor, out, progress: as in `sweep`; `out` holds rows of one `evaluate`, of any networks.

    Raises:
        SelectionError: a pattern of `groups` matches no weight.
        ArgumentError: there are no specs, or a weight is in two groups.
        DataError: the float network cannot be measured.
        FormatError: a spec is not one of weights, or of signals.
        QuantizationError: the network is quantized already, or signals are asked for without `calibration`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> model, x = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1)), torch.rand(16, 8)
        >>> wanted = model(x).detach()
        >>> def error(network):
        ...     return float((network(x) - wanted).square().mean())
        >>> report = sensitivity(model, error, weights=("ternary", "int8"), progress=False)
        >>> report.groups(), report.of("0.weight", "ternary").loss > report.of("0.weight", "int8").loss
        (('0.weight', '2.weight'), True)
    """
    for name, _ in quantizers(model):
        raise QuantizationError(f"{network}: {name} is quantized already; wanted a float network: detach(model) first")
    found = _groups(model, groups)
    if not weights and not activations:
        raise ArgumentError(f"{network}: no specs to measure; give some, such as weights=('ternary', 'int4')")
    for spec in weights:
        _weight_quantizer(spec)
    signals = _signals(model, activations or (), calibration)
    cells = [
        (WEIGHTS, group, names, spec) for group, names in found.items() for spec in weights
    ] + [(SIGNAL, _label(model, name), [name], spec) for name in _names(signals) for spec in signals]  # fmt: skip
    key = {"network": _fingerprint(model), "retraining": None if retrain is None else describe(retrain)}
    configs = [
        key | {"kind": kind, "group": group, "names": list(names), "spec": spec}
        for kind, group, names, spec in [("float", "", (), "float"), *cells]
    ]
    trial = partial(_trial, model, evaluate, signals, retrain)
    first, *rows = sweep(trial, configs, out=out, executor=executor, progress=progress, title=f"{network}, one by one")
    if FAILED in first:
        raise DataError(f"{network}: the float network cannot be measured: {first[FAILED]}")
    base, size = float(first["metric"]), int(first["bytes"])
    numbers = {group: sum(_weight(model, name).numel() for name in names) for group, names in found.items()}
    done = [
        QuantizedGroup(
            row["group"],
            row["kind"],
            row["spec"],
            tuple(row["names"]),
            numbers[row["group"]] if row["kind"] == WEIGHTS else 0,
            row["bytes"] - size + FLOAT_BYTES * numbers[row["group"]] if row["kind"] == WEIGHTS else 0,
            row["metric"],
            row["metric"] - base,
        )
        for row in rows
        if FAILED not in row
    ]
    failed = tuple(f"{row['kind']} {row['group']}, {row['spec']}: {row[FAILED]}" for row in rows if FAILED in row)
    return Sensitivity(network, metric, base, size, tuple(done), failed)


def _trial(
    model: nn.Module,
    evaluate: Callable[[nn.Module], float],
    signals: Mapping[str, Mapping[str, Quantizer]],
    retrain: Pass | None,
    kind: str,
    names: Sequence[str],
    spec: str,
    **_: Any,
) -> dict[str, Any]:
    if kind == WEIGHTS:
        model = compress(model, Quantize(dict.fromkeys(names, spec)))
    elif kind == SIGNAL:
        model = attach(deepcopy(model), activations={names[0]: signals[spec][names[0]]})
    else:
        model = deepcopy(model)
    if retrain is not None:
        model = retrain(model)
    size = stored_bytes(model)
    with torch.no_grad(), parametrize.cached():
        return {"metric": float(evaluate(model.eval())), "bytes": size}


def _groups(model: nn.Module, groups: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    names = weight_names(model)
    if groups is None:
        return {name: [name] for name in names}
    found: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for label, patterns in groups.items():
        for pattern in patterns:
            if not any(_matches(name, pattern) for name in names):
                raise SelectionError(f"group {label!r}: no weight matches {pattern!r}; the model has {names}")
        found[label] = [name for name in names if any(_matches(name, pattern) for pattern in patterns)]
        for name in found[label]:
            if name in owner:
                raise ArgumentError(f"{name} is in two groups, {owner[name]!r} and {label!r}; leave it in one")
            owner[name] = label
    return found


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(".")[0], pattern)


def _signals(
    model: nn.Module, specs: Sequence[str], calibration: Iterable[Any] | None
) -> dict[str, dict[str, Quantizer]]:
    """For each spec a fitted quantizer for each signal that is ever seen, by the name of the module it enters."""
    for spec in specs:
        activation_quantizer(spec)
    if specs and calibration is None:
        raise QuantizationError("sensitivity: activations need calibration=batches to choose their steps from")
    batches = list(islice(calibration or (), 8))
    found: dict[str, dict[str, Quantizer]] = {}
    for spec in specs:
        probe = calibrate(attach(deepcopy(model), activations={"*": spec}), batches)
        fitted = {name: input_quantizer(module) for name, module in probe.named_modules()}
        found[spec] = {name: quantizer for name, quantizer in fitted.items() if quantizer is not None}
    return found


def _names(signals: Mapping[str, Mapping[str, Quantizer]]) -> list[str]:
    return list(dict.fromkeys(name for fitted in signals.values() for name in fitted))


def _label(model: nn.Module, name: str) -> str:
    """What a signal is called: a `fewbit.nn.Signal` by its name, an input by the module it enters."""
    return name if hasattr(model.get_submodule(name), "wide") else f"input of {name or 'the model'}"


def _weight(model: nn.Module, name: str) -> torch.Tensor:
    path, _, leaf = name.rpartition(".")
    weight = getattr(model.get_submodule(path), leaf)
    assert isinstance(weight, torch.Tensor)
    return weight


def _fingerprint(model: nn.Module) -> str:
    """Tells networks apart in a file of rows."""
    total = crc32(str(model).encode())
    for name, tensor in model.state_dict().items():
        raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)  # whatever its type
        total = crc32(raw.numpy().tobytes(), crc32(name.encode(), total))
    return f"{total:08x}"
