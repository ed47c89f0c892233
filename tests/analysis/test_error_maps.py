"""Errors of a function of two inputs: the measures on known maps, what a map holds, and the two kinds of error."""

import math
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from fewbit.analysis import ErrorMaps, map_errors
from fewbit.analysis.error_maps import roughness, smoothed, spirals, waves
from fewbit.errors import ArgumentError

ARMS = ("float", "weights", "signals", "both")


def noise(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def squares(side: int) -> Tensor:
    """A checkerboard of +1 and -1."""
    step = torch.arange(side)
    return 1.0 - 2 * ((step[:, None] + step) % 2)


@cache
def tiny(**settings: Any) -> ErrorMaps:
    """A network that is hardly trained: for what does not depend on that."""
    return map_errors(6, 2, **({"epochs": 1, "grid": 16} | settings))


def test_smoothing_is_the_mean_of_the_neighbours_that_are_there() -> None:
    error = noise(9, 7)
    wanted = torch.empty(9, 7)
    for i in range(9):
        for j in range(7):
            wanted[i, j] = error[max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3].mean()
    assert torch.allclose(smoothed(error), wanted, atol=1e-6)


def test_roughness_tells_noise_from_distortion() -> None:
    side = torch.linspace(-1, 1, 64)
    plane = 0.3 + side[:, None] - 2 * side
    assert roughness(squares(64)) > 0.9
    assert roughness(noise(64, 64)) == pytest.approx(24 / 25, rel=0.03)  # what 25 points do not average away
    assert roughness(plane) < 0.001
    assert roughness(torch.full((64, 64), 3.0)) < 1e-9
    assert roughness(torch.zeros(64, 64)) == 0
    assert roughness(7 * squares(64)) == pytest.approx(roughness(squares(64)))
    shares = [roughness(plane + size * noise(64, 64)) for size in (0.0, 0.1, 1.0, 10.0)]
    assert shares == sorted(shares)
    assert shares[3] > 0.9


def test_targets_are_the_functions_they_say() -> None:
    x = noise(50, 2).clamp(-1, 1)
    a, b = x[:, 0].tolist(), x[:, 1].tolist()
    wanted = [math.sin(3 * p) * math.cos(2 * q) + 0.5 * math.sin(4 * p * q) for p, q in zip(a, b, strict=True)]
    assert waves(x).tolist() == pytest.approx(wanted, abs=1e-6)
    along = torch.linspace(0.1, 1, 30)[:, None]
    arm = along * torch.cat([torch.cos(3 * torch.pi * along), torch.sin(3 * torch.pi * along)], 1)
    assert spirals(arm).tolist() == [0] * 30
    assert spirals(-arm).tolist() == [1] * 30
    assert torch.equal(spirals(-x), 1 - spirals(x))


@pytest.mark.parametrize("target", ["waves", "spirals"])
def test_a_map_holds_the_network_and_its_measures(target: str) -> None:
    found, grid = tiny(target=target), 16
    side = torch.linspace(-1, 1, grid)
    points = torch.stack([side.repeat(grid), side.repeat_interleave(grid)], 1)  # x1 along columns, x2 along rows
    truth = {"waves": waves, "spirals": spirals}[target](points).view(grid, grid)
    assert torch.equal(torch.tensor(found.target), truth)
    assert [(one.arm, one.retrained) for one in found.maps] == [(arm, again) for arm in ARMS for again in (False, True)]
    for one in found.maps:
        values, start = torch.tensor(one.values), torch.tensor(found.of("float", one.retrained).values)
        error, change = values - truth, values - start
        assert one.rms == pytest.approx(float(error.square().mean().sqrt()), rel=1e-5)
        assert one.roughness == pytest.approx(roughness(error), rel=1e-4)
        assert one.smooth == pytest.approx(float(smoothed(change).square().mean().sqrt()), rel=1e-4)
        assert one.rough == pytest.approx(float((change - smoothed(change)).square().mean().sqrt()), rel=1e-4)
        assert (one.smooth == 0) == (one.arm == "float")
    assert len({one.values for one in found.maps}) == 8  # the float network is trained again as well
    table = found.tables()[0]
    assert table.title == f"{target}, 2 layers of 6: weights 2 bits, signals 3 bits"
    last = found.of("both")
    assert table.rows[7] == ("both", "True", last.rms, last.roughness, last.smooth, last.rough)


def test_a_seed_gives_the_same_maps_and_another_seed_others() -> None:
    assert map_errors(6, 2, epochs=1, grid=16) == tiny()
    assert tiny(seed=1).maps != tiny().maps


def test_each_arm_has_its_own_bits_and_more_bits_change_less() -> None:
    def change(found: ErrorMaps, arm: str) -> float:
        return math.hypot(found.of(arm, False).smooth, found.of(arm, False).rough)

    few, weights, signals = tiny(), tiny(weight_bits=8), tiny(signal_bits=8)
    assert change(weights, "weights") < 0.1 * change(few, "weights")
    assert change(signals, "signals") < 0.1 * change(few, "signals")
    assert weights.of("signals") == few.of("signals")
    assert signals.of("weights") == few.of("weights")
    assert change(tiny(weight_bits=8, signal_bits=8), "both") < 0.1 * change(few, "both")


@pytest.mark.parametrize(
    ("width", "depth", "settings"),
    [(4, 2, {"target": "waves "}), (4, 2, {"grid": 15}), (4, 1, {}), (0, 2, {})],
)
def test_what_cannot_be_drawn_is_refused(width: int, depth: int, settings: dict[str, Any]) -> None:
    wanted = f"depth={depth}, width={width}; wanted one of waves, spirals, a grid of 16 or more and two hidden layers"
    with pytest.raises(ArgumentError, match=f"map_errors: target=.*, {wanted}"):
        map_errors(width, depth, **settings)


def test_few_bits_of_weights_distort_and_few_bits_of_signals_are_noise() -> None:
    found = map_errors(32, 2, epochs=6, grid=32)
    for arm, low, high in (("weights", 0.0, 0.2), ("signals", 0.25, 1.0)):
        assert low < found.of(arm).roughness < high
        assert found.of(arm).rms > found.of("float").rms
        assert found.of(arm).rms < found.of(arm, False).rms
    weights, signals = found.of("weights"), found.of("signals")
    assert weights.smooth > 2 * weights.rough
    assert signals.rough > signals.smooth
