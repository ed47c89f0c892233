"""A small network with many bits, or a large one with few? What a compressed network is worth in float bytes.

With `F` the metric of float networks by their bytes, a network of `n` bytes with metric `m` is as good as a float
network of ``F^-1(m)`` bytes; its *effective compression ratio* (ECR) is ``F^-1(m) / n``. The nominal ratio of its
formats, say 32 bits to 2, is reached only if quantization loses nothing, because a float network could be made
smaller too.

References:
    Shin, Hwang, Sung 2016 (arXiv 1611.06342); Sung, Shin, Hwang 2015 (arXiv 1511.06488).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewbit.analysis.monotone_curve import MonotoneCurve, fit_monotone
from fewbit.analysis.report import Cell, Table
from fewbit.analysis.size_resilience import FLOAT, Resilience
from fewbit.errors import ArgumentError, DataError


@dataclass(frozen=True)
class Ratio:
    """The effective compression ratio of the networks of one size and one spec.

    dev, test, spread: means of the metric, and the standard deviation of the test metric over seeds. same_as: bytes of
    the float network that is as good. limit: ``<`` where every float network measured is better (`ratio` is an upper
    bound), ``>=`` where none is (a lower bound). low, high: 16 % and 84 % of resampled seeds. nominal: float bytes of
    this very network by its bytes; efficiency: ratio / nominal.

    Examples:
        >>> from fewbit.analysis import SizedNetwork, capacity
        >>> def network(size, spec, bytes, error):
        ...     return SizedNetwork(size, spec, 0, 100, bytes, 0.0, error, error, error, error)
        >>> rows = tuple(network(n, "float", 100 * n, 16 / n) for n in (2, 4, 8))
        >>> rows += tuple(network(n, "ternary", 10 * n, 20 / n) for n in (2, 4, 8))
        >>> ratio = capacity(Resilience("toy", "error (%)", rows)).of("ternary")[1]
        >>> ratio.size, ratio.nominal, ratio.ratio < ratio.nominal
        (4, 10.0, True)
    """

    size: float
    spec: str
    bytes: int
    dev: float
    test: float
    spread: float
    same_as: float
    limit: str
    ratio: float
    low: float
    high: float
    nominal: float
    efficiency: float


@dataclass(frozen=True)
class Design:
    """The best network of a spec within a budget of bytes.

    size, dev, test: of the network that just fits, read off the curves of development and test data. measured: size
    of the best network measured that fits, with its bytes and metrics. largest: whether a larger network would fit,
    but none was measured.

    Examples:
        >>> Design("ternary", 8, 9.0, 9.5, 6, 600, 10.0, 10.5, largest=False).measured  # the best network measured
        6
    """

    spec: str
    size: float
    dev: float
    test: float
    measured: float
    measured_bytes: int
    measured_dev: float
    measured_test: float
    largest: bool


@dataclass(frozen=True)
class Capacity:
    """What `capacity` found: ratios by spec and size, and for each spec the curves of the metric against bytes.

    Ratios are of test data; `design` chooses by development data.

    Examples:
        >>> from fewbit.analysis import SizedNetwork, capacity
        >>> def network(size, spec, bytes, error):
        ...     return SizedNetwork(size, spec, 0, 100, bytes, 0.0, error, error, error, error)
        >>> rows = tuple(network(n, "float", 100 * n, 16 / n) for n in (2, 4, 8))
        >>> rows += tuple(network(n, "ternary", 10 * n, 20 / n) for n in (2, 4, 8))
        >>> found = capacity(Resilience("toy", "error (%)", rows))
        >>> found.best_at(200), [design.spec for design in found.design(200)]
        ('ternary', ['ternary', 'float'])
    """

    task: str
    metric: str
    ratios: tuple[Ratio, ...]
    dev_curves: dict[str, MonotoneCurve]
    test_curves: dict[str, MonotoneCurve]
    budget: int | None = None

    def of(self, spec: str) -> tuple[Ratio, ...]:
        """The networks of a spec, smallest first."""
        return tuple(ratio for ratio in self.ratios if ratio.spec == spec)

    def design(self, bytes: float) -> tuple[Design, ...]:
        """The best network of each spec within `bytes`, best first; a spec whose networks are all larger is left out.

        Raises:
            ArgumentError: the budget lies outside the measured range.
        """
        low, high = (end(ratio.bytes for ratio in self.ratios) for end in (min, max))
        if not low <= bytes <= high:
            raise ArgumentError(
                f"{self.task}: a budget of {bytes:,.0f} bytes lies outside the measured {low:,} to {high:,} bytes; "
                f"measure {'smaller' if bytes < low else 'larger'} sizes"
            )
        found = [self._design(spec, bytes) for spec, curve in self.dev_curves.items() if curve.bytes[0] <= bytes]
        return tuple(sorted(found, key=lambda design: (design.dev, design.measured_bytes)))

    def best_at(self, bytes: float) -> str | None:
        """The best spec at `bytes` by development data; beyond its largest network a spec is taken as constant."""
        reach = {
            spec: curve.at(min(bytes, curve.bytes[-1]))
            for spec, curve in self.dev_curves.items()
            if curve.bytes[0] <= bytes
        }
        return min(reach, key=lambda spec: reach[spec], default=None)

    def tables(self) -> tuple[Table, ...]:
        """What fits into the budget, if there is one; ratios; the metric of every spec at powers of two of bytes."""
        capacities = Table(
            f"{self.task}: {self.metric} of test data at a capacity; the best by development data",
            ("bytes", *self.test_curves, "best"),
            tuple(self._at(2**power) for power in self._powers()),
        )
        return (self._ratios(), capacities) if self.budget is None else (self._designs(), self._ratios(), capacities)

    def _designs(self) -> Table:
        assert self.budget is not None
        columns = (
            "weights",
            "size",
            "dev",
            "test",
            "best measured",
            "bytes",
            "its dev",
            "its test",
            "is largest measured",
        )
        return Table(
            f"{self.task}: {self.metric} in {self.budget:,} bytes, best first",
            columns,
            tuple((*list(vars(d).values())[:-1], "yes" if d.largest else "") for d in self.design(self.budget)),
        )

    def _ratios(self) -> Table:
        network = ("size", "weights", "bytes", f"test, {self.metric}", "as float bytes", "bound")
        columns = (*network, "effective ratio", "16 %", "84 %", "nominal ratio", "efficiency")
        rows = (
            (r.size, r.spec, r.bytes, r.test, r.same_as, r.limit, r.ratio, r.low, r.high, r.nominal, r.efficiency)
            for r in self.ratios
        )
        return Table(f"{self.task}: effective compression ratio", columns, tuple(rows))

    def _powers(self) -> range:
        """Powers of two from the smallest network measured to the largest."""
        sizes = [ratio.bytes for ratio in self.ratios]
        return range((min(sizes) - 1).bit_length(), max(sizes).bit_length())

    def _at(self, budget: int) -> tuple[Cell, ...]:
        curves = self.test_curves.values()
        return (budget, *(curve.at(budget) if curve.spans(budget) else None for curve in curves), self.best_at(budget))

    def _design(self, spec: str, bytes: float) -> Design:
        networks = self.of(spec)
        best = min((ratio for ratio in networks if ratio.bytes <= bytes), key=lambda ratio: (ratio.dev, ratio.bytes))
        filled = min(bytes, networks[-1].bytes)
        return Design(
            spec=spec,
            size=_size_of(networks, filled),
            dev=self.dev_curves[spec].at(filled),
            test=self.test_curves[spec].at(filled),
            measured=best.size,
            measured_bytes=best.bytes,
            measured_dev=best.dev,
            measured_test=best.test,
            largest=bytes > networks[-1].bytes,
        )


def capacity(resilience: Resilience, budget: int | None = None, *, resamples: int = 200) -> Capacity:
    """Effective compression ratios of networks of several sizes and specs, and what fits into a given memory.

    The curve through the means of float networks, over the logarithm of bytes, is monotone (`fit_monotone`) and never
    extrapolated. A metric within one standard error of the best float networks counts as saturated: the smallest float
    network of that metric is taken, and the ratio is a lower bound.

    Args:
        resilience: networks of at least three sizes; seeds with a network missing are left out.
        budget: bytes for which the tables show what fits.
        resamples: of the seeds, for the range of each ratio.

    Raises:
        ArgumentError: a spec has fewer than three sizes, or the budget lies outside the measured range.
        DataError: no seed has all networks.

    Examples:
        >>> from fewbit.analysis import Resilience, SizedNetwork
        >>> def network(size, spec, bytes, error):
        ...     return SizedNetwork(size, spec, 0, 100, bytes, 0.0, error, error, error, error)
        >>> rows = tuple(network(n, "float", 100 * n, 16 / n) for n in (2, 4, 8))
        >>> rows += tuple(network(n, "ternary", 10 * n, 20 / n) for n in (2, 4, 8))
        >>> found = capacity(Resilience("toy", "error (%)", rows))
        >>> [round(ratio.ratio, 1) for ratio in found.of("ternary")]
        [10.0, 8.0, 7.8]
    """
    points = [(size, spec) for spec in resilience.specs for size in resilience.sizes if resilience.of(size, spec)]
    seeds = set.intersection(*({row.seed for row in resilience.of(*point)} for point in points)) if points else set()
    if not seeds:
        lost = "; ".join(resilience.failed) or "see the rows"
        raise DataError(f"{resilience.task}: no seed has all networks: {lost}")
    rows = [[row for row in resilience.of(*point) if row.seed in seeds] for point in points]
    sizes = np.array([row[0].bytes for row in rows])
    specs = np.array([spec for _, spec in points])
    dev, test = (
        np.array([[getattr(r, name) for r in row] for row in rows]) for name in ("retrained", "retrained_test")
    )

    as_good = _as_good(sizes, test, specs == FLOAT)
    draws = np.random.default_rng(0).integers(len(seeds), size=(resamples, len(seeds)))
    drawn = [[value for value, _ in _as_good(sizes, test[:, draw], specs == FLOAT)] for draw in draws]
    ranges = np.quantile(np.array(drawn) / sizes, [0.16, 0.84], axis=0).T.tolist()
    ratios = []
    for i, (size, spec) in enumerate(points):
        bytes, (same_as, limit) = int(sizes[i]), as_good[i]
        nominal = resilience.of(size, FLOAT)[0].bytes / bytes
        ratios.append(
            Ratio(
                size=size,
                spec=spec,
                bytes=bytes,
                dev=float(dev[i].mean()),
                test=float(test[i].mean()),
                spread=float(test[i].std(ddof=1)) if len(seeds) > 1 else 0.0,
                same_as=same_as,
                limit=limit,
                ratio=same_as / bytes,
                low=ranges[i][0],
                high=ranges[i][1],
                nominal=nominal,
                efficiency=same_as / bytes / nominal,
            )
        )
    dev_curves, test_curves = (
        {
            spec: fit_monotone(sizes[specs == spec].tolist(), values[specs == spec].mean(1).tolist())
            for spec in resilience.specs
        }
        for values in (dev, test)
    )
    found = Capacity(resilience.task, resilience.metric, tuple(ratios), dev_curves, test_curves, budget)
    if budget is not None:
        found.design(budget)
    return found


def _as_good(
    sizes: NDArray[np.int64], metrics: NDArray[np.float64], floats: NDArray[np.bool_]
) -> list[tuple[float, str]]:
    """For each network the bytes of the float network that is as good, and the mark of a bound.

    sizes: (networks,) bytes. metrics: (networks, seeds). floats: (networks,) which are float.
    """
    curve = fit_monotone(sizes[floats].tolist(), metrics[floats].mean(1).tolist())
    largest = metrics[floats][sizes[floats].argmax()]
    error = largest.std(ddof=1) / len(largest) ** 0.5 if len(largest) > 1 else 0.0
    plateau = curve.best + float(error)
    found = []
    for metric in metrics.mean(1).tolist():
        limit = ">=" if metric <= plateau else "<" if metric > curve.metric[0] else ""
        found.append((curve.bytes_for(max(metric, plateau)), limit))
    return found


def _size_of(networks: tuple[Ratio, ...], bytes: float) -> float:
    """The size of network that takes `bytes`; never too large, but for a few bytes where rows are padded.

    Bytes are a polynomial of the size with positive factors; in logarithms it lies below the line between two points.
    """
    sizes = np.array([network.size for network in networks])
    size = float(2 ** np.interp(np.log2(bytes), np.log2([network.bytes for network in networks]), np.log2(sizes)))
    return float(np.floor(size + 1e-9)) if (sizes == sizes.round()).all() else size
