"""The walk through the graph of a network that finds which numbers of which parameters belong to which atom.

Every tensor that depends on the input is carried as a `Value`: the atom of each of its numbers, and what that number is
once its atom is pruned. Data movement needs no rules: an operator that moves numbers is run on both. Parameters are
followed in the same way, by the place of each of their numbers, so that a weight may be sliced, transposed, masked or
quantized before it is used.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree

from fewbit.batches import Call
from fewbit.prune.atoms import FIXED, NOBODY, Atoms, Labels
from fewbit.tracing import LAYER, MOVES, QUANTIZER, SAME, SHAPE_ONLY, Traced, args_of, known_handles, trace_network

aten = torch.ops.aten
MASKS = (aten.mul.Tensor, aten.where.self, aten.where.ScalarOther, aten.masked_fill.Scalar)
"""Operators that may put a mask on a weight."""
PADS: dict[Any, int] = {aten.constant_pad_nd.default: 1, aten.pad.default: 2}
"""Operators that put numbers beside others, and how many of their arguments say where."""


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the input: ``atoms`` of its numbers, and ``pruned``, their values without their atom.

    Both are float64, whatever the network is in.
    """

    atoms: Labels
    pruned: Tensor


@dataclass(frozen=True)
class Fold:
    """A product that reads numbers which are not 0 when they are pruned: a constant of its bias from then on.

    module: path of the layer. weight: its numbers ``(outputs, inputs)``, summed over places. bias: path, or ``None``.
    atoms, pruned: of the inputs.
    """

    module: str
    weight: Tensor
    bias: str | None
    atoms: Labels
    pruned: Tensor


def zeros(shape: Sequence[int]) -> Tensor:
    """Values of numbers that are 0 when they are pruned."""
    return torch.zeros(tuple(shape), dtype=torch.float64)


def numbers_of(constant: Any) -> Tensor:
    """A constant tensor or number as values."""
    return torch.as_tensor(constant).detach().double().cpu()


Rule = Callable[["Walk", fx.Node], None]
RULES: dict[Any, Rule] = {}


