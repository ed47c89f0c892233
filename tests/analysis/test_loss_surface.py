"""The plane through three networks, in float and on the grid, and the rise of the loss under noise."""

from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.analysis import loss_surface, sharpness
from fewbit.errors import ArgumentError
from fewbit.models import CharLM, mlp
from fewbit.passes import SQWA, Quantize, compress
from fewbit.plot import plot_loss_surface, plot_sharpness
from fewbit.quant import Uniform, quantizer_of
from fewbit.train import CrossEntropy, refresh_norms
from tests.plot.drawn import drawn, legend, words

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, :3].sum(1) > 0).long() + (X[:, 3] > 0).long()
BATCHES = [(X[:32], Y[:32]), (X[32:], Y[32:])]


@torch.no_grad()
def loss(model: nn.Module) -> float:
    return float(functional.cross_entropy(model(X), Y))


def networks(count: int = 3) -> list[nn.Module]:
    found: list[nn.Module] = []
    for seed in range(count):
        torch.manual_seed(seed)
        found.append(mlp(6, 5, 1, 3))
    return found


def snapshots(cycles: int = 3) -> list[nn.Module]:
    """Ternary networks along one retraining, on one grid."""
    found: list[nn.Module] = []
    keep = lambda _, model: found.append(deepcopy(model))  # noqa: E731
    sqwa = SQWA(BATCHES, CrossEntropy(), 2, 0, cycles, lr=3e-2, on_capture=keep, progress=False)
    compress(networks(1)[0], Quantize("ternary"), sqwa)
    return found


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_three_networks_have_the_losses_that_were_evaluated() -> None:
    models = snapshots()
    before = [state(model) for model in models]
    found = loss_surface(models, loss, grid=5)
    for model, old in zip(models, before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in model.state_dict().items())
        assert model.training
    for model, point in zip(models, found.points, strict=False):
        assert point.loss == pytest.approx(loss(model.eval()), abs=1e-6)
        assert point.quantized_loss == pytest.approx(point.loss, abs=1e-6)  # codes are on the grid already
    assert [point.name for point in found.points] == ["a1", "a2", "a3", "mean"]
    codes = [quantizer_of(model[1]).codes(model[1].parametrizations.weight.original).values for model in models]  # type: ignore[index, union-attr]
    first = int((codes[0] != codes[1]).sum())
    assert found.points[0].changed == 0
    assert found.codes == 6 * 5 + 5 * 3
    assert first <= found.points[1].changed <= found.codes


def test_the_plane_is_the_one_of_the_weights() -> None:
    models = networks()
    flat = [torch.cat([model[i].weight.flatten() for i in (1, 3)]).double() for model in models]  # type: ignore[index, union-attr]
    found = loss_surface(models, loss, weights="int4", grid=5, margin=0.5)
    places = [np.array([point.x, point.y]) for point in found.points]
    for i in range(3):
        for j in range(3):
            distance = float((flat[i] - flat[j]).detach().norm())
            assert np.linalg.norm(places[i] - places[j]) == pytest.approx(distance, rel=1e-6)
    assert places[3] == pytest.approx(sum(places[:3]) / 3)
    corners = np.array(places[:3])
    low, high = corners.min(0), corners.max(0)
    assert (found.x[0], found.y[0]) == pytest.approx(tuple(low - 0.5 * (high - low)))
    assert (found.x[-1], found.y[-1]) == pytest.approx(tuple(high + 0.5 * (high - low)))


