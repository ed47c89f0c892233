"""A recurrent cell, drawn as a graph of nodes and edges.

References:
    Hwang, Sung 2015, "Single stream parallelization of generalized LSTM-like RNNs on a GPU" (arXiv 1503.02852).
"""

from dataclasses import dataclass, field

from fewbit.errors import GraphError
from fewbit.nn.graph.parts import Edge, Node


@dataclass(frozen=True)
class Graph:
    """A recurrent cell: one input node, edges, and the node whose values go out.

    Raises:
        GraphError: a name is unknown or used twice, sizes do not fit, or a node has nothing to read.

    Examples:
        A leaky average of 4 features, whose input is mixed first:

        >>> leaky = Graph(
        ...     nodes=(Node("x", 4, "input"), Node("half", 1, "constant"), Node("kept", 4, "product"), Node("y", 4)),
        ...     edges=(
        ...         Edge("x", "y"),
        ...         Edge("half", "kept", initial=(0.5,)),
        ...         Edge("y", "kept", "identity", delay=1),
        ...         Edge("kept", "y", "identity"),
        ...     ),
        ...     output="y",
        ... )
        >>> leaky.parameters()
        {'weight_x_y': (4, 4), 'scale_half_kept': (4,)}
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    output: str
    _named: dict[str, Node] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        named = {node.name: node for node in self.nodes}
        object.__setattr__(self, "_named", named)
        if len(named) < len(self.nodes):
            raise GraphError(f"Graph: two nodes are called {_twice([node.name for node in self.nodes])!r}; rename one")
        inputs = [node.name for node in self.nodes if node.aggregation == "input"]
        if len(inputs) != 1:
            raise GraphError(
                f"Graph: there are {len(inputs)} input nodes {inputs}; wanted one, of which edges may read ranges"
            )
        if self.output not in named:
            raise GraphError(f"Graph: the output {self.output!r} is no node; there are {list(named)}")
        for edge in self.edges:
            self._check(edge)
        fed = {edge.target for edge in self.edges}
        for node in self.nodes:
            if node.computed and node.name not in fed:
                raise GraphError(f"Graph: no edge goes into {node.name!r}; draw one, or take the node away")
        names = [name for edge in self.edges if (name := self.parameter(edge))]
        if len(set(names)) < len(names):
            raise GraphError(f"Graph: two edges have a parameter {_twice(names)!r}; give one of them a name")

    def _check(self, edge: Edge) -> None:
        for end in (edge.source, edge.target):
            if end not in self._named:
                raise GraphError(f"Edge {edge}: there is no node {end!r}; there are {list(self._named)}")
        source, target = self[edge.source], self[edge.target]
        if not target.computed:
            raise GraphError(f"Edge {edge}: {edge.target!r} is of kind {target.aggregation!r}, which reads nothing")
        if edge.start >= source.size:
            raise GraphError(f"Edge {edge}: reads from unit {edge.start} of {edge.source!r}, which has {source.size}")
        if edge.stop is not None and edge.stop > source.size:
            raise GraphError(f"Edge {edge}: reads up to unit {edge.stop} of {edge.source!r}, which has {source.size}")
        if source.aggregation == "constant" and edge.delay:
            raise GraphError(f"Edge {edge}: a constant is the same at any time; leave the delay out")
        width, wanted = self.width(edge), {"identity": target.size, "broadcast": 1}.get(edge.kind)
        if wanted is not None and width != wanted:
            raise GraphError(
                f"Edge {edge}: {edge.kind} carries {width} units into {target.size}, wanted {wanted}; read a range, or "
                "use kind='full'"
            )
        if edge.initial and target.size % len(edge.initial):
            raise GraphError(
                f"Edge {edge}: {len(edge.initial)} initial values for {target.size} units; wanted a divisor"
            )

    def __getitem__(self, name: str) -> Node:
        """The node of a name."""
        return self._named[name]

    @property
    def input(self) -> Node:
        """The node that takes the features in."""
        return next(node for node in self.nodes if node.aggregation == "input")

    def width(self, edge: Edge) -> int:
        """Units that an edge reads."""
        return (self[edge.source].size if edge.stop is None else edge.stop) - edge.start

    def incoming(self, name: str) -> tuple[Edge, ...]:
        """The edges into a node, as they were drawn."""
        return tuple(edge for edge in self.edges if edge.target == name)

    def depth(self, name: str) -> int:
        """Past frames of a node that its readers need."""
        return max((edge.delay for edge in self.edges if edge.source == name), default=0)

    def parameter(self, edge: Edge) -> str:
        """The name of the parameter of an edge: a weight, a bias or a scale; empty where it has none."""
        if edge.kind != "full":
            return ""
        if self[edge.source].aggregation != "constant":
            return f"weight_{edge.label}"
        return f"{'bias' if self[edge.target].aggregation == 'sum' else 'scale'}_{edge.label}"

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all parameters: weights ``(target, source)``, biases and scales ``(target,)``."""
        shapes: dict[str, tuple[int, ...]] = {}
        for edge in self.edges:
            if name := self.parameter(edge):
                size = self[edge.target].size
                shapes[name] = (size, self.width(edge)) if name.startswith("weight_") else (size,)
        return shapes


def _twice(names: list[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
