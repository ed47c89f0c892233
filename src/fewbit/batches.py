"""Batches and results of any kind: what a model is called with, what it is taught, and what it gives.

A batch is a tensor, a tuple of inputs with labels behind them, or a dictionary whose labels are called ``labels``. A
result is a tensor, a tuple that begins with one, or a dictionary such as the `ModelOutput` of `transformers`.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from fewbit.errors import DataError

LABELS = "labels"
"""The key of the labels in a dictionary; they are no input, even where `forward` would take them."""
PADDING = "attention_mask"
"""The key of the mask of padding in a dictionary, ``(rows, places)``: 0 where a row is padded."""
Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Positional and named arguments."""


def call_of(model: nn.Module, batch: Any) -> Call:
    """The arguments that `model` takes of a batch.

    A dictionary gives named arguments, those that `forward` knows. A tuple or list gives as many positional arguments
    as `forward` demands, at least one: what follows are targets. Anything else is the one input.

    Raises:
        DataError: the batch holds nothing that the model takes.

    Examples:
        >>> from torch import nn, zeros
        >>> args, named = call_of(nn.Linear(2, 1), (zeros(3, 2), zeros(3)))
        >>> len(args), named
        (1, {})
    """
    parameters = inspect.signature(model.forward).parameters.values()
    if isinstance(batch, Mapping):
        anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        names = {parameter.name for parameter in parameters}
        named = {key: value for key, value in batch.items() if key != LABELS and (anything or key in names)}
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


def labels_of(batch: Any) -> Any:
    """The labels of a batch: the second item of a pair or a named tuple, else the last one.

    Raises:
        DataError: the batch has none.

    Examples:
        >>> labels_of(("first input", "second input", "labels")), labels_of({"x": 1, "labels": 2})
        ('labels', 2)
    """
    if isinstance(batch, Mapping):
        if LABELS not in batch:
            raise DataError(f"the batch has {list(batch)}; wanted {LABELS!r} among them")
        return batch[LABELS]
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise DataError(f"the batch is {type(batch).__name__} without labels; wanted (inputs, labels)")
    return batch[1] if hasattr(batch, "_fields") else batch[-1]


def output_of(result: Any) -> Tensor:
    """The scores in what a model returned, without states and other extras.

    Raises:
        DataError: there is no tensor in it.

    Examples:
        >>> from torch import zeros
        >>> output_of({"logits": zeros(2, 3), "hidden_states": ()}).shape, output_of((zeros(2, 3), None)).shape
        (torch.Size([2, 3]), torch.Size([2, 3]))
    """
    found = result
    if isinstance(result, Mapping):
        found = result["logits"] if "logits" in result else next(iter(result.values()), None)
    elif isinstance(result, tuple | list):
        found = result[0] if result else None
    if not isinstance(found, Tensor):
        raise DataError(
            f"the model gave {type(result).__name__}; wanted a tensor, a tuple that begins with one, or logits"
        )
    return found


def first_tensor(batch: Any) -> Tensor:
    """The first input tensor of a batch: its device is the batch's, its emptiness too.

    Raises:
        DataError: there is none.
    """
    items = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else [batch]
    for item in items:
        if isinstance(item, Tensor):
            return item
    raise DataError(f"the batch is {type(batch).__name__} without a tensor")
