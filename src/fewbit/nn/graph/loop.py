"""A loop of a graph, frame by frame; inputs from outside the loop have been summed for all frames before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, addmm

from fewbit.nn.graph.arithmetic import Signals, combine, cutter, finishers, multiply
from fewbit.nn.graph.parts import Node
from fewbit.nn.graph.schedule import Component, UnitRange, unit_range_of, whole
from fewbit.nn.graph.weight_gradient import carry_weight


@dataclass(slots=True)
class _Term:
    """An internal edge.

    Args:
        values: what it reads, past frames first: frame ``t`` reads ``values[t + offset]``.
        size: units of the target, if the edge widens.
        weight: of a full edge, (source, target); it asks for no gradient.
        multiplied: where the frames that the weight has met are kept for its gradient.
        sums: in a product, what the matrix product is added to in each frame; it carries the weight's gradient.
    """

    values: list[Tensor]
    offset: int
    size: int | None
    weight: Tensor | None = None
    multiplied: list[Tensor] | None = None
    sums: tuple[Tensor, ...] | None = None

    def add_to(self, node: Node, total: Tensor | None, frame: int) -> Tensor:
        """One more summand or factor of `node`."""
        value = self.values[frame + self.offset]
        if self.weight is None:
            return combine(node, total, value if self.size is None else value.expand(-1, self.size))
        if self.sums is None:
            return multiply(node, total, value, self.weight)
        return combine(node, total, addmm(self.sums[frame], value, self.weight))


@dataclass(slots=True)
class _Place:
    """A node of the loop: its values so far, and what makes the next one.

    Args:
        past: frames before the chunk at the head of `values`.
        values: of all its units, frame by frame.
        parts: the same of ranges that are read, which `cut` makes.
        finish: from what came in to the value.
        started: what came in from outside, for each frame.
        terms: its edges from the loop.
    """

    node: Node
    past: int
    values: list[Tensor]
    parts: list[list[Tensor]]
    cut: Callable[[Tensor], tuple[Tensor, ...]] | None
    finish: tuple[Callable[[Tensor], Tensor], ...]
    started: tuple[Tensor, ...] | None = None
    terms: list[_Term] = field(default_factory=list)

    def append(self, value: Tensor) -> None:
        """Take the value of one more frame."""
        self.values.append(value)
        if self.cut is not None:
            for part, cut in zip(self.parts, self.cut(value), strict=True):
                part.append(cut)

    def compute(self, frame: int) -> None:
        """Compute the value of a frame; all that it reads in the same frame is there."""
        total = None if self.started is None else self.started[frame]
        for term in self.terms:
            total = term.add_to(self.node, total, frame)
        assert total is not None
        for function in self.finish:
            total = function(total)
        self.append(total)


def run_loop(
    component: Component,
    hoisted: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    signals: Signals,
    past: Mapping[str, Tensor],
    zeros: Tensor,
) -> dict[str, list[Tensor]]:
    """The values of all nodes of a loop: lists of ``(batch, size)``, one for each frame.

    Args:
        component: the loop.
        hoisted: for each node that reads from outside the sum or product of that, (frames, batch, size).
        parameters, signals: those of the layer.
        past: for each node that is read with a delay its last rows before the chunk.
        zeros: (frames, batch, 1), of the kind of the values.
    """
    frames, batch, _ = zeros.shape
    places: dict[str, _Place] = {}
    lists: dict[UnitRange, list[Tensor]] = {}
    for step in component.steps:
        lists |= {units: [] for units in (whole(step.node), *step.parts)}
        parts = [lists[units] for units in step.parts]
        place = _Place(
            step.node,
            step.depth,
            lists[whole(step.node)],
            parts,
            cutter(step.node.size, step.parts) if step.parts else None,
            finishers(step.node, signals),
        )
        for value in torch.split(past[step.node.name][-step.depth * batch :], batch) if step.depth else ():
            place.append(value)
        places[step.node.name] = place
    for step in component.steps:
        place, begun = places[step.node.name], hoisted.get(step.node.name)
        for edge in step.internal:
            size = step.node.size if edge.kind == "broadcast" else None
            term = _Term(lists[unit_range_of(edge)], places[edge.source].past - edge.delay, size)
            if edge.kind == "full":
                begun = _multiply_later(term, parameters[edge.name], step.node, begun, zeros)
            place.terms.append(term)
        place.started = None if begun is None else begun.unbind(0)
    in_order = list(places.values())
    for frame in range(frames):
        for place in in_order:
            place.compute(frame)
    for place in in_order:
        for term in place.terms:
            if term.multiplied is not None:
                term.multiplied += [value.detach() for value in term.values[term.offset : term.offset + frames]]
    return {name: place.values[place.past :] for name, place in places.items()}


def _multiply_later(term: _Term, weight: Tensor, node: Node, begun: Tensor | None, zeros: Tensor) -> Tensor | None:
    """Give `term` its matrix, and back what the sums of the node begin with; these carry the matrix's gradient."""
    term.weight = weight.detach().t()
    if not (weight.requires_grad and torch.is_grad_enabled()):
        return begun
    nothing = zeros.expand(-1, -1, node.size)
    if node.aggregation == "sum":
        begun, term.multiplied = carry_weight(nothing if begun is None else begun, weight)
        return begun
    sums, term.multiplied = carry_weight(nothing, weight)
    term.sums = sums.unbind(0)
    return begun
