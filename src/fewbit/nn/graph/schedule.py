"""The schedule of a graph as plain data, and as text."""

from dataclasses import dataclass
from functools import cached_property

from fewbit.nn.graph.drawing import Graph
from fewbit.nn.graph.parts import Edge, Node

UnitRange = tuple[str, int, int]
"""A range of the units of a node: its name, the first unit, the one behind the last."""


@dataclass(frozen=True)
class Step:
    """The work for one node.

    Args:
        node: the node.
        hoisted: the edges from outside of its loop, taken over all frames at once.
        internal: the edges from its loop, taken frame by frame.
        parts: the ranges of its units that are read within its loop, other than all of them.
        outer: the ranges that are read outside.
        depth: past frames that are read within its loop.
        seen: whether its values are needed outside of its loop.
    """

    node: Node
    hoisted: tuple[Edge, ...]
    internal: tuple[Edge, ...]
    parts: tuple[UnitRange, ...]
    outer: tuple[UnitRange, ...]
    depth: int
    seen: bool


@dataclass(frozen=True)
class Component:
    """Nodes that reach one another, or one node alone; the steps are in their order within a frame."""

    steps: tuple[Step, ...]

    @cached_property
    def loop(self) -> bool:
        """Whether it goes frame by frame."""
        return any(step.internal for step in self.steps)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of its nodes."""
        return tuple(step.node.name for step in self.steps)

    @property
    def hoisted(self) -> tuple[Edge, ...]:
        """The edges that come in from outside."""
        return tuple(edge for step in self.steps for edge in step.hoisted)

    @property
    def internal(self) -> tuple[Edge, ...]:
        """The edges of the loop."""
        return tuple(edge for step in self.steps for edge in step.internal)


@dataclass(frozen=True)
class Plan:
    """How a graph runs; `str` shows it.

    Args:
        graph: the graph that runs. Edges of the plan itself have a `stop` and the names of their parameters.
        stages: components in order; those of one stage do not depend on one another and may run in parallel.
        past: frames that the state keeps of a node.

    Examples:
        >>> from fewbit.nn import gru_graph, plan
        >>> found = plan(gru_graph(inputs=6, hidden=5))
        >>> found.hoisted_matmuls, found.step_matmuls, found.matmuls(frames=20)
        (1, 1, 21)
    """

    graph: Graph
    stages: tuple[tuple[Component, ...], ...]
    past: dict[str, int]

    @property
    def components(self) -> tuple[Component, ...]:
        """All components in an order in which they can run."""
        return tuple(component for stage in self.stages for component in stage)

    @property
    def loops(self) -> tuple[Component, ...]:
        """The components that go frame by frame."""
        return tuple(component for component in self.components if component.loop)

    @property
    def hoisted_matmuls(self) -> int:
        """Matrix products that a chunk needs once."""
        return sum(multiplies(edge) for component in self.components for edge in component.hoisted)

    @property
    def step_matmuls(self) -> int:
        """Matrix products that each frame needs."""
        return sum(multiplies(edge) for component in self.components for edge in component.internal)

    def matmuls(self, frames: int) -> int:
        """Matrix products of the forward pass of a chunk; without hoisting, every frame would need all of them."""
        return self.hoisted_matmuls + frames * self.step_matmuls

    def __str__(self) -> str:
        loops = len(self.loops)
        lines = [
            f"{len(self.graph.nodes)} nodes, {len(self.graph.edges)} edges, {loops} loop{'s' * (loops != 1)}; matrix "
            f"products in a chunk of T frames: {self.hoisted_matmuls} + {self.step_matmuls} T"
        ]
        for number, stage in enumerate(self.stages):
            for component in stage:
                lines += _describe(self, number, component)
        state = ", ".join(f"{name} ({frames} frame{'s' * (frames > 1)})" for name, frames in self.past.items())
        return "\n".join([*lines, f"output: {self.graph.output}; state: {state or 'none'}"])


def multiplies(edge: Edge) -> bool:
    """Whether an edge of a plan is a matrix product: full, and not from a constant."""
    return edge.name.startswith("weight_")


def unit_range_of(edge: Edge) -> UnitRange:
    """The range that an edge of a plan reads."""
    assert edge.stop is not None
    return edge.source, edge.start, edge.stop


def whole(node: Node) -> UnitRange:
    """All units of a node."""
    return node.name, 0, node.size


def _describe(plan: Plan, number: int, component: Component) -> list[str]:
    graph = plan.graph
    if not component.loop:
        (step,) = component.steps
        how = "at once" if step.node.computed else step.node.aggregation
        return [f"stage {number}  {how:8}  {_computes(graph, step.node, step.hoisted)}"]
    before = [_computes(graph, step.node, step.hoisted, part=True) for step in component.steps if step.hoisted]
    within = [_computes(graph, step.node, step.internal, started=bool(step.hoisted)) for step in component.steps]
    return [
        f"stage {number}  loop      {', '.join(component.nodes)}",
        *(f"    all frames  {line}" for line in before),
        *(f"    each frame  {line}" for line in within),
    ]


def _computes(graph: Graph, node: Node, edges: tuple[Edge, ...], part: bool = False, started: bool = False) -> str:
    """One line on what a node computes: a part of it without the activation, or the rest of a started sum."""
    if not node.computed:
        return f"{node.name} ({node.size})"
    terms = [*(["..."] if started else []), *(_term(graph, edge) for edge in edges), *(["..."] if part else [])]
    joined = (" + " if node.aggregation == "sum" else " * ").join(terms)
    return f"{node.name} ({node.size}) = " + (
        joined if part or node.activation == "linear" else f"{node.activation}({joined})"
    )


def _term(graph: Graph, edge: Edge) -> str:
    read = edge.source + (f"[{edge.start}:{edge.stop}]" if graph.width(edge) < graph[edge.source].size else "")
    read += f"(t-{edge.delay})" if edge.delay else ""
    return f"{edge.name} @ {read}" if multiplies(edge) else edge.name or read
