"""The plane of weights through three networks, and a network that can be moved to any of its points.

P(x, y) = a1 + x u / |u| + y v / |v|,    u = a2 - a1,    v = (a3 - a1) - <a3 - a1, u> / <u, u> u,    Pq = Q_D(P)
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from fewbit.analysis.effective_weights import effective_copy, effective_weights
from fewbit.errors import ArgumentError
from fewbit.quant import Quantizer, Selection, attach, quantizers
from fewbit.train import refresh_norms

REFRESH_BATCHES = 20
CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
"""Shares (s, t) of the three networks in a1 + s (a2 - a1) + t (a3 - a1)."""


class WeightPlane:
    """The plane through three networks, and a network that can be moved to any of its points."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        names: Sequence[str],
        chosen: dict[str, Quantizer],
        refresh: Iterable[Any] | None,
    ) -> None:
        copies = [effective_copy(model) for model in models]
        self.model = effective_copy(models[0])
        self.weights = effective_weights(self.model)
        self.state = _numbers(self.model)
        self.corners = [_numbers(copy) for copy in copies]
        shapes = [{name: tuple(value.shape) for name, value in corner.items()} for corner in self.corners]
        if shapes[1:] != shapes[:1] * 2:
            raise ArgumentError(
                f"loss_surface: {', '.join(names)} are not of one architecture; wanted equal names and shapes"
            )
        self.quantizers = {name: quantizer for name, quantizer in chosen.items() if name in self.weights}
        self.codes = sum(self.weights[name].numel() for name in self.quantizers)
        self.first = {
            name: quantizer.codes(self.corners[0][name]).values for name, quantizer in self.quantizers.items()
        }
        norms = any(isinstance(module, _BatchNorm) and module.track_running_stats for module in self.model.modules())
        if norms and refresh is None:
            raise ArgumentError("loss_surface: the networks have batch norm; give refresh=batches for its statistics")
        self.batches = list(islice(refresh, REFRESH_BATCHES)) if norms and refresh is not None else []
        flat = [torch.cat([corner[name].double().flatten() for name in self.weights]) for corner in self.corners]
        u, w = flat[1] - flat[0], flat[2] - flat[0]
        self.width, along = float(u.norm()), float(w @ u / u.norm().clamp_min(1e-300))
        self.height = float((w - along * u / u.norm().clamp_min(1e-300)).norm())
        if self.width == 0 or self.height <= 1e-6 * max(self.width, float(w.norm())):
            raise ArgumentError(
                f"loss_surface: {', '.join(names)} lie on one line, so they span no plane; give three that differ"
            )
        self.along = along
        self.places = [self.place(share) for share in CORNERS]

    def place(self, share: tuple[float, float]) -> tuple[float, float]:
        """(x, y) of a1 + s (a2 - a1) + t (a3 - a1)."""
        s, t = share
        return s * self.width + t * self.along, t * self.height

    def share(self, x: float, y: float) -> tuple[float, float]:
        """The way back from `place`."""
        t = y / self.height
        return (x - t * self.along) / self.width, t

    def go(self, share: tuple[float, float], quantized: bool) -> int:
        """Put the network at a point, and tell how many codes differ from the first network's if it is quantized."""
        s, t = share
        changed = 0
        for name, tensor in self.state.items():
            a1, a2, a3 = (corner[name] for corner in self.corners)
            value = (1 - s - t) * a1 + s * a2 + t * a3  # exact at the three networks
            if quantized and name in self.quantizers:
                codes = self.quantizers[name].codes(value)
                changed += int((codes.values != self.first[name]).sum())
                value = codes.dequantize()
            tensor.copy_(value)
        refresh_norms(self.model, self.batches)
        return changed


def common_quantizers(models: Sequence[nn.Module], names: Sequence[str], weights: Selection) -> dict[str, Quantizer]:
    """The quantizer of each weight of the plane, by the name of the weight."""
    if weights is not None:
        return _weight_quantizers(attach(effective_copy(models[0]), weights))
    found = {name: _weight_quantizers(model) for name, model in zip(names, models, strict=True)}
    carriers = [name for name in names if found[name]]
    if not carriers:
        raise ArgumentError(
            "loss_surface: the networks have no weight quantizers; give weights='ternary' or another spec"
        )
    common = found[carriers[0]]
    for name in carriers[1:]:
        for weight, quantizer in found[name].items():
            mine = common.get(weight)
            if mine is None or mine.spec != quantizer.spec:
                continue  # an average with more levels lies on a grid of its own
            ones = torch.ones_like(_master(models[names.index(name)], weight))
            if not torch.allclose(mine.codes(ones).scale, quantizer.codes(ones).scale, rtol=1e-4):
                raise ArgumentError(
                    f"loss_surface: {weight} has one step in {carriers[0]} and another in {name}; wanted a common "
                    "one: freeze the steps before networks are taken, or give weights='...' to fit a common grid"
                )
    return common


def _numbers(copy: nn.Module) -> dict[str, Tensor]:
    """All floating parameters and buffers."""
    numbers = dict(copy.named_parameters()) | dict(copy.named_buffers())
    return {name: tensor.detach() for name, tensor in numbers.items() if tensor.is_floating_point()}


def _weight_quantizers(model: nn.Module) -> dict[str, Quantizer]:
    return {name: q for name, q in quantizers(model) if parametrize.is_parametrized(*_home(model, name))}


def _master(model: nn.Module, weight: str) -> Tensor:
    module, name = _home(model, weight)
    tensor = getattr(module, name)
    assert isinstance(tensor, Tensor)
    return tensor


def _home(model: nn.Module, weight: str) -> tuple[nn.Module, str]:
    path, _, name = weight.rpartition(".")
    return model.get_submodule(path), name
