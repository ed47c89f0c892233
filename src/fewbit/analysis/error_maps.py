"""What few bits do to a function of two inputs, as pictures: distortion by weights, noise by signals.

A small network learns a known function on a square. Then its inner weights, its inner signals, or both get few bits
and it is trained again. On a fine grid the error is seen whole, and split into a smooth and a rough part:

    rough share = mean (e - smooth(e))**2 / mean e**2        near 0: a smooth distortion; near 1: noise

References:
    Boo, Shin, Sung 2020, "Quantized neural networks: characterization and holistic optimization" (arXiv 2006.00530)
    for the idea; the functions and measures are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.analysis.network_interior import inner_layers, outputs
from fewbit.analysis.report import Table
from fewbit.batches import labels_of
from fewbit.errors import ArgumentError
from fewbit.passes import Finetune, compress
from fewbit.train import outputs_of

POINTS, BATCH = 3000, 100
LEAST_GRID = 16
ARMS = ("float", "weights", "signals", "both")
Map = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class ErrorMap:
    """A network on the grid: what was quantized, whether it was trained again, and its error against the target.

    smooth, rough: the difference to the float network split in two, rms of each.

    Examples:
        >>> found = ErrorMap("weights", True, rms=0.1, roughness=0.2, smooth=0.05, rough=0.02, values=((0.0,),))
        >>> found.smooth > found.rough  # a distortion rather than noise
        True
    """

    arm: str
    retrained: bool
    rms: float
    roughness: float
    smooth: float
    rough: float
    values: Map


@dataclass(frozen=True)
class ErrorMaps:
    """What `map_errors` found; maps have a row for each x2 and a column for each x1 in -1..1.

    Examples:
        >>> found = ErrorMap("weights", True, rms=0.1, roughness=0.2, smooth=0.05, rough=0.02, values=((0.0,),))
        >>> ErrorMaps("waves", 8, 2, 2, 3, ((0.0,),), (found,)).of("weights").rms
        0.1
    """

    target_name: str
    width: int
    depth: int
    weight_bits: int
    signal_bits: int
    target: Map
    maps: tuple[ErrorMap, ...]

    def of(self, arm: str, retrained: bool = True) -> ErrorMap:
        """The map of an arm."""
        return next(found for found in self.maps if (found.arm, found.retrained) == (arm, retrained))

    def tables(self) -> tuple[Table, ...]:
        """One row for each network."""
        columns = ("quantized", "trained again", "rms error", "rough share", "smooth change", "rough change")
        rows = tuple((m.arm, str(m.retrained), m.rms, m.roughness, m.smooth, m.rough) for m in self.maps)
        title = f"{self.target_name}, {self.depth} layers of {self.width}"
        return (Table(f"{title}: weights {self.weight_bits} bits, signals {self.signal_bits} bits", columns, rows),)


def waves(x: Tensor) -> Tensor:
    """A smooth function of points ``(n, 2)``: sin 3 x1 cos 2 x2 + sin(4 x1 x2) / 2."""
    return torch.sin(3 * x[:, 0]) * torch.cos(2 * x[:, 1]) + 0.5 * torch.sin(4 * x[:, 0] * x[:, 1])


def spirals(x: Tensor) -> Tensor:
    """Which of two interleaved spirals of 1.5 turns is the nearer to points ``(n, 2)``: 0 or 1."""
    along = torch.linspace(0.05, 1, 400)
    angle = 1.5 * 2 * torch.pi * along
    arm = torch.stack([along * torch.cos(angle), along * torch.sin(angle)], 1)
    return (torch.cdist(x, -arm).amin(1) < torch.cdist(x, arm).amin(1)).float()


TARGETS: dict[str, Callable[[Tensor], Tensor]] = {"waves": waves, "spirals": spirals}


def map_errors(
    width: int,
    depth: int,
    *,
    target: str = "waves",
    weight_bits: int = 2,
    signal_bits: int = 3,
    epochs: int = 25,
    grid: int = 64,
    seed: int = 0,
) -> ErrorMaps:
    """Train a perceptron of `depth` hidden layers of `width` units on a function of two inputs, give its inner weights
    or signals few bits, train it again, and draw its error. The float network is trained again for as long.

    Args:
        width, depth: of the network; two hidden layers or more.
        target: ``waves``, a smooth function, or ``spirals``, two classes whose probability is learned.
        weight_bits, signal_bits: of inner weights (2 is ternary) and inner signals.
        epochs: of each training, over 3,000 random points.
        grid: points along each side.
        seed: of weights and points.

    Raises:
        ArgumentError: there is no such target, `grid` is below 16, or `depth` is below 2.

    Examples:
        >>> found = map_errors(4, 2, epochs=1, grid=16)
        >>> [(m.arm, m.retrained) for m in found.maps[:3]]
        [('float', False), ('float', True), ('weights', False)]
    """
    if target not in TARGETS or grid < LEAST_GRID or depth < 2 or width < 1:
        raise ArgumentError(
            f"map_errors: target={target!r}, grid={grid}, depth={depth}, width={width}; wanted one of "
            f"{', '.join(TARGETS)}, a grid of {LEAST_GRID} or more and two hidden layers or more"
        )
    generator = torch.Generator().manual_seed(seed)
    points = 2 * torch.rand(POINTS, 2, generator=generator) - 1
    labels = TARGETS[target](points)
    batches = list(zip(torch.split(points, BATCH), torch.split(labels, BATCH), strict=True))
    side = torch.linspace(-1, 1, grid)
    field = torch.stack(torch.meshgrid(side, side, indexing="xy"), -1).view(-1, 2)
    truth = TARGETS[target](field)
    train = Finetune(batches, _squared_error, epochs, lr=5e-3, seed=seed, progress=False)
    torch.manual_seed(seed)
    model = train(_perceptron(width, depth))
    inner = inner_layers(model, batches[0])
    maps: list[ErrorMap] = []
    values: dict[tuple[str, bool], Tensor] = {}
    for arm, bits in zip(
        ARMS, ((None, None), (weight_bits, None), (None, signal_bits), (weight_bits, signal_bits)), strict=True
    ):
        direct = compress(model, inner.quantize(batches, *bits)) if any(bits) else model
        again = compress(direct, Finetune(batches, _squared_error, epochs, lr=3e-3, seed=seed, progress=False))
        values |= {(arm, False): outputs(direct, field)[:, 0], (arm, True): outputs(again, field)[:, 0]}
    for (arm, retrained), found in values.items():
        error = (found - truth).view(grid, grid)
        change = (found - values["float", retrained]).view(grid, grid)
        smooth = smoothed(change)
        even, uneven = _rms(smooth), _rms(change - smooth)
        maps.append(ErrorMap(arm, retrained, _rms(error), roughness(error), even, uneven, _plain(found, grid)))
    return ErrorMaps(target, width, depth, weight_bits, signal_bits, _plain(truth, grid), tuple(maps))


def smoothed(error: Tensor) -> Tensor:
    """Means over 5 x 5 points of a map ``(rows, columns)``; at the borders over those that are there."""
    return functional.avg_pool2d(error[None, None], 5, 1, 2, count_include_pad=False)[0, 0]


def roughness(error: Tensor) -> float:
    """Share of the power of an error map that smoothing takes away: 0 for none."""
    power = float(error.square().mean())
    return float((error - smoothed(error)).square().mean()) / power if power else 0.0


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _squared_error(model: nn.Module, batch: Any, progress: float) -> Tensor:
    labels: Tensor = labels_of(batch)
    return (outputs_of(model, batch)[:, 0] - labels).square().mean()


def _perceptron(width: int, depth: int) -> nn.Module:
    sizes = [2, *[width] * depth]
    hidden = [part for inputs, units in pairwise(sizes) for part in (nn.Linear(inputs, units), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(width, 1))


def _plain(values: Tensor, grid: int) -> Map:
    return tuple(tuple(row) for row in values.view(grid, grid).tolist())
