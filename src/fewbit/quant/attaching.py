"""Attach quantizers to any network from outside, and remove them.

Weights are quantized by `torch.nn.utils.parametrize`: ``module.weight`` then reads as the quantized tensor, the float
master stays behind it and is what the optimizer sees. Signals are quantized by forward pre-hooks on the modules that
read them. Neither knows what kind of network it is on; modules keep their class.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.batches import call_of
from fewbit.errors import QuantizationError, SelectionError
from fewbit.inference import inference_mode
from fewbit.quant.activation import LOOK, Activation
from fewbit.quant.base import Quantizer, check_finite
from fewbit.quant.following import input_of
from fewbit.quant.parametrizations import largest_original, unparametrize
from fewbit.quant.spec import Spec, activation_quantizer, weight_quantizer

Selection = Spec | Mapping[str, Spec | None] | None
"""A spec for everything, or patterns of names of which the first that matches wins; ``None`` means float."""

INPUT = "input_quantizer"


def attach(
    model: nn.Module,
    weights: Selection = None,
    activations: Selection = None,
    keep: Sequence[str] = (),
    replace: bool = False,
) -> nn.Module:
    """Attach quantizers to `model` in place.

    A weight is a floating parameter of at least two dimensions whose name contains "weight"; weights that are one
    and the same tensor under two names get one quantizer. Patterns are matched against module names (``rnn0``) and
    full names (``rnn0.weight``). A plain activation spec goes to the input of every module whose weight is quantized
    and to every signal that is not wide; patterns go to the inputs of modules with weights and to all signals. With
    `replace` a new quantizer takes the place of an old one, in front of the same float master.

    Raises:
        SelectionError: a pattern matches nothing, or a plain activation spec finds no signal.
        QuantizationError: a weight is quantized already (without `replace`), or not finite.

    Examples:
        >>> from torch import nn
        >>> layer = attach(nn.Linear(8, 4), weights="ternary")
        >>> len(layer.weight.unique()) <= 3
        True
    """
    names = weight_names(model)
    if weights is not None and not names:
        raise SelectionError(f"{type(model).__name__} has no weights to quantize")
    keep = (keep,) if isinstance(keep, str) else keep
    for pattern in [*(weights if isinstance(weights, Mapping) else ()), *keep]:
        _demand_match(pattern, names, "weight")
    chosen: dict[str, Spec] = {}
    for name in names:
        spec = None if any(_matches(name, pattern) for pattern in keep) else _choose(name, weights)
        if spec is not None:
            chosen[name] = spec
    _attach_weights(model, chosen, replace)
    _attach_activations(model, activations, replace)
    return model


def detach(model: nn.Module) -> nn.Module:
    """Remove all quantizers from `model` in place; the float masters become its weights again.

    Examples:
        >>> from torch import nn
        >>> layer = detach(attach(nn.Linear(8, 4), weights="ternary"))
        >>> len(layer.weight.unique())  # the float masters again
        32
    """
    for module in list(model.modules()):
        for name in dict.fromkeys(name for name, _ in _weight_quantizers(module)):
            stack = module.get_submodule(f"parametrizations.{name}")
            assert isinstance(stack, parametrize.ParametrizationList)
            others = [step for step in stack if not isinstance(step, Quantizer)]
            if not others:
                unparametrize(module, name)
            else:  # masks and norms of others stay
                for place in reversed([i for i, step in enumerate(stack) if isinstance(step, Quantizer)]):
                    del stack[place]
        if INPUT in module._modules:
            _unhook(module)
    return model


def selection_of(model: nn.Module) -> dict[str, Any]:
    """The arguments of `attach` that put the quantizers of `model` on a network like it.

    Examples:
        >>> selection_of(attach(nn.Sequential(nn.Linear(8, 4)), weights="ternary"))
        {'weights': {'0.weight': 'ternary'}, 'activations': None}
    """
    found = {name: quantizer.spec for name, quantizer in quantizers(model)}
    ends = [name for name in found if name.rpartition(".")[2] == "input"]  # "input" alone: of the model itself
    signals = {name.removesuffix("input").removesuffix("."): found.pop(name) for name in ends}
    return {"weights": found or None, "activations": signals or None}


def calibrate(model: nn.Module, batches: Iterable[Any], limit: int = 8) -> nn.Module:
    """Choose the steps of all signal quantizers from the signals of the first `limit` batches.

    During calibration, weights are quantized and signals are not. A batch is a tensor, a tuple whose first items are
    the model's inputs, or a dictionary of named inputs (`fewbit.batches`).

    A quantizer on a module that is never called (its weight is read by its parent) is removed.

    Raises:
        QuantizationError: no quantizer saw a signal, or one saw empty signals only, or NaN.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> layer = attach(nn.Linear(8, 4), weights="ternary", activations="uint4")
        >>> calibrate(layer, [torch.rand(16, 8)])(torch.rand(2, 8)).shape
        torch.Size([2, 4])
    """
    watched = {name: module for name, module in model.named_modules() if INPUT in module._modules}
    seen: dict[str, list[Tensor]] = {name: [] for name in watched}
    quantizers: dict[str, Quantizer] = {}
    handles = []
    for name, module in watched.items():
        quantizers[name] = module._modules.pop(INPUT)
        handles.append(module.register_forward_pre_hook(_watcher(name, seen[name]), with_kwargs=True))
    try:
        with inference_mode(model):
            for batch in islice(batches, limit):
                args, named = call_of(model, batch)
                model(*args, **named)
    finally:
        for handle in handles:
            handle.remove()
        for name, module in watched.items():
            module._modules[INPUT] = quantizers[name]
    if watched and not any(seen.values()):
        raise QuantizationError(f"no signal reached {list(watched)} in calibration; give at least one batch")
    for name, quantizer in quantizers.items():
        if not seen[name]:
            _unhook(watched[name])
            continue
        signal = torch.cat([part.flatten() for part in seen[name]])
        if not signal.numel():
            raise QuantizationError(f"{name or 'model'}: all signals in calibration are empty; give batches with rows")
        try:
            quantizer.fit(signal)
        except QuantizationError as error:
            raise QuantizationError(f"{name}: {error}") from error
        saturates = getattr(watched[name], "saturates", None)
        if saturates is not None and isinstance(quantizer, Activation):
            quantizer.saturate(saturates)
    return model


def weight_names(model: nn.Module) -> list[str]:
    """Full names of all weights that can be quantized, one name for each tensor.

    Examples:
        >>> from torch import nn
        >>> weight_names(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.LSTM(4, 2)))
        ['0.weight', '2.weight_ih_l0', '2.weight_hh_l0']
    """
    names, known = [], set()
    for path, module in model.named_modules():
        for name, parameter in _weights(module):
            if id(parameter) not in known:
                names.append(_join(path, name))
            known.add(id(parameter))
    return names


def quantizers(model: nn.Module) -> Iterator[tuple[str, Quantizer]]:
    """All attached quantizers by the name of what they quantize.

    Examples:
        >>> from torch import nn
        >>> model = attach(nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2)), {"0": "ternary", "1": "int8"})
        >>> [(name, quantizer.spec) for name, quantizer in quantizers(model)]
        [('0.weight', 'ternary'), ('1.weight', 'int8')]
    """
    for path, module in model.named_modules():
        for name, quantizer in _weight_quantizers(module):
            yield _join(path, name), quantizer
        if INPUT in module._modules:
            yield _join(path, "input"), input_quantizer(module)  # type: ignore[misc]


def input_quantizer(module: nn.Module) -> Quantizer | None:
    """The quantizer on a module's input, or ``None``.

    Examples:
        >>> from torch import nn
        >>> layer = attach(nn.Linear(8, 4), weights="ternary", activations="int8")
        >>> input_quantizer(layer).spec, input_quantizer(nn.Linear(8, 4))
        ('int8', None)
    """
    found = module._modules.get(INPUT)
    return found if isinstance(found, Quantizer) else None


def quantizer_of(module: nn.Module, name: str = "weight") -> Quantizer | None:
    """The quantizer of a module's weight, or ``None``.

    Examples:
        >>> from torch import nn
        >>> quantizer_of(attach(nn.Linear(8, 4), weights="int4:row")).spec
        'int4:row'
    """
    return dict(_weight_quantizers(module)).get(name)


def _attach_weights(model: nn.Module, chosen: dict[str, Spec], replace: bool) -> None:
    specs: dict[int, Spec] = {}
    homes: list[tuple[str, nn.Module, str, Tensor]] = []
    for path, module in model.named_modules():
        for name, parameter in _weights(module):
            full = _join(path, name)
            homes.append((full, module, name, parameter))
            if full in chosen:
                specs[id(parameter)] = chosen[full]
    made: dict[int, Quantizer] = {}
    for full, module, name, parameter in homes:
        spec = specs.get(id(parameter))
        if spec is None:
            continue
        old = next((quantizer for _, quantizer in _weight_quantizers(module, name)), None)
        if old is not None and not replace:
            raise QuantizationError(f"{full} is quantized already; detach(model) first, or attach with replace=True")
        try:
            if id(parameter) not in made:
                quantizer = weight_quantizer(spec) if isinstance(spec, str) else deepcopy(spec)
                quantizer.attached_to(model)
                made[id(parameter)] = quantizer.fit(_input_of_next(module, name, old))
        except QuantizationError as error:
            raise QuantizationError(f"{full}: {error}") from error
        if old is None:
            parametrize.register_parametrization(module, name, made[id(parameter)])
        else:
            stack = module.get_submodule(f"parametrizations.{name}")
            assert isinstance(stack, parametrize.ParametrizationList)
            stack[list(stack).index(old)] = made[id(parameter)]


def _input_of_next(module: nn.Module, name: str, old: Quantizer | None) -> Tensor:
    """What a quantizer at the place of `old`, or behind everything that is there, sees of a weight."""
    if old is None:
        weight = getattr(module, name)
        assert isinstance(weight, Tensor)
        return weight.detach()
    stack = module.get_submodule(f"parametrizations.{name}")
    assert isinstance(stack, parametrize.ParametrizationList)
    return input_of(old, stack)


def _attach_activations(model: nn.Module, activations: Selection, replace: bool) -> None:
    if activations is None:
        return
    modules = {name: module for name, module in model.named_modules() if _has_signal(module)}
    plain = not isinstance(activations, Mapping)
    if isinstance(activations, Mapping):
        for pattern in activations:
            _demand_match(pattern, list(modules), "module")
    found = False
    for name, module in modules.items():
        quantized = any(True for _ in _weight_quantizers(module))
        if plain and not (quantized or getattr(module, "wide", True) is False):
            continue
        found = True
        spec = _choose(name, activations)
        if spec is None:
            continue
        there = INPUT in module._modules
        if there and not replace:
            raise QuantizationError(
                f"the input of {name} is quantized already; detach(model) first, or attach with replace=True"
            )
        module._modules[INPUT] = activation_quantizer(spec) if isinstance(spec, str) else deepcopy(spec)
        if there:
            continue
        module.register_forward_pre_hook(_quantize_input, with_kwargs=True)
    if plain and not found:
        raise SelectionError(
            f"activations={activations!r} finds no signal: no module has quantized weights; give weights as well, or "
            f"activations as patterns, such as {{'*': {activations!r}}}"
        )


def _has_signal(module: nn.Module) -> bool:
    """Whether a module has weights that a float input meets, or is itself a signal (only those have `wide`)."""
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):  # their input is indices
        return False
    return hasattr(module, "wide") or any(True for _ in _weights(module))


def _unhook(module: nn.Module) -> None:
    """Remove the quantizer of a module's input."""
    for key, hook in list(module._forward_pre_hooks.items()):
        if hook is _quantize_input:
            del module._forward_pre_hooks[key]
    del module._modules[INPUT]