def rule(*targets: Any) -> Callable[[Rule], Rule]:
    """Enter a rule into the table for some operators."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(targets, function))
        return function

    return enter


class Walk:
    """What was found in the graph of a network.

    atoms: all of them. made: for each parameter or buffer by its path, the atom that each of its numbers makes: it is 0
    where that atom is pruned. read: likewise, the atom whose numbers a number of a weight multiplies. folds: products
    that read constants. results: places of the results that are no states of layers.
    heads: atoms that are heads of attention, and the path of the module in which they meet.
    crossed: weights whose rows and columns both make, or both read, as those of an embedding used again at the end.
    """

    def __init__(self, model: nn.Module, call: Call) -> None:
        self.model = model
        self.traced: Traced = trace_network(model, call)
        self.atoms = Atoms()
        self.tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        first: dict[Tensor, str] = {tensor: path for path, tensor in self.tensors.items()}
        again = *model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)
        self._tied = {path: first[tensor] for path, tensor in again}  # a weight, or the quantizer of a tied one
        self.made: dict[str, Tensor] = {}
        self.read: dict[str, Tensor] = {}
        self.folds: list[Fold] = []
        self.results: list[int] = []
        self.heads: dict[int, str] = {}
        self.crossed: set[str] = set()
        self._first: dict[str, int] = {}
        self._order: list[str] = []
        count = 0
        for path, tensor in self.tensors.items():
            self._first[path] = count
            self._order.append(path)
            self.made[path] = torch.zeros(tensor.numel(), dtype=torch.float64)
            self.read[path] = torch.zeros(tensor.numel(), dtype=torch.float64)
            count += tensor.numel()
        self.values: dict[fx.Node, Any] = {}
        self.places: dict[fx.Node, Any] = {}
        self._constants: dict[fx.Node, Any] = {}
        self._names = {module: name for name, module in model.named_modules()}
        with known_handles(self.traced), torch.no_grad():
            for node in self.traced.graph.nodes:
                self._visit(node)
        self._fix_results()

    # -- the walk

    def _visit(self, node: fx.Node) -> None:
        if node in self.traced.inputs:
            shape = node.meta["val"].shape
            self.values[node] = Value(torch.full(shape, float(FIXED), dtype=torch.float64), zeros(shape))
        elif node.op == "placeholder":
            path = self.traced.paths.get(node.name)
            self.places[node] = None if path is None else self.places_of(self._tied.get(path, path))
        elif node.op == "call_function":
            reads = () if node.target in SHAPE_ONLY else node.all_input_nodes
            if any(each in self.values for each in reads):
                self._live(node)
            else:
                self.places[node] = self._moved_places(node)

    def _live(self, node: fx.Node) -> None:
        target = node.target
        if target is operator.getitem:
            self.values[node] = self.values[args_of(node)[0]][args_of(node)[1]]
        elif target in SAME:
            self.values[node] = self.value(args_of(node)[0])
        elif target in MOVES and target is not aten.neg.default:
            self._move(node)
        elif target in RULES:
            RULES[target](self, node)
        else:
            name = str(target).removeprefix("aten.").split(".")[0]
            self.refuse(node, f"{self.place(node)} mixes the numbers of channels ({name})")

    def _move(self, node: fx.Node) -> None:
        """Run an operator that moves numbers on atoms and on pruned values."""
        value, target = self.value(args_of(node)[0]), node.target
        assert callable(target)
        # Of another tensor of the input only the shape is asked for (view_as).
        rest = [self.value(each).atoms if self.is_live(each) else self.constant(each) for each in args_of(node)[1:]]
        count = PADS.get(target, len(rest))
        # What is put beside the numbers belongs to nobody, whatever it is.
        atoms = target(value.atoms.contiguous(), *rest[:count])
        pruned = target(value.pruned.contiguous(), *rest)
        if isinstance(atoms, Tensor):
            self.values[node] = Value(atoms, pruned)
        else:
            self.values[node] = [Value(*pair) for pair in zip(atoms, pruned, strict=True)]

    def _moved_places(self, node: fx.Node) -> Any:
        """Where the numbers of a tensor that does not depend on the input lie in parameters; of several, one each."""
        args = args_of(node)
        if node.target in SAME or node.target is QUANTIZER:
            return self.places.get(args[0]) if isinstance(args[0], fx.Node) else None
        if node.target in MOVES and node.target is not aten.neg.default:
            places = self.places.get(args[0])
            if not isinstance(places, Tensor):
                return None
            assert callable(node.target)
            return node.target(places.contiguous(), *[self.constant(each) for each in args[1:]])
        if node.target is operator.getitem:
            parts = self.places.get(args[0])
            return parts[args[1]] if isinstance(parts, tuple | list) else None
        if node.target in MASKS and isinstance(node.meta.get("val"), Tensor):
            shape = node.meta["val"].shape  # a mask on a weight
            known = [self.places.get(each) for each in node.all_input_nodes]
            whole = [places for places in known if isinstance(places, Tensor) and places.shape == shape]
            masters = [places for places in whole if self.is_master(places)]
            return masters[0] if len(masters) == 1 else None
        return None

    def _fix_results(self) -> None:
        for place, node in enumerate(self.traced.outputs):
            if not isinstance(node, fx.Node) or node not in self.values:
                continue
            source = args_of(node)[0] if args_of(node) else None
            is_state = node.target is operator.getitem and isinstance(source, fx.Node) and source.target is LAYER
            if is_state and args_of(node)[1] > 0:
                continue  # streams keep it, and its size is that of the layer
            self.results.append(place)
            value = self.values[node]
            for each in value if isinstance(value, list) else [value]:
                self.atoms.fix_all(each.atoms, "it is a result of the network")

    # -- what rules ask

    def is_live(self, argument: Any) -> bool:
        """Whether an argument depends on the input."""
        return isinstance(argument, fx.Node) and argument in self.values

    def value(self, argument: Any) -> Value:
        """A tensor as atoms; numbers of parameters are atoms of their own, constants belong to nobody."""
        if self.is_live(argument):
            found: Value = self.values[argument]
            return found
        tensor = self.constant(argument)
        numbers = numbers_of(tensor)
        places = self.places.get(argument) if isinstance(argument, fx.Node) else None
        if places is None or not self.is_master(places):
            return Value(torch.full(numbers.shape, float(NOBODY), dtype=torch.float64), numbers)
        atoms = self.atoms.fresh(places.numel()).view(places.shape)
        self.mark(self.made, places, atoms)
        return Value(atoms, torch.zeros_like(numbers))

    def constant(self, argument: Any) -> Any:
        """The value of an argument that does not depend on the input."""
        if not isinstance(argument, fx.Node):
            return argument
        if argument not in self._constants:
            if argument.op == "placeholder":
                self._constants[argument] = self.traced.constants[argument.name]
            else:
                assert callable(argument.target)
                args, named = _pytree.tree_map_only(fx.Node, self.constant, (argument.args, argument.kwargs))
                self._constants[argument] = argument.target(*args, **named)
        return self._constants[argument]

    def places_of(self, path: str) -> Labels:
        """The place of each number of a parameter or buffer among all of them, in its shape."""
        tensor = self.tensors[path]
        first = self._first[path]
        return torch.arange(first, first + tensor.numel(), dtype=torch.float64).view(tensor.shape)

    def path_at(self, place: float) -> str:
        """The parameter or buffer that has a place."""
        found: str = next(path for path in reversed(self._order) if self._first[path] <= place)
        return found

    def mark(self, table: dict[str, Tensor], places: Labels, atoms: Labels) -> None:
        """Enter the atoms of numbers at some places; what had an atom before is joined with it."""
        atoms, places = atoms.expand(places.shape).reshape(-1), places.reshape(-1)
        for path in self._paths(places):
            first, size = self._first[path], self.tensors[path].numel()
            here = (places >= first) & (places < first + size)
            index, new = (places[here] - first).long(), atoms[here]
            old = table[path][index]
            pairs = len(torch.unique(torch.stack([old, new]), dim=1)[0])
            if (old != NOBODY).all() and pairs > max(len(torch.unique(old)), len(torch.unique(new))):
                self.crossed.add(path)
            self.atoms.join_all(old, new)
            table[path][index] = new
            self.atoms.join_all(table[path][index], new)  # one place may have been named twice

    def module_path(self, node: fx.Node) -> str:
        """Path of the layer that a node is, or stands in."""
        if node.target in (LAYER, QUANTIZER):
            named: str = self._names[self.traced.opaque(node)]
            return named
        stack = node.meta.get("nn_module_stack") or {}
        paths = [str(entry[0]) for entry in stack.values()]
        return paths[-1].removeprefix("L['self']").lstrip(".") if paths else ""

    def place(self, node: fx.Node) -> str:
        """Where a node is, in words."""
        path = self.module_path(node)
        kind = type(self.model.get_submodule(path)).__name__.removeprefix("Parametrized")
        name = str(node.target).removeprefix("aten.").split(".")[0]
        return f"{path} ({kind})" if path else f"the network ({name})"

    def parameter(self, module: str, name: str) -> str | None:
        """Path of a parameter of a layer by its own name, behind masks and quantizers; ``None`` if there is none."""
        for path in (f"{module}.{name}", f"{module}.parametrizations.{name}.original"):
            if path.lstrip(".") in self.tensors:
                return path.lstrip(".")
        return None

    def refuse(self, node: fx.Node, reason: str) -> None:
        """Fix all that a node reads, and give it a result that cannot be pruned."""
        for each in node.all_input_nodes:
            value = self.values.get(each)
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Value):
                    self.atoms.fix_all(part.atoms, reason)
        tied = float(self.atoms.fresh(1))
        self.atoms.fix(int(tied), f"it is tied to what {self.place(node)} gives")
        self.values[node] = _pytree.tree_map(partial(_given, tied), node.meta.get("val"))

    def is_master(self, places: Labels) -> bool:
        """Whether all numbers are those of parameters, which can be 0."""
        if not places.numel():
            return False
        return all(isinstance(self.tensors[path], nn.Parameter) for path in self._paths(places.reshape(-1)))

    def _paths(self, places: Labels) -> list[str]:
        if not places.numel():  # of attention that has no heads left
            return []
        low, high = (float(end) for end in places.aminmax())
        return [
            path
            for path in self._order
            if self._first[path] <= high and self._first[path] + self.tensors[path].numel() > low
        ]


def _given(atom: float, found: Any) -> Any:
    if not isinstance(found, Tensor):
        return found
    return Value(torch.full(found.shape, atom, dtype=torch.float64), zeros(found.shape))
