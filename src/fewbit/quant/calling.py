"""How a model is called with a batch of any kind: a tensor, a tuple with or without targets, or a dictionary."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from fewbit.errors import DataError

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and named arguments."""


def call_of(model: nn.Module, batch: Any) -> Call:
    """The arguments that `model` takes of a batch.

    A dictionary gives named arguments, those that `forward` knows. A tuple or list gives as many positional arguments
    as `forward` demands, at least one: what follows are targets. Anything else is the one input.

    Raises:
        DataError: the batch holds nothing that the model takes.

    Example:
        >>> from torch import nn, zeros
        >>> args, named = call_of(nn.Linear(2, 1), (zeros(3, 2), zeros(3)))
        >>> len(args), named
        (1, {})
    """
    parameters = inspect.signature(model.forward).parameters.values()
    if isinstance(batch, Mapping):
        anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        names = {parameter.name for parameter in parameters}
        named = {key: value for key, value in batch.items() if anything or key in names}
        if not named:
            raise DataError(f"the batch has {list(batch)}, and {type(model).__name__}.forward takes {sorted(names)}")
        return (), named
    if not isinstance(batch, tuple | list):
        return (batch,), {}
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]
    if not batch:
        raise DataError("the batch is an empty tuple; wanted the model's input as its first item")
    return tuple(batch[: max(1, len(needed))]), {}
