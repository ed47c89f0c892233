"""What pruning and fewer bits leave of a network together: its points, their fronts, and the recipe of one point.

A point is a granularity, a ratio and a format of weights. On the front of a cost lie the points that no other point
beats at that cost and at the error together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, stdev
from typing import Any

from fewbit.analysis.pareto import pareto_front
from fewbit.analysis.report import Cell, Table
from fewbit.errors import ArgumentError, DataError
from fewbit.passes import Recipe

DENSE = "dense"
FLOAT = "float"
COSTS = {"macs": "MACs", "bytes": "bytes", "time_us": "µs"}
"""What fronts are drawn over, and how tables call it."""
PASSES = {"channels": "PruneChannels", "units": "PruneUnits", "heads": "PruneHeads", "kernels": "PruneKernels"}
"""Granularities, and the passes that prune them."""


@dataclass(frozen=True)
class PrunedNetwork:
    """One network that was pruned, retrained, quantized and retrained.

    granularity: channels, units, heads or kernels; ``dense`` for a whole network. error: the metric on development
    data.
    macs: multiply-accumulates for an input frame, bytes: of all that is stored for weights (`fewbit.cost`). time_us:
    microseconds of a call, ``None`` where it was not timed. gain: time of the dense network of the same seed and
    format, measured in turns with this one, over `time_us`.

    Examples:
        >>> PrunedNetwork("channels", 0.5, "ternary", 0, 12.0, 4000.0, 900, 10.0, 1.5).gain
        1.5
    """

    granularity: str
    ratio: float
    spec: str
    seed: int
    error: float
    macs: float
    bytes: int
    time_us: float | None = None
    gain: float | None = None


@dataclass(frozen=True)
class PrunedPoint:
    """The networks of one granularity, ratio and format, one for each seed; its figures are means over them.

    Examples:
        >>> networks = [PrunedNetwork("units", 0.5, "int4", seed, 9.0 + seed, 500.0, 90) for seed in (0, 1)]
        >>> point = PrunedPoint(tuple(networks))
        >>> point.name, point.error, point.time_us
        ('units 0.5 int4', 9.5, None)
    """

    networks: tuple[PrunedNetwork, ...]

    @property
    def granularity(self) -> str:
        """Channels, units, heads or kernels; ``dense`` where nothing is pruned."""
        return self.networks[0].granularity

    @property
    def ratio(self) -> float:
        """Share that is pruned."""
        return self.networks[0].ratio

    @property
    def spec(self) -> str:
        """Format of the weights."""
        return self.networks[0].spec

    @property
    def name(self) -> str:
        """Such as ``channels 0.5 ternary``."""
        return " ".join([self.granularity, *([f"{self.ratio:g}"] if self.ratio else []), self.spec])

    @property
    def error(self) -> float:
        """The metric on development data."""
        return mean(network.error for network in self.networks)

    @property
    def spread(self) -> float | None:
        """Standard deviation of the metric over seeds, in two digits; ``None`` for one seed."""
        return _spread([network.error for network in self.networks])

    @property
    def macs(self) -> float:
        """Multiply-accumulates for an input frame."""
        return mean(network.macs for network in self.networks)

    @property
    def bytes(self) -> float:
        """Bytes of all that is stored for weights."""
        return mean(network.bytes for network in self.networks)

    @property
    def time_us(self) -> float | None:
        """Microseconds of a call; ``None`` if a network was not timed."""
        return _mean([network.time_us for network in self.networks])

    @property
    def gain(self) -> float | None:
        """How many times faster than the dense networks of its format; ``None`` if one was not timed."""
        return _mean([network.gain for network in self.networks])


@dataclass(frozen=True)
class Pruning:
    """What `pruning` measured.

    rows: all networks. seeds: those that were asked for; a point in which one of them failed lies on no front and is
    not chosen. baseline: the metric of the dense network in float, trained as long as all others, for each seed.
    activations, epochs, lr: of every recipe. left_out: granularities that were not measured, and why. failed: runs
    without figures. chosen: the point that was chosen, if one was.

    Examples:
        >>> rows = PrunedNetwork("dense", 0.0, "int4", 0, 9.0, 800.0, 400), PrunedNetwork(
        ...     "channels", 0.5, "int4", 0, 9.5, 200.0, 100)
        >>> report = Pruning("toy", "error (%)", rows, (0,), (8.9,), "int8", epochs=2, lr=0.01)
        >>> [point.name for point in report.front("bytes")], report.choose(error=1.0).name
        (['channels 0.5 int4', 'dense int4'], 'channels 0.5 int4')
    """

    task: str
    metric: str
    rows: tuple[PrunedNetwork, ...]
    seeds: tuple[int, ...]
    baseline: tuple[float, ...]
    activations: str
    epochs: int
    lr: float
    left_out: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    chosen: PrunedPoint | None = None

    @cached_property
    def points(self) -> tuple[PrunedPoint, ...]:
        """The networks by granularity, ratio and format, in the order of the rows."""
        found: dict[tuple[str, float, str], list[PrunedNetwork]] = {}
        for row in self.rows:
            found.setdefault((row.granularity, row.ratio, row.spec), []).append(row)
        return tuple(PrunedPoint(tuple(rows)) for rows in found.values())

    @property
    def whole_points(self) -> tuple[PrunedPoint, ...]:
        """The points that have figures for every seed."""
        return tuple(point for point in self.points if len(point.networks) == len(self.seeds))

    def front(self, cost: str) -> tuple[PrunedPoint, ...]:
        """The points that no other one beats at `cost` and at the error together, by their cost.

        Args:
            cost: ``macs``, ``bytes`` or ``time_us``; points that were not timed do not lie on the last.

        Raises:
            ArgumentError: no such cost.
        """
        if cost not in COSTS:
            raise ArgumentError(f"no front over {cost!r}; wanted one of {', '.join(COSTS)}")
        points = [point for point in self.whole_points if getattr(point, cost) is not None]
        return tuple(points[place] for place in pareto_front([(getattr(p, cost), p.error) for p in points]))

    def choose(self, *, bytes: int | None = None, macs: float | None = None, error: float | None = None) -> PrunedPoint:
        """The point for one wish; of equal ones the cheaper, or the better one.

        Args:
            bytes: the least error within so many bytes of weights.
            macs: the least error within so many multiply-accumulates for an input frame.
            error: the fewest bytes with an error at most so far above that of the dense network in float.

        Raises:
            ArgumentError: not exactly one wish, a wish that is no number from 0 on, or nothing fulfils it; the message
                names the nearest point.
            DataError: no point has figures for every seed, or the network in float has none.
        """
        wishes = {name: wish for name, wish in (("bytes", bytes), ("macs", macs), ("error", error)) if wish is not None}
        if len(wishes) != 1:
            raise ArgumentError(f"{self.task}: wanted one of bytes, macs and error, saw {', '.join(wishes) or 'none'}")
        ((kind, wish),) = wishes.items()
        if not 0 <= wish < math.inf:
            raise ArgumentError(f"{self.task}: {kind} is {wish}; wanted a number from 0 on")
        if not self.whole_points:
            raise DataError(f"{self.task}: no point has figures for every seed; the first: {self.failed[:1]}")
        if kind == "error":
            return self._smallest(wish)
        fitting = [point for point in self.whole_points if getattr(point, kind) <= wish]
        if not fitting:
            least = min(self.whole_points, key=lambda point: (getattr(point, kind), point.error))
            raise ArgumentError(
                f"{self.task}: nothing measured has at most {wish:,.0f} {COSTS[kind]}; the least, {least.name}, has "
                f"{getattr(least, kind):,.0f}; allow more, or measure higher ratios or fewer bits"
            )
        return min(fitting, key=lambda point: (point.error, getattr(point, kind), point.bytes))

    def recipe(self, point: PrunedPoint) -> Recipe:
        """The passes that made the networks of a point from the float networks of its seeds."""
        return pruning_recipe(
            point.granularity, point.ratio, point.spec, activations=self.activations, epochs=self.epochs, lr=self.lr
        )

    def toml(self, point: PrunedPoint) -> str:
        """The recipe of a point as a file for ``fewbit compress --recipe``, with its figures in a comment."""
        seen = ", ".join(f"{row.error:.6g} with seed {row.seed}" for row in point.networks)
        about = " ".join(f"{self.task}: {point.name}. {self.metric} on development data: {seen}.".split())
        return f"# {about}\n\n{self.recipe(point).to_toml()}"

    def tables(self) -> tuple[Table, ...]:
        """All points, the smallest first, with the fronts on which they lie."""
        fronts = {name: {point.name for point in self.front(name)} for name in COSTS}
        columns = ("network", self.metric, "+/-", "MACs", "bytes", "µs", "gain", "front")
        rows = [self._figures(point, fronts) for point in sorted(self.points, key=lambda point: point.bytes)]
        if self.baseline:
            rows.append((f"{DENSE} {FLOAT}", mean(self.baseline), _spread(self.baseline), None, None, None, None, "-"))
        seeds = "1 seed" if len(self.seeds) == 1 else f"means of {len(self.seeds)} seeds"
        title = (
            f"{self.task}: {self.metric} of development data, {seeds}; fronts over MACs (M), bytes (B), time (T); "
            "kernels that are not stored do not count"
        )
        return (Table(title, columns, tuple(rows)),)

    def _figures(self, point: PrunedPoint, fronts: dict[str, set[str]]) -> tuple[Cell, ...]:
        on = "".join(letter for letter, cost in zip("MBT", COSTS, strict=True) if point.name in fronts[cost])
        lost = len(self.seeds) - len(point.networks)
        times = None if point.time_us is None else round(point.time_us, 1), point.gain and round(point.gain, 2)
        costs = (round(point.macs), round(point.bytes), *times)
        return (point.name, point.error, point.spread, *costs, on or (f"{lost} failed" if lost else "-"))

    def _smallest(self, within: float) -> PrunedPoint:
        if len(self.baseline) < len(self.seeds):
            raise DataError(f"{self.task}: the dense network in float has no figure; the first: {self.failed[:1]}")
        dense = mean(self.baseline)
        fitting = [point for point in self.whole_points if point.error <= dense + within]
        if not fitting:
            best = min(self.whole_points, key=lambda point: (point.error, point.bytes))
            raise ArgumentError(
                f"{self.task}: nothing measured is within {within:g} of {dense:.4g}, the {self.metric} of the dense "
                f"network in float; the best, {best.name}, has {best.error:.4g}; allow more, or measure lower ratios "
                "or more bits"
            )
        return min(fitting, key=lambda point: (point.bytes, point.error))


def pruning_recipe(granularity: str, ratio: float, spec: str, *, activations: str, epochs: int, lr: float) -> Recipe:
    """Prune, retrain, quantize, retrain; for ``dense`` and for ``float`` the same trainings without what is in front.

    Examples:
        >>> recipe = pruning_recipe("kernels", 0.5, "int4", activations="int8", epochs=2, lr=0.01)
        >>> [step["kind"] for step in recipe.steps]
        ['PruneKernels', 'Finetune', 'Quantize', 'Finetune']
    """
    train: dict[str, Any] = {"kind": "Finetune", "epochs": epochs, "lr": lr}
    prune = [] if granularity == DENSE else [{"kind": PASSES[granularity], "ratio": ratio}]
    signals = {} if activations == FLOAT else {"activations": activations}
    quantize = [] if spec == FLOAT else [{"kind": "Quantize", "weights": spec, **signals}]
    return Recipe.from_dict({"passes": [*prune, train, *quantize, train]})


def _spread(errors: Sequence[float]) -> float | None:
    """Standard deviation over seeds, in two digits; ``None`` for one seed."""
    return float(f"{stdev(errors):.2g}") if len(errors) > 1 else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None