Inputs = tuple[tuple[Any, ...], dict[str, Any]]


def _quantize_input(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Inputs:
    """Quantize the first input, and every other that is the same tensor: attention reads its keys from its query."""
    quantizer = module._modules.get(INPUT)
    first = _first_input(inputs, named)
    if quantizer is None or first is None:
        return inputs, named
    codes = quantizer(first)

    def replaced(value: Any) -> Any:
        return codes if value is first else value

    return tuple(replaced(value) for value in inputs), {key: replaced(value) for key, value in named.items()}


def _first_input(inputs: tuple[Any, ...], named: dict[str, Any]) -> Tensor | None:
    """What a module's quantizer reads: the first tensor that it is called with."""
    return next((value for value in (*inputs, *named.values()) if isinstance(value, Tensor)), None)


def _watcher(name: str, seen: list[Tensor]) -> Any:
    def watch(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        first = _first_input(inputs, named)
        if first is None:
            return
        check_finite(first, f"{name or 'model'}: signal in calibration", LOOK)
        seen.append(first.detach())

    return watch


def _weights(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Float tensors that a quantizer may stand before (the masters, where one stands already)."""
    if isinstance(module, parametrize.ParametrizationList | Quantizer):
        return
    if parametrize.is_parametrized(module):
        for name, stack in module.parametrizations.items():  # type: ignore[operator, union-attr]
            original = largest_original(stack)
            if _is_weight(name, original):
                yield name, original
    for name, parameter in module.named_parameters(recurse=False):
        if _is_weight(name, parameter):
            yield name, parameter


def _is_weight(name: str, parameter: Tensor) -> bool:
    return "weight" in name and parameter.dim() >= 2 and parameter.is_floating_point()


def _weight_quantizers(module: nn.Module, only: str | None = None) -> Iterator[tuple[str, Quantizer]]:
    if isinstance(module, nn.Module) and parametrize.is_parametrized(module):
        for name, stack in module.parametrizations.items():  # type: ignore[operator, union-attr]
            for step in stack:
                if isinstance(step, Quantizer) and only in (None, name):
                    yield name, step


def _choose(name: str, selection: Selection) -> Spec | None:
    if not isinstance(selection, Mapping):
        return selection
    return next((spec for pattern, spec in selection.items() if _matches(name, pattern)), None)


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a weight or its module, or a module (whose last part is then no weight)."""
    module, _, leaf = name.rpartition(".")
    return fnmatchcase(name, pattern) or ("weight" in leaf and fnmatchcase(module, pattern))


def _demand_match(pattern: str, names: list[str], kind: str) -> None:
    if not any(_matches(name, pattern) for name in names):
        raise SelectionError(f"no {kind} matches {pattern!r}; the model has {names}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