def test_every_point_of_the_grid_is_the_network_there() -> None:
    models = networks()
    found = loss_surface(models, loss, metric=lambda m: 2 * loss(m), weights="ternary", grid=4)
    ends = found.points[:3]
    matrix = np.array([[point.x, point.y, 1.0] for point in ends]).T
    for j, i in ((0, 0), (2, 1), (3, 3)):
        shares = np.linalg.solve(matrix, [found.x[i], found.y[j], 1.0])
        here = deepcopy(models[0])
        with torch.no_grad():
            for parts in zip(here.parameters(), *(model.parameters() for model in models), strict=True):
                parts[0].copy_(sum(float(share) * part for share, part in zip(shares, parts[1:], strict=True)))
        assert found.loss[j][i] == pytest.approx(loss(here), abs=1e-4)
        for name in ("1", "3"):  # the grid is that of the first network
            layer, first = here.get_submodule(name), models[0].get_submodule(name)
            quantizer = Uniform(compress(nn.Linear(1, 1), Quantize("ternary")).parametrizations.weight[0].format)  # type: ignore[union-attr, index]
            layer.weight.data = quantizer.fit(first.weight.detach())(layer.weight.detach())  # type: ignore[arg-type, operator, union-attr]
        assert found.quantized_loss[j][i] == pytest.approx(loss(here), abs=1e-4)
    assert found.metric is not None
    assert np.allclose(found.metric, 2 * np.array(found.loss))
    assert found.quantized_metric is not None


def test_an_average_with_more_levels_stands_on_the_common_grid_when_quantized() -> None:
    first, second, _ = snapshots()
    sqwa = SQWA(BATCHES, CrossEntropy(), 2, 0, 3, lr=3e-2, average=True, progress=False)
    mean = compress(networks(1)[0], Quantize("ternary"), sqwa)
    found = loss_surface([first, second, mean], loss, names=("first", "second", "average"), grid=3)
    point = found.points[2]
    assert point.loss == pytest.approx(loss(mean.eval()), abs=1e-6)
    assert point.quantized_loss != pytest.approx(point.loss, abs=1e-4)
    assert found.spec == "ternary"


def test_batch_norm_gets_its_statistics_at_every_point() -> None:
    models = []
    for seed in range(3):
        torch.manual_seed(seed)
        models.append(nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)))
    with pytest.raises(ArgumentError, match="have batch norm; give refresh=batches"):
        loss_surface(models, loss, weights="ternary", grid=2)
    found = loss_surface(models, loss, weights="ternary", grid=2, refresh=iter(BATCHES))
    for model, point in zip(models, found.points, strict=False):
        assert torch.equal(model[1].running_mean, torch.zeros(5))  # type: ignore[arg-type]
        assert point.loss == pytest.approx(loss(refresh_norms(model, BATCHES).eval()), abs=1e-6)


def test_a_recurrent_network_with_a_tied_weight_has_a_surface() -> None:
    text = torch.randint(5, (4, 12), generator=torch.Generator().manual_seed(0))
    models = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = CharLM(5, 6, 1)
        model.head.weight = model.embedding.weight
        models.append(compress(model, Quantize("int3")))
    bits = lambda m: float(functional.cross_entropy(m(text[:, :-1])[0].detach().transpose(1, 2), text[:, 1:]))  # noqa: E731
    with pytest.raises(ArgumentError, match=r"embedding\.weight has one step in a1 and another in a2; wanted a common"):
        loss_surface(models, bits)
    found = loss_surface(models, bits, weights="int3", grid=3)
    for model, point in zip(models, found.points, strict=False):
        assert point.loss == pytest.approx(bits(model), abs=1e-6)
    assert found.codes == 5 * 6 + 4 * 6 * (6 + 6)  # the shared weight once


def test_what_spans_no_plane_is_refused() -> None:
    first, second, third = networks()
    with pytest.raises(ArgumentError, match="2 networks, 3 names, grid=21"):
        loss_surface([first, second], loss)
    with pytest.raises(ArgumentError, match="no weight quantizers; give weights='ternary'"):
        loss_surface([first, second, third], loss)
    with pytest.raises(ArgumentError, match="a1, a2, a3 are not of one architecture"):
        loss_surface([first, second, mlp(6, 4, 1, 3)], loss, weights="ternary")
    middle = deepcopy(first)
    with torch.no_grad():
        for part, other in zip(middle.parameters(), second.parameters(), strict=True):
            part.lerp_(other, 0.5)
    for line in (middle, first):
        with pytest.raises(ArgumentError, match="a1, a2, a3 lie on one line"):
            loss_surface([first, second, line], loss, weights="ternary")


