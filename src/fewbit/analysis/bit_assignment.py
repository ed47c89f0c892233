"""Bits for each group of weights, such that the loss is least within a memory budget.

    minimise  sum loss(group, spec)   with   sum bytes(group, spec) + bytes of what stays float <= budget

The losses are those of `sensitivity`, each measured with all else float. They do not add up exactly, so the best few
sums can be measured together before one is taken.

References:
    Shin, Hwang, Sung 2016 (arXiv 1512.01322): bits by layer from the sensitivity of each. They lower bits as
    long as the metric allows; here the sum is minimised for a given memory.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product

from fewbit.analysis.report import Table
from fewbit.analysis.weight_sensitivity import QuantizedGroup, Sensitivity
from fewbit.errors import ArgumentError, DataError

SLOTS = 4096
"""Most partial assignments that are kept; of more, one for each slot of bytes."""


@dataclass(frozen=True)
class Candidate:
    """One choice: the spec of each group, bytes of the whole network, predicted loss, and the metric if measured.

    Examples:
        >>> candidate = Candidate({"head": "int4", "rnn": "ternary"}, bytes=1200, predicted=0.3)
        >>> candidate.groups["rnn"]
        'ternary'
    """

    groups: dict[str, str]
    bytes: int
    predicted: float
    measured: float | None = None


@dataclass(frozen=True)
class BitAssignment:
    """What `assign_bits` chose.

    specs: name of a weight -> spec, as `fewbit.passes.Quantize` takes it for `weights`. groups: the same by group.
    bytes: of the whole network (`stored_bytes`). predicted: sum of the losses of the groups. measured: the metric of
    all together. tried: what was measured together, the best by prediction first.

    Examples:
        >>> found = BitAssignment("toy", "loss", 90, {"head.weight": "int4"}, {"head": "int4"}, 88, predicted=0.1)
        >>> found.toml().splitlines()[-1]
        '"head.weight" = "int4"'
    """

    network: str
    metric: str
    budget: int
    specs: dict[str, str]
    groups: dict[str, str]
    bytes: int
    predicted: float
    measured: float | None = None
    tried: tuple[Candidate, ...] = ()

    def tables(self) -> tuple[Table, ...]:
        """The chosen specs, and the candidates that were measured."""
        title = f"{self.network}: bits for {self.budget:,} bytes ({self.bytes:,} used)"
        chosen = Table(title, ("weights", "spec"), tuple(self.groups.items()))
        if not self.tried:
            return (chosen,)
        columns = ("candidate", "bytes", "predicted loss", self.metric)
        rows = tuple(
            (", ".join(candidate.groups.values()), candidate.bytes, candidate.predicted, candidate.measured)
            for candidate in self.tried
        )
        return chosen, Table(f"{self.network}: candidates measured together", columns, rows)

    def toml(self) -> str:
        """The pass ``Quantize`` of a recipe file (`fewbit.passes.read_recipe`)."""
        lines = ["[[pass]]", 'kind = "Quantize"', "", "[pass.weights]"]
        return "\n".join([*lines, *(f'"{name}" = "{spec}"' for name, spec in self.specs.items()), ""])


def assign_bits(
    report: Sensitivity,
    bytes: int,
    *,
    measure: Callable[[Mapping[str, str]], float] | None = None,
    candidates: int = 8,
) -> BitAssignment:
    """Choose a spec for every group of weights such that the predicted loss is least within `bytes`.

    A loss below 0 is noise of the measure and counts as 0. The choice is exact for networks of a few groups; for
    many, totals are resolved to 1/4096 of the budget.

    Args:
        report: what `sensitivity` gave.
        bytes: memory for the whole network, as `stored_bytes` counts it: packed codes and steps, and 4 bytes for each
            number that stays float.
        measure: specs by name of a weight -> metric of the network with all of them, smaller is better. Then the best
            few by prediction and every uniform spec that fits are measured, and the best of them is taken; so it is not
            worse than uniform bits on the data of `measure`. Values that are not finite are never chosen.
        candidates: how many of the best by prediction are measured.

    Raises:
        ArgumentError: the smallest assignment is larger than `bytes`.
        DataError: a group has no figure at all, or `measure` gives none that is finite.

    Examples:
        >>> def cell(spec, bytes, loss):
        ...     return QuantizedGroup("head", "weights", spec, ("head.weight",), 10, bytes, 1 + loss, loss)
        >>> rows = (cell("ternary", 4, 0.5), cell("int4", 8, 0.1))
        >>> report = Sensitivity("toy", "loss", float_metric=1.0, float_bytes=60, rows=rows)
        >>> assign_bits(report, bytes=28).specs, assign_bits(report, bytes=24).specs
        ({'head.weight': 'int4'}, {'head.weight': 'ternary'})
    """
    options = _options(report)
    smallest = report.rest_bytes + sum(min(row.bytes for row in rows) for rows in options.values())
    if smallest > bytes:
        raise ArgumentError(
            f"{report.network}: budget of {bytes:,} bytes too small: need at least {smallest:,} bytes for the smallest "
            f"formats measured, {report.rest_bytes:,} of them for what stays float; raise the budget, measure smaller "
            "formats, or take a smaller network"
        )
    found = _best(report, options, bytes)[: candidates if measure else 1]
    if measure is not None:
        known = [candidate.groups for candidate in found]
        found += [one for one in _uniform(report, options) if one.bytes <= bytes and one.groups not in known]
        found = [
            Candidate(one.groups, one.bytes, one.predicted, measure(_by_name(report, one.groups))) for one in found
        ]
    finite = [one for one in found if one.measured is None or math.isfinite(one.measured)]
    if not finite:
        seen = [one.measured for one in found]
        raise DataError(f"{report.network}: `measure` gave {seen}; wanted a finite {report.metric} at least once")
    best = min(finite, key=lambda one: one.predicted if one.measured is None else one.measured)
    return BitAssignment(
        network=report.network,
        metric=report.metric,
        budget=bytes,
        specs=_by_name(report, best.groups),
        groups=best.groups,
        bytes=best.bytes,
        predicted=best.predicted,
        measured=best.measured,
        tried=tuple(found) if measure else (),
    )


def uniform_bytes(report: Sensitivity, spec: str) -> int:
    """Bytes of the whole network with all groups at one spec.

    Raises:
        ArgumentError: the spec was not measured in every group.

    Examples:
        >>> cell = QuantizedGroup("head", "weights", "int4", ("head.weight",), 10, 8, metric=1.1, loss=0.1)
        >>> uniform_bytes(Sensitivity("toy", "loss", float_metric=1.0, float_bytes=60, rows=(cell,)), "int4")
        28
    """
    found = next((one for one in _uniform(report, _options(report)) if spec in one.groups.values()), None)
    if found is None:
        raise ArgumentError(
            f"{report.network}: {spec!r} was not measured in every group; choose from {list(report.specs())}"
        )
    return found.bytes


def _options(report: Sensitivity) -> dict[str, list[QuantizedGroup]]:
    options = {}
    for group in report.groups():
        cells = [report.of(group, spec) for spec in report.specs()]
        options[group] = [cell for cell in cells if cell is not None]
    lost = [line for line in report.failed if line.startswith("weights ")]
    bare = [line for line in lost if not any(line.startswith(f"weights {group}, ") for group in options)]
    if bare or not options:
        raise DataError(f"{report.network}: a group of weights has no figures: {'; '.join(bare) or 'there are none'}")
    return options


def _best(report: Sensitivity, options: Mapping[str, list[QuantizedGroup]], budget: int) -> list[Candidate]:
    """All Pareto-optimal choices of size and loss, the best first."""
    front: list[tuple[int, float, tuple[str, ...]]] = [(report.rest_bytes, 0.0, ())]
    need = sum(min(row.bytes for row in rows) for rows in options.values())
    for rows in options.values():
        need -= min(row.bytes for row in rows)  # least bytes of the remaining groups
        grown = sorted(
            (size + row.bytes, loss + max(row.loss, 0.0), (*specs, row.spec))
            for (size, loss, specs), row in product(front, rows)
            if size + row.bytes + need <= budget
        )
        front = []
        for state in grown:
            if not front or state[1] < front[-1][1]:
                front.append(state)
        if len(front) > SLOTS:
            front = list({state[0] * SLOTS // budget: state for state in front}.values())
    return [Candidate(dict(zip(options, specs, strict=True)), size, loss) for size, loss, specs in reversed(front)]


def _uniform(report: Sensitivity, options: Mapping[str, list[QuantizedGroup]]) -> list[Candidate]:
    """All groups at one spec, for each spec that was measured in every group."""
    found = []
    for spec in report.specs():
        rows = [row for group in options for row in options[group] if row.spec == spec]
        if len(rows) == len(options):
            size = report.rest_bytes + sum(row.bytes for row in rows)
            found.append(Candidate(dict.fromkeys(options, spec), size, sum(max(row.loss, 0.0) for row in rows)))
    return found


def _by_name(report: Sensitivity, groups: Mapping[str, str]) -> dict[str, str]:
    names = {row.group: row.names for row in report.rows if row.group in groups and row.kind == "weights"}
    return {name: spec for group, spec in groups.items() for name in names[group]}
