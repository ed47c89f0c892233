"""Record, replace and cut signals inside of a network, for the length of a block.

Hooks do it, and they are gone at the end of the block, also after an error: the network is never changed. A signal is
the first tensor that a module is called with, or that it returns; a state beside it stays the network's own. At the
input it is seen and replaced before any quantizer of that input.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fewbit.batches import output_of
from fewbit.errors import ArgumentError

Name = TypeVar("Name", bound=Hashable)
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Place(NamedTuple):
    """Where a signal is: what a module reads, or what it gives.

    Examples:
        >>> Place(nn.Linear(3, 2)).end
        'output'
    """

    module: nn.Module
    end: Literal["input", "output"] = "output"


@contextmanager
def inner_signals(
    places: Mapping[Name, Place],
    replaced: Mapping[Name, Tensor] | None = None,
    cut: Iterable[nn.Module] = (),
) -> Iterator[dict[Name, Tensor]]:
    """Inside the block, what passes these places is kept by name, and other tensors go on in its stead.

    Args:
        places: by names of your choice.
        replaced: what goes on at some of these places. What is kept is the network's own signal.
        cut: modules through whose input no gradient goes back.

    Yields:
        The signals of the last call, filled in while the network runs. They hold the graph of their gradient; do not
        keep them longer than a step.

    Raises:
        ArgumentError: a name in `replaced` is no place, or, when the network runs, a tensor has another shape.

    Examples:
        >>> from torch import ones, zeros
        >>> network = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        >>> with inner_signals({"hidden": Place(network[0])}, {"hidden": ones(1, 3)}) as seen:
        ...     y = network(zeros(1, 3))
        >>> y, seen["hidden"].shape  # its own signal, which did not go on
        (tensor([[1., 1., 1.]]), torch.Size([1, 3]))
    """
    replaced = replaced or {}
    unknown = [name for name in replaced if name not in places]
    if unknown:
        raise ArgumentError(f"inner_signals: {unknown[0]!r} is no place; there are {list(places)}")
    seen: dict[Name, Tensor] = {}
    handles: list[RemovableHandle] = []
    try:
        handles += [module.register_forward_pre_hook(_cut, with_kwargs=True, prepend=True) for module in cut]
        handles += [_hooked(place, name, seen, replaced.get(name)) for name, place in places.items()]
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _hooked(place: Place, name: Name, seen: dict[Name, Tensor], given: Tensor | None) -> RemovableHandle:
    def at_input(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Arguments | None:
        seen[name] = _first(args, named)
        return None if given is None else _with_first(args, named, _fitting(name, given, seen[name]))

    def at_output(_: nn.Module, args: Any, output: Any) -> Any:
        seen[name] = output_of(output)
        return None if given is None else _with_output(output, seen[name], _fitting(name, given, seen[name]))

    if place.end == "input":
        return place.module.register_forward_pre_hook(at_input, with_kwargs=True, prepend=True)
    return place.module.register_forward_hook(at_output)


def _cut(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
    return _with_first(args, named, _first(args, named).detach())


def _first(args: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    found = next((value for value in (*args, *named.values()) if isinstance(value, Tensor)), None)
    if found is None:
        raise ArgumentError("inner_signals: a module was called without a tensor, so there is no signal at its input")
    return found


def _with_first(args: tuple[Any, ...], named: dict[str, Any], tensor: Tensor) -> Arguments:
    """The arguments with another tensor in place of the first one."""
    first = _first(args, named)
    return (
        tuple(tensor if value is first else value for value in args),
        {key: tensor if value is first else value for key, value in named.items()},
    )


def _with_output(output: Any, own: Tensor, tensor: Tensor) -> Any:
    """What a module returned, with another tensor in place of its signal."""
    if isinstance(output, Mapping):
        return type(output)({key: tensor if value is own else value for key, value in output.items()})  # type: ignore[call-arg]
    if isinstance(output, tuple | list):
        rest = [tensor, *output[1:]]
        return type(output)(*rest) if hasattr(output, "_fields") else type(output)(rest)
    return tensor


def _fitting(name: Hashable, given: Tensor, own: Tensor) -> Tensor:
    if given.shape != own.shape:
        raise ArgumentError(
            f"inner_signals: {name!r} is to be replaced by {tuple(given.shape)}; it has {tuple(own.shape)}"
        )
    return given