def test_flatness_is_the_mean_rise_over_a_disc() -> None:
    found = loss_surface(networks(), loss, weights="ternary", grid=7)
    x, y = np.meshgrid(found.x, found.y)
    inside = np.hypot(x - found.points[1].x, y - found.points[1].y) <= 1.0
    assert found.flatness(1.0)["a2"] == pytest.approx(
        np.array(found.quantized_loss)[inside].mean() - found.points[1].quantized_loss
    )
    assert found.flatness(1.0, quantized=False)["a2"] == pytest.approx(
        np.array(found.loss)[inside].mean() - found.points[1].loss
    )
    assert set(found.flatness()) == {"a1", "a2", "a3", "mean"}
    with pytest.raises(ArgumentError, match="flatness: no point of the grid lies within 1e-09"):
        found.flatness(1e-9)
    points, grid = found.tables()
    assert len(points.rows) == 4
    assert len(grid.rows) == 49


def quadratic(model: nn.Module) -> float:
    return float(sum((weight * weight).sum() for weight in (model[1].weight, model[3].weight)))  # type: ignore[index, union-attr]


def test_sharpness_of_a_bowl_is_its_curvature() -> None:
    model = networks(1)[0]
    before = state(model)
    found = sharpness(model, quadratic, scales=(0.2, 0.1), directions=3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    weights = [model[1].weight.detach(), model[3].weight.detach()]
    power = sum(float((w - w.mean()).square().sum()) for w in weights)  # type: ignore[index, arg-type, operator, union-attr]
    for scale in found.scales:  # the odd part cancels, the even part is n'n
        assert found.rises(scale) == pytest.approx([scale**2 * power] * 3, rel=1e-3)
    assert found.curvature == pytest.approx([2 * power] * 3, rel=1e-2)
    assert found.alphas == (-0.2, -0.1, 0.0, 0.1, 0.2)
    assert all(profile[2] == found.loss for profile in found.profiles)


def test_noise_is_the_same_for_networks_of_one_kind_and_another_for_another_seed() -> None:
    model = networks(1)[0]
    assert sharpness(model, loss) == sharpness(deepcopy(model), loss)
    assert sharpness(model, loss).profiles != sharpness(model, loss, seed=1).profiles


def test_noise_goes_on_the_codes_of_a_quantized_network() -> None:
    model = compress(networks(1)[0], Quantize("ternary"))
    found = sharpness(model, loss, directions=2)
    assert found.loss == pytest.approx(loss(model.eval()), abs=1e-6)
    means = [sum(found.rises(scale)) for scale in found.scales]
    assert all(a != b for a, b in pairwise(means))


@pytest.mark.parametrize("wrong", [{"scales": ()}, {"scales": (0.0, 0.1)}, {"scales": (0.1, 0.1)}, {"directions": 0}])
def test_sharpness_without_noise_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match=r"wanted different scales above 0 and at least one direction"):
        sharpness(networks(1)[0], loss, **wrong)  # type: ignore[arg-type]


def test_a_network_without_weights_has_no_sharpness() -> None:
    with pytest.raises(ArgumentError, match="ReLU has no weights to put noise on"):
        sharpness(nn.ReLU(), loss)


def test_pictures_are_written(tmp_path: Path) -> None:
    found = loss_surface(networks(), loss, weights="ternary", grid=5)
    figure = drawn(lambda: plot_loss_surface(found, tmp_path / "surface.png", "toy"))
    assert {"toy", "float weights", "every point quantized to ternary", "a1", "a2", "a3"} <= words(figure)
    for axes, losses in zip(figure.axes, (found.loss, found.quantized_loss), strict=False):
        (cells,) = axes.collections
        assert np.allclose(cells.get_array(), losses)
        assert len(legend(axes)) == len(found.points)
    nets = {name: sharpness(model, loss) for name, model in zip("ab", networks(2), strict=True)}
    left, right = drawn(lambda: plot_sharpness(nets, tmp_path / "sharpness.png")).axes
    assert legend(left) == ["a", "b"]
    assert len(right.lines) == sum(1 + len(report.profiles) for report in nets.values())
