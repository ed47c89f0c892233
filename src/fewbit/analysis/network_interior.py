"""Which weights and signals of a network lie inside it: all but those of the first and the last layer.

The first layer reads the input and the last one writes the scores; few bits there would hide the effect of few bits
everywhere else.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fewbit.batches import call_of, output_of
from fewbit.errors import ArgumentError
from fewbit.inference import inference_mode
from fewbit.passes import Quantize
from fewbit.quant import weight_names


@dataclass(frozen=True)
class InnerLayers:
    """Inner weights by name, and the modules that read an inner signal, in the order of their calls.

    signed: for each of `signals`, whether negative numbers were seen in it (after ReLU there are none).

    Examples:
        >>> inner = InnerLayers(weights=("2.weight",), signals=("2", "4"), signed=(False, False))
        >>> inner.signal_spec("2", bits=3)
        'uint3'
    """

    weights: tuple[str, ...]
    signals: tuple[str, ...]
    signed: tuple[bool, ...]

    def quantize(self, batches: Iterable[Any], weight_bits: int | None, signal_bits: int | None) -> Quantize:
        """The pass that quantizes them; ``None`` leaves weights or signals float.

        Args:
            batches: to calibrate signals with.
            weight_bits: 2 means ternary.
            signal_bits: unsigned codes where nothing negative was seen, else signed ones.
        """
        weights = None if weight_bits is None else dict.fromkeys(self.weights, weight_spec(weight_bits))
        if signal_bits is None:
            return Quantize(weights)
        signals = {name: self.signal_spec(name, signal_bits) for name in self.signals}
        return Quantize(weights, signals, calibration=batches)

    def signal_spec(self, name: str, bits: int) -> str:
        """The spec of an inner signal of `bits` bits."""
        return f"{'int' if self.signed[self.signals.index(name)] else 'uint'}{bits}"


def weight_spec(bits: int) -> str:
    """The spec of weights of `bits` bits."""
    return "ternary" if bits == 2 else f"int{bits}"


def inner_layers(model: nn.Module, batch: Any) -> InnerLayers:
    """Find the inner layers by running a batch.

    Raises:
        ArgumentError: there are no weights between the first and the last layer.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> found = inner_layers(model, torch.rand(3, 4))
        >>> found.weights, found.signals, found.signed
        (('2.weight',), ('2', '4'), (False, False))
    """
    homes = _homes(model)
    seen: dict[str, bool | None] = {}
    handles = []
    for name, module in model.named_modules():
        if name in homes or getattr(module, "wide", True) is False:
            handles.append(module.register_forward_pre_hook(_watch(name, seen)))
    try:
        outputs(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    layers = [name for name in seen if name in homes]
    outer = {full for name in layers[:1] + layers[-1:] for full in homes[name]}
    inner = [full for name in layers for full in homes[name] if full not in outer]
    if not inner:
        raise ArgumentError(
            f"{type(model).__name__}: {len(layers)} layers with weights were called, so none lies between the first "
            "and the last; wanted three or more"
        )
    signals = {name: signed for name, signed in seen.items() if name != layers[0] and signed is not None}
    return InnerLayers(tuple(dict.fromkeys(inner)), tuple(signals), tuple(signals.values()))


def _homes(model: nn.Module) -> dict[str, list[str]]:
    """Modules with weights, and those of each; a shared weight has one name and is in every module that holds it."""
    held = {
        re.sub(r"parametrizations\.(\w+)\.original$", r"\1", name): id(parameter)
        for name, parameter in model.named_parameters(remove_duplicate=False)
    }
    names = {held[full]: full for full in weight_names(model)}
    homes: dict[str, list[str]] = {}
    for name, key in held.items():
        if key in names:
            homes.setdefault(name.rpartition(".")[0], []).append(names[key])
    return homes


def outputs(model: nn.Module, batch: Any) -> Tensor:
    """What a network in eval mode gives for a batch, without gradient and without state."""
    with inference_mode(model):
        args, named = call_of(model, batch)
        return output_of(model(*args, **named))


def _watch(name: str, seen: dict[str, bool | None]) -> Any:
    def watch(module: nn.Module, inputs: Sequence[Tensor]) -> None:
        signal = inputs[0]
        negative = bool((signal < 0).any()) if signal.is_floating_point() else None  # indices are no signal
        seen[name] = negative or seen.get(name, negative)

    return watch
