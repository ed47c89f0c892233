"""The loss around three networks, once for float weights and once for the weights that few bits can hold.

Three networks of one architecture span a plane of weights. With u from a1 to a2 and v at right angles towards a3, the
loss is taken at every point of a grid, and again after each point was quantized to the common grid of codes:

    P(x, y) = a1 + x u / |u| + y v / |v|,    v = (a3 - a1) - <a3 - a1, u> / <u, u> u,    Pq = Q_D(P)

so that the second surface shows the networks that hardware would hold. It is made of flat pieces and must not be
smoothed.

References:
    Shin, Boo, Sung 2020, "SQWA" (arXiv 2002.00343), on the loss surface in the quantized weight domain.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from fewbit.analysis.report import Cell, Table
from fewbit.analysis.weight_plane import CORNERS, WeightPlane, common_quantizers
from fewbit.errors import ArgumentError
from fewbit.quant import Selection

Measure = Callable[[nn.Module], float]
Grid = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class SurfacePoint:
    """A network in the plane: its place (distance of weights), its loss as it is and when quantized, the second
    measure for both (where there is one), and how many of its codes differ from those of the first network.

    Examples:
        >>> point = SurfacePoint("a1", 0.0, 0.0, 0.5, quantized_loss=0.7, metric=None, quantized_metric=None, changed=3)
        >>> round(point.quantized_loss - point.loss, 3)  # what quantization costs at this point
        0.2
    """

    name: str
    x: float
    y: float
    loss: float
    quantized_loss: float
    metric: float | None
    quantized_metric: float | None
    changed: int


@dataclass(frozen=True)
class LossSurface:
    """What `loss_surface` measured.

    points: the three networks and their mean. x, y: places of the grid. Grids have a row for each y and a column for
    each x; `changed` counts codes that differ from those of the first network, of `codes` in all.

    Examples:
        >>> import torch
        >>> from fewbit.analysis import loss_surface
        >>> models = [torch.nn.Linear(4, 1) for _ in range(3)]
        >>> found = loss_surface(models, lambda m: float(m(torch.ones(1, 4)) ** 2), weights="ternary", grid=5)
        >>> sorted(found.flatness())
        ['a1', 'a2', 'a3', 'mean']
    """

    spec: str
    codes: int
    points: tuple[SurfacePoint, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    loss: Grid
    quantized_loss: Grid
    metric: Grid | None
    quantized_metric: Grid | None
    changed: tuple[tuple[int, ...], ...]

    @property
    def radius(self) -> float:
        """Half the mean distance between the three networks."""
        places = [np.array([point.x, point.y]) for point in self.points[:3]]
        return float(np.mean([np.linalg.norm(places[i] - places[j]) for i, j in ((0, 1), (0, 2), (1, 2))])) / 2

    def flatness(self, radius: float | None = None, quantized: bool = True) -> dict[str, float]:
        """For every point, the mean loss over the disc around it less its own loss; small is flat.

        The disc ends where the grid ends.

        Args:
            radius: of the disc, as a distance of weights; default half the mean distance between the networks.
            quantized: whether the quantized surface is meant or the float one.

        Raises:
            ArgumentError: no point of the grid lies in a disc.
        """
        size = self.radius if radius is None else radius
        x, y = np.meshgrid(self.x, self.y)
        losses = np.array(self.quantized_loss if quantized else self.loss)
        flat = {}
        for point in self.points:
            inside = (x - point.x) ** 2 + (y - point.y) ** 2 <= size**2
            if not inside.any():
                raise ArgumentError(
                    f"flatness: no point of the grid lies within {size:g} of {point.name}; give a larger radius or "
                    "measure the surface on a finer grid"
                )
            own = point.quantized_loss if quantized else point.loss
            flat[point.name] = float(losses[inside].mean()) - own
        return flat

    def tables(self) -> tuple[Table, ...]:
        """The networks, and every point of the grid."""
        flat, disc = self.flatness(quantized=False), self.flatness()
        columns = ("network", "x", "y", "loss", "loss, quantized", "metric", "metric, quantized", "codes changed")
        rows = tuple(
            (*(getattr(point, name) for name in SurfacePoint.__dataclass_fields__), flat[point.name], disc[point.name])
            for point in self.points
        )
        points = Table(
            f"Networks in the plane ({self.spec}, {self.codes:,} codes)",
            (*columns, f"mean rise within {self.radius:.3g}", "the same, quantized"),
            rows,
        )
        cells: list[tuple[Cell, ...]] = []
        for j, y in enumerate(self.y):
            for i, x in enumerate(self.x):
                metrics = [None if found is None else found[j][i] for found in (self.metric, self.quantized_metric)]
                cells.append((x, y, self.loss[j][i], self.quantized_loss[j][i], *metrics, self.changed[j][i]))
        return points, Table("Every point of the grid", columns[1:], tuple(cells))


def loss_surface(
    models: Sequence[nn.Module],
    loss: Measure,
    *,
    metric: Measure | None = None,
    names: Sequence[str] = ("a1", "a2", "a3"),
    grid: int = 21,
    margin: float = 0.25,
    weights: Selection = None,
    refresh: Iterable[Any] | None = None,
    progress: bool = False,
) -> LossSurface:
    """Measure the loss in the plane through three networks, for float and for quantized weights.

    The networks are left as they are. Weights are taken as the forward pass sees them, so a network with quantizers
    stands at its codes; biases and all other parameters go along with the weights and are not quantized. `loss` and
    `metric` get a network in eval mode without gradient and must give the same for the same network: use fixed data.

    Args:
        models: three networks of one architecture.
        loss: network -> loss, on training data as a rule.
        metric: network -> a second measure, such as the error on test data.
        names: what the three are called.
        grid: points along each side.
        margin: how far the grid goes beyond the three on each side, as a share of the box around them.
        weights: what is quantized and how, as in `fewbit.quant.attach`, with steps fitted to the first network;
            default the weight quantizers of the first network that has some.
        refresh: batches for the statistics of batch norm, computed anew at every point from the first 20.
        progress: whether a bar is shown on standard error.

    Raises:
        ArgumentError: `models` are not three networks of one architecture, or lie on a line, or have quantizers of
            different steps, or none without `weights`, or batch norm without `refresh`.

    Examples:
        >>> import torch
        >>> models = [torch.nn.Linear(4, 1) for _ in range(3)]
        >>> found = loss_surface(models, lambda m: float(m(torch.ones(1, 4)) ** 2), weights="ternary", grid=5)
        >>> len(found.loss), found.points[0].name, found.points[3].name
        (5, 'a1', 'mean')
    """
    if len(models) != 3 or len(names) != 3 or grid < 2 or margin < 0:
        raise ArgumentError(
            f"loss_surface: {len(models)} networks, {len(names)} names, grid={grid}, margin={margin}; wanted 3 of "
            "each, a grid of 2 or more and a margin of 0 or more"
        )
    chosen = common_quantizers(models, names, weights)
    plane = WeightPlane(models, names, chosen, refresh)
    corners = np.array(plane.places)
    low, high = corners.min(0), corners.max(0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    x, y = np.linspace(low[0], high[0], grid), np.linspace(low[1], high[1], grid)
    measures = [loss] if metric is None else [loss, metric]

    def at(share: tuple[float, float]) -> tuple[list[float], int]:
        """Measures in float and quantized, one after the other, and codes changed."""
        plane.go(share, quantized=False)
        found = [float(measure(plane.model)) for measure in measures]
        changed = plane.go(share, quantized=True)
        return found + [float(measure(plane.model)) for measure in measures], changed

    points = []
    values = np.zeros((grid, grid, 2 * len(measures)))
    changed = np.zeros((grid, grid), dtype=int)
    with torch.no_grad(), tqdm(total=grid * grid, desc="loss surface", unit="point", disable=not progress) as bar:
        for name, share in zip((*names, "mean"), (*CORNERS, (1 / 3, 1 / 3)), strict=True):
            found, count = at(share)
            second, quantized = (found[1], found[3]) if metric else (None, None)
            place = plane.place(share)
            points.append(SurfacePoint(name, *place, found[0], found[len(measures)], second, quantized, count))
        for j, i in np.ndindex(grid, grid):
            values[j, i], changed[j, i] = at(plane.share(float(x[i]), float(y[j])))
            bar.update()
    surfaces: list[Grid] = [tuple(tuple(row) for row in values[:, :, k].tolist()) for k in range(2 * len(measures))]
    return LossSurface(
        ", ".join(sorted({quantizer.spec for quantizer in chosen.values()})),
        plane.codes,
        tuple(points),
        tuple(x.tolist()),
        tuple(y.tolist()),
        surfaces[0],
        surfaces[len(measures)],
        surfaces[1] if metric else None,
        surfaces[3] if metric else None,
        tuple(tuple(row) for row in changed.tolist()),
    )
