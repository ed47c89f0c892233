"""A traced network that was run on examples: constants, ranges, and which axis of each tensor is time."""

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree

from fewbit.batches import Call
from fewbit.errors import LoweringError
from fewbit.lower.examples import Examples
from fewbit.quant import Quantizer
from fewbit.tracing import LAYER, MOVES, QUANTIZER, SAME, SHAPE_ONLY, Traced, known_handles, trace_network

aten = torch.ops.aten
Axes = tuple[int, ...]


class Observed:
    """A traced network, the results of its nodes for the examples, and the axes that follow the length of the input.

    Args:
        model: in evaluation mode.
        examples: what it is run on.
        traced: the network, traced with the first call of the examples.
        time: the axis of the inputs along which their length may differ, or ``None``.
        axes: what `axes_in_time` found for it.
    """

    def __init__(
        self, model: nn.Module, examples: Examples, traced: Traced, time: int | None, axes: dict[fx.Node, Axes]
    ) -> None:
        self.model_name = type(model).__name__
        self.time = time
        self.examples = examples
        self.is_made_up = examples.made_up
        self.traced = traced
        self.nodes: list[fx.Node] = list(traced.graph.nodes)
        self.axes = axes
        self.live: set[fx.Node] = set()
        for node in self.nodes:
            reads = () if node.target in SHAPE_ONLY else node.all_input_nodes
            if node in self.traced.inputs or any(arg in self.live for arg in reads):
                self.live.add(node)
        self.needed = self._find_needed()
        self.largest: dict[fx.Node, float] = {}
        self.constants: dict[fx.Node, Any] = {}
        self._run()

    def _find_needed(self) -> set[fx.Node]:
        """Nodes between the input and the results."""
        found: set[fx.Node] = set()
        waiting = [node for node in self.traced.outputs if isinstance(node, fx.Node)]
        while waiting:
            node = waiting.pop()
            if node in self.live and node not in found:
                found.add(node)
                waiting += node.all_input_nodes
        return found

    def _run(self) -> None:
        observed = self

        class Run(fx.Interpreter):
            def run_node(self, n: fx.Node) -> Any:
                if n.op == "call_function" and n in observed.constants:
                    return observed.constants[n]
                out = super().run_node(n)
                if n not in observed.live:
                    observed.constants[n] = out
                elif isinstance(out, Tensor) and out.is_floating_point() and out.numel():
                    observed.largest[n] = max(observed.largest.get(n, 0.0), _largest(out))
                return out

        with known_handles(self.traced), torch.no_grad():
            for call in self.examples.calls:
                given = iter(leaf for leaf in _pytree.tree_leaves(call) if isinstance(leaf, Tensor))
                args = [
                    self.traced.constants[node.name] if node.name in self.traced.constants else next(given)
                    for node in self.nodes
                    if node.op == "placeholder"
                ]
                Run(self.traced.module).run(*args, enable_io_processing=False)

    # -- what a node is

    def is_live(self, node: Any) -> bool:
        """Whether something depends on the input."""
        return isinstance(node, fx.Node) and node in self.live

    def constant(self, value: Any) -> Any:
        """The value of a node that does not depend on the input, or of a plain argument."""
        return self.constants[value] if isinstance(value, fx.Node) else value

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Shape of a node's tensor."""
        return tuple(node.meta["val"].shape)

    def time_of(self, node: fx.Node) -> int | None:
        """The axis of a node's tensor that is time.

        Raises:
            LoweringError: there are several.
        """
        axes = self.axes[node]
        if len(axes) > 1:
            raise LoweringError("it has time in two axes, as scores of attention have; only softmax may follow them")
        return axes[0] if axes else None

    def quantizer(self, node: fx.Node) -> Quantizer | None:
        """The quantizer that a node is, if it is one."""
        if node.target is not QUANTIZER:
            return None
        module = self.traced.opaque(node)
        assert isinstance(module, Quantizer)
        return module

    def layer(self, node: fx.Node) -> nn.Module | None:
        """The layer that a node is, if it is one."""
        return self.traced.opaque(node) if node.target is LAYER else None

    def layer_shape(self, node: fx.Node) -> tuple[int, ...]:
        """Shape of the first result of a layer."""
        return tuple(node.meta["val"][0].shape)

    def path(self, node: fx.Node) -> str:
        """Path of the module that a node stands in."""
        stack = node.meta.get("nn_module_stack") or {}
        paths = [str(entry[0]) for entry in stack.values()]
        return paths[-1].removeprefix("L['self']").lstrip(".") if paths else ""

    def place(self, node: fx.Node) -> str:
        """Where a node is, in words: its module, and in the user's own modules the operator and the source line."""
        opaque = self.layer(node) or self.quantizer(node)
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        owner = str(stack[-1][1]) if stack else ""
        path = self.path(node) or self.model_name
        if opaque is not None:
            return f"{path} ({type(opaque).__name__.removeprefix('Parametrized')})"
        if owner.startswith("torch.nn.") or "Parametrized" in owner:
            return f"{path} ({owner.rpartition('.')[2].removeprefix('Parametrized')})"
        trace = (node.meta.get("stack_trace") or "").strip().splitlines()
        line = f", {trace[-1].strip()!r}" if trace else ""
        return f"{path} ({_operator_name(node)}{line})"

    def readers(self, node: fx.Node) -> Iterator[fx.Node]:
        """Nodes that compute with the numbers of a node; nodes that only move them are passed over."""
        for reader, _ in self.uses(node):
            yield reader

    def uses(self, node: fx.Node) -> Iterator[tuple[fx.Node, fx.Node]]:
        """The readers of a node, each with the node that it reads: this one, or one that moves its numbers."""
        for user in node.users:
            if user.op != "output" and user not in self.needed:
                continue
            if user.target in MOVES | SAME:
                if user.args and user.args[0] is node:
                    yield from self.uses(user)
            elif user.target is operator.getitem:
                yield from self.uses(user)
            else:
                yield user, node

    def has_one_reader(self, node: fx.Node) -> bool:
        """Whether only one node reads the numbers of a node; others may read its shape."""
        used = [user for user in node.users if user.op == "output" or user in self.needed]
        return len([user for user in used if not _asks_for_shape(user, node)]) == 1


