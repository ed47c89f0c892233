"""The graph of a torch network, by `torch.export`, with quantizers and recurrent layers as single nodes.

A quantizer branches on its numbers, which a symbolic trace cannot follow, and a recurrent layer is a loop. Both become
calls of a custom operator that carries a handle, so that the graph shows where they stand and the rest is traced.
"""

import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from traceback import walk_tb
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.rnn import PackedSequence
from torch.utils import _pytree

from fewbit import nn as layers
from fewbit.batches import Call
from fewbit.errors import FewbitError, LoweringError
from fewbit.quant import Quantizer
from fewbit.tracing.caches import without_caches

OPAQUE = (
    nn.LSTM,
    nn.GRU,
    layers.SRU,
    layers.QRNN,
    layers.LSTM,
    layers.GRU,
    layers.GraphRNN,
    layers.HLSTM,
    layers.CausalConv1d,
    layers.OneHot,
    layers.AllAttention,
)
"""Layers that stay one node."""


@dataclass
class _Opaque:
    """A quantizer or layer by its handle, what it was called with last, and what it gave.

    arguments: all leaves, `_TENSOR` in place of tensors, and their tree. results: shapes and their tree.
    """

    module: nn.Module
    arguments: tuple[list[Any], Any] = field(default_factory=lambda: ([], None))
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    results: Any = None


_TENSOR = object()
_known: list[_Opaque] = []
"""What the handles in graphs mean while a network is traced."""


@torch.library.custom_op("fewbit::quantizer", mutates_args=())
def _quantizer(x: Tensor, handle: int) -> Tensor:
    module = _known[handle].module
    found: Tensor = type(module).forward(module, x)
    return found.clone()


@_quantizer.register_fake
def _(x: Tensor, handle: int) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("fewbit::layer", mutates_args=())
def _layer(x: list[Tensor], handle: int) -> list[Tensor]:
    opaque = _known[handle]
    leaves, tree = opaque.arguments
    tensors = iter(x)
    args, named = _pytree.tree_unflatten([next(tensors) if leaf is _TENSOR else leaf for leaf in leaves], tree)
    out = type(opaque.module).forward(opaque.module, *args, **named)
    return [part.clone() for part in _pytree.tree_leaves(out)]


@_layer.register_fake
def _(x: list[Tensor], handle: int) -> list[Tensor]:
    return [x[0].new_empty(shape) for shape in _known[handle].shapes]


QUANTIZER, LAYER = torch.ops.fewbit.quantizer.default, torch.ops.fewbit.layer.default


@dataclass(frozen=True)
class Traced:
    """A network as a graph of nodes.

    inputs: placeholders of what the caller gives, in order; constants: tensors of all other placeholders by name;
    paths: their paths in the network, where they are parameters or buffers of it;
    modules: quantizers and layers by their handles; outputs: nodes of the results.

    Examples:
        >>> traced = trace_network(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), ((torch.zeros(1, 3),), {}))
        >>> len(traced.inputs), sorted(traced.paths.values())
        (1, ['0.bias', '0.weight'])
    """

    graph: fx.Graph
    module: fx.GraphModule
    inputs: list[fx.Node]
    constants: dict[str, Tensor]
    paths: dict[str, str]
    modules: list[nn.Module]
    opaque_calls: list[Any]
    outputs: list[Any]

    def opaque(self, node: fx.Node) -> nn.Module:
        """The quantizer or layer of a node."""
        handle: Any = node.args[1]
        module: nn.Module = self.modules[handle]
        return module


def trace_network(model: nn.Module, call: Call) -> Traced:
    """The graph of `model` for arguments of these shapes.

    Raises:
        LoweringError: the network cannot be traced; the message quotes torch.

    Examples:
        >>> traced = trace_network(nn.ReLU(), ((torch.zeros(1, 3),), {}))
        >>> [str(node.target) for node in traced.graph.nodes if node.op == "call_function"]
        ['aten.relu.default']
    """
    args, named = call
    try:
        with without_caches(model), _opaque_modules(model, call), torch.no_grad():
            exported = torch.export.export(model, args, named, strict=False)
            calls = list(_known)
    except _NotTaken as error:
        cause = error.__cause__
        assert cause is not None
        raise LoweringError(
            f"{_place_of(cause, model)}: it does not take the example: {_first_lines(cause)}; give batches as the "
            "network is called: a tensor, a tuple of its inputs, or a dictionary of named ones"
        ) from cause
    except FewbitError as error:
        raise LoweringError(f"{_place_of(error, model)}: {error}") from error
    except Exception as error:  # torch raises errors of many kinds, of its own and of what it calls
        raise LoweringError(
            f"{_place_of(error, model)}: it cannot be traced: control flow on numbers of the input has no graph; "
            f"write it as tensor operations, or as a layer of fewbit.nn or torch.nn ({_first_lines(error)})"
        ) from error
    signature = exported.graph_signature
    stored = {**exported.state_dict, **exported.constants}
    names = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    placeholders = [node for node in exported.graph.nodes if node.op == "placeholder"]
    output = next(node for node in exported.graph.nodes if node.op == "output")
    mutated = len(signature.buffers_to_mutate)
    return Traced(
        exported.graph,
        exported.graph_module,
        [node for node in placeholders if node.name not in names],
        {node.name: stored[names[node.name]] for node in placeholders if node.name in names},
        {**signature.inputs_to_parameters, **signature.inputs_to_buffers},
        [opaque.module for opaque in calls],
        calls,
        list(output.args[0][mutated:]),
    )


