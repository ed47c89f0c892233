"""The execution of a plan on one chunk.

The values of a node are rows, frame after frame and within a frame stream after stream: ``(frames * batch, size)``.
A node treats a whole chunk like one frame of a loop, with more rows.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from fewbit.nn.graph.arithmetic import Signals, combine, cutter, finishers, multiply
from fewbit.nn.graph.loop import run_loop
from fewbit.nn.graph.parts import Edge, Node
from fewbit.nn.graph.schedule import Component, Plan, Step, UnitRange, multiplies, unit_range_of, whole


class Execution:
    """The state of computing a chunk of at least one frame.

    Args:
        plan: what to compute.
        parameters: weights, biases and scales, each read once.
        signals: what happens to the values of a node where hardware would store them.
        rows: (frames * batch, features), the chunk.
        past: for each node that is read with a delay its last rows before the chunk.
        batch: streams.
    """

    def __init__(
        self,
        plan: Plan,
        parameters: Mapping[str, Tensor],
        signals: Signals,
        rows: Tensor,
        past: Mapping[str, Tensor],
        batch: int,
    ) -> None:
        self.plan, self.parameters, self.signals = plan, parameters, signals
        self.input, self.past, self.batch = rows, past, batch
        self.rows: dict[UnitRange, Tensor] = {}
        """The needed values of finished components, in the ranges in which they are read."""
        self.kept: dict[str, Tensor] = {}
        """The last rows of each node that is read with a delay, for the next chunk."""

    def run(self, component: Component) -> None:
        """Compute the values of a component whose sources are all computed."""
        if component.loop:
            self._run_loop(component)
            return
        (step,) = component.steps
        match step.node.aggregation:
            case "input":
                rows = self.input
            case "constant":
                rows = self.input.new_ones(len(self.input), 1)
            case _:
                rows = self._hoist(step)
                for function in finishers(step.node, self.signals):
                    rows = function(rows)
        self._publish(step, rows)
        self._keep(step.node, rows)

    def output(self) -> Tensor:
        """The values of the output node: (frames * batch, size)."""
        return self.rows[whole(self.plan.graph[self.plan.graph.output])]

    def _run_loop(self, component: Component) -> None:
        frames = len(self.input) // self.batch
        hoisted = {
            step.node.name: self._hoist(step).view(frames, self.batch, -1) for step in component.steps if step.hoisted
        }
        zeros = self.input.new_zeros(1).expand(frames, self.batch, 1)
        values = run_loop(component, hoisted, self.parameters, self.signals, self.past, zeros)
        for step in component.steps:
            frames_of = values[step.node.name]
            if step.seen:
                self._publish(step, torch.cat(frames_of))
            if depth := self.plan.past.get(step.node.name, 0):
                self._keep(step.node, torch.cat(frames_of[-depth:]))

    def _publish(self, step: Step, rows: Tensor) -> None:
        self.rows[whole(step.node)] = rows
        self.rows |= zip(step.outer, cutter(step.node.size, step.outer)(rows), strict=True)

    def _keep(self, node: Node, rows: Tensor) -> None:
        if depth := self.plan.past.get(node.name, 0):
            wanted = depth * self.batch
            joined = torch.cat([self.past[node.name], rows]) if len(rows) < wanted else rows
            # A copy: a view would hold the whole chunk, and change if the caller fills its buffer anew.
            self.kept[node.name] = joined[-wanted:].clone()

    def _hoist(self, step: Step) -> Tensor:
        """The sum or product of what comes over edges from finished nodes: (frames * batch, size)."""
        node, total = step.node, None
        for edge in step.hoisted:
            if multiplies(edge):
                total = multiply(node, total, self._read(edge), self.parameters[edge.name].t())
            else:
                total = combine(node, total, self.parameters[edge.name] if edge.name else self._read(edge))
        assert total is not None
        return total.expand(len(self.input), node.size)

    def _read(self, edge: Edge) -> Tensor:
        """The source of an edge in all frames, as late as the edge wants it."""
        rows = self.rows[unit_range_of(edge)]
        if not edge.delay:
            return rows
        late = edge.delay * self.batch
        past = self.past[edge.source][-late:, edge.start : edge.stop]
        return torch.cat([past, rows])[: len(rows)]
