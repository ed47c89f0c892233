"""Compression is a list of passes, and a pass is ``model -> model``.

`compress` copies the model first, so the caller's stays as it is and can be the teacher of its own student.
"""

from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

from torch import nn

from fewbit.errors import ArgumentError, FewbitError
from fewbit.quant import forget_flat_weights


class Pass(Protocol):
    """One step of a compression; it may change the model in place and returns it.

    Examples:
        >>> def freeze(model: nn.Module) -> nn.Module:
        ...     return model.requires_grad_(False)
        >>> compress(nn.Linear(2, 1), freeze).weight.requires_grad
        False
    """

    def __call__(self, model: nn.Module) -> nn.Module:
        """Run the step."""
        ...


def compress(model: nn.Module, *passes: Pass, copy: bool = True) -> nn.Module:
    """Run `passes` in order on a copy of `model`, or on the model itself with ``copy=False``.

    Raises:
        ArgumentError: the model cannot be copied.

    Examples:
        >>> import torch
        >>> from fewbit.passes import Quantize
        >>> student = compress(torch.nn.Linear(8, 4), Quantize(weights="ternary"))
        >>> len(student.weight.unique()) <= 3
        True
    """
    if copy:
        try:
            model = deepcopy(forget_flat_weights(model))
        except RuntimeError as error:
            raise ArgumentError(
                f"{type(model).__name__} cannot be copied: it holds a tensor that was computed, as the old "
                "torch.nn.utils.weight_norm leaves it; take that off (torch.nn.utils.remove_weight_norm), or use "
                "torch.nn.utils.parametrizations.weight_norm"
            ) from error
    for i, step in enumerate(passes, 1):
        try:
            model = step(model)
        except FewbitError as error:
            error.add_note(f"in pass {i} of {len(passes)}: {type(step).__name__}")
            raise
    return model


def describe(*passes: Pass) -> list[dict[str, Any]]:
    """The passes as plain values for the record: numbers and texts unchanged, other values by the name of their type.

    Examples:
        >>> from fewbit.passes import Quantize
        >>> describe(Quantize(weights="int4:row"))[0]["weights"]
        'int4:row'
    """
    return [{"kind": type(step).__name__} | {name: _plain(value) for name, value in _settings(step)} for step in passes]


def _settings(step: Pass) -> list[tuple[str, Any]]:
    return [(field.name, getattr(step, field.name)) for field in fields(step)] if is_dataclass(step) else []


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return [[str(key), _plain(item)] for key, item in value.items()]  # sorted JSON keeps the order of a list
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return type(value).__name__