@contextmanager
def known_handles(traced: Traced) -> Iterator[None]:
    """Inside the block the handles of a graph mean its modules, and layers are called as they were.

    Examples:
        >>> from fewbit.nn import SRU
        >>> traced = trace_network(SRU(3, 3), ((torch.zeros(1, 5, 3),), {}))
        >>> with known_handles(traced):
        ...     y = fx.Interpreter(traced.module).run(*traced.constants.values(), torch.zeros(1, 5, 3))[0]
        >>> y.shape
        torch.Size([1, 5, 3])
    """
    _known[:] = traced.opaque_calls
    try:
        yield
    finally:
        _known.clear()


class _NotTaken(Exception):
    """The call of the network with the example failed, before tracing; see the cause."""


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])[:300]}"


def _place_of(error: BaseException, model: nn.Module) -> str:
    """Where an error arose: the path of the innermost module, and in the user's own modules the source line."""
    names = {module: name for name, module in model.named_modules()}
    found: Any = model
    line = ""
    for frame, number in walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        is_part = isinstance(owner, nn.Module) and owner in names and owner is not found
        if is_part and not isinstance(owner, Quantizer | ParametrizationList):
            found, line = owner, ""
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in ("torch", "fewbit"):
            line = linecache.getline(frame.f_code.co_filename, number).strip()
    kind = type(found).__name__.removeprefix("Parametrized")
    said = [part for part in (kind if names[found] else "", repr(line) if line else "") if part]
    return f"{names[found] or kind} ({', '.join(said)})" if said else kind


@contextmanager
def _opaque_modules(model: nn.Module, call: Call) -> Iterator[None]:
    """Quantizers and opaque layers of `model` as custom operators; shapes of their results from one plain run."""
    _known.clear()
    changed: list[nn.Module] = []
    inside: set[nn.Module] = set()
    try:
        for module in model.modules():
            if module in inside or not isinstance(module, (Quantizer, *OPAQUE)):
                continue
            handle = len(_known)
            _known.append(_Opaque(module))
            if isinstance(module, Quantizer):
                module.forward = _quantizer_call(handle)  # type: ignore[method-assign,assignment]
            else:
                inside |= set(module.modules()) - {module} - set(_input_quantizers(module))
                module.forward = _layer_call(handle)  # type: ignore[method-assign]
            changed.append(module)
        args, named = call
        try:
            with torch.no_grad():
                model(*args, **named)
        except FewbitError:
            raise
        except Exception as error:
            raise _NotTaken from error
        yield
    finally:
        for module in changed:
            del module.forward
        _known.clear()


def _input_quantizers(layer: nn.Module) -> list[nn.Module]:
    """Quantizers that run before `layer`, not in it."""
    return [module for name, module in layer._modules.items() if isinstance(module, Quantizer)]


def _quantizer_call(handle: int) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.ops.fewbit.quantizer(x, handle)


def _layer_call(handle: int) -> Callable[..., Any]:
    def forward(*args: Any, **named: Any) -> Any:
        opaque = _known[handle]
        if any(isinstance(each, PackedSequence) for each in args):
            raise LoweringError(
                "a packed sequence has no integer form; call it with the tensor itself, because a Program takes "
                "one example at a time, without padding"
            )
        leaves, tree = _pytree.tree_flatten((args, named))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        opaque.arguments = [_TENSOR if isinstance(leaf, Tensor) else leaf for leaf in leaves], tree
        if torch.compiler.is_exporting():
            return _pytree.tree_unflatten(list(torch.ops.fewbit.layer(tensors, handle)), opaque.results)
        out = type(opaque.module).forward(opaque.module, *args, **named)
        parts, opaque.results = _pytree.tree_flatten(out)
        opaque.shapes = [tuple(part.shape) for part in parts]
        return out

    return forward