def axes_in_time(model: nn.Module, examples: Examples, traced: Traced, time: int | None) -> dict[fx.Node, Axes]:
    """For each node, the axes of its tensor whose size follows the length of the input in the axis `time`.

    Raises:
        LoweringError: the network cannot be traced at another length, or its graph differs there.
    """
    nodes = list(traced.graph.nodes)
    shorter = [] if time is None else examples.cuts(time)
    if not shorter:
        return dict.fromkeys(nodes, ())
    others = _first_traced(model, shorter)
    if [node.op == "placeholder" or str(node.target) for node in others] != [
        node.op == "placeholder" or str(node.target) for node in nodes
    ]:
        raise LoweringError(
            f"{type(model).__name__} has another graph for other lengths of its input, so there is no single Program; "
            "give time=None to pack it for inputs of the length of the example"
        )
    found = {}
    for node, other in zip(nodes, others, strict=True):
        if _numbers(node) != _numbers(other) and not _may_follow_length(node):
            raise LoweringError(
                f"{type(model).__name__}: an argument of {_operator_name(node)} follows the length of the input, "
                "so there is no single Program; give time=None to pack it for inputs of the length of the example"
            )
        a, b = node.meta.get("val"), other.meta.get("val")
        sizes = zip(a.shape, b.shape, strict=True) if isinstance(a, Tensor) and isinstance(b, Tensor) else ()
        found[node] = tuple(axis for axis, (x, y) in enumerate(sizes) if x != y)
    return found


def _numbers(node: fx.Node) -> list[Any]:
    """The arguments of a node that are no nodes."""
    leaves = _pytree.tree_leaves((node.args, node.kwargs))
    return [leaf for leaf in leaves if isinstance(leaf, int | float)]


def _may_follow_length(node: fx.Node) -> bool:
    """Whether the sizes or places that an operator takes follow the length of the input as its tensors do."""
    if node.target in (aten.pad.default, aten.constant_pad_nd.default):
        return False
    makes = ("arange", "zeros", "ones", "full", "empty", "eye", "new_")
    return node.target in MOVES | SAME | SHAPE_ONLY or _operator_name(node).startswith(makes)


def _first_traced(model: nn.Module, calls: list[Call]) -> list[fx.Node]:
    """The graph for the first of some calls that the network takes."""
    errors = []
    for call in calls:
        try:
            return list(trace_network(model, call).graph.nodes)
        except LoweringError as error:
            errors.append(error)
    raise errors[0]


def _largest(tensor: Tensor) -> float:
    """Largest magnitude of the finite numbers."""
    found = float(tensor.abs().max())
    if np.isfinite(found):
        return found
    finite = tensor[torch.isfinite(tensor)]
    return float(finite.abs().max()) if finite.numel() else 0.0


def _asks_for_shape(user: fx.Node, node: fx.Node) -> bool:
    return user.target in (aten.view_as.default, aten.expand_as.default) and user.args[0] is not node


def _operator_name(node: fx.Node) -> str:
    return str(node.target).removeprefix("aten.").split(".")[0]
