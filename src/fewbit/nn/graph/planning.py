"""The plan of a graph: what runs over all frames of a chunk at once, and what must go frame by frame.

Strongly connected components over all edges run one after the other. In a component without a cycle every node
processes the whole chunk in one operation. A loop goes frame by frame, but over its internal edges only; whatever comes
into it from outside has been multiplied for the whole chunk before, one matrix product for each edge.

References:
    Hwang, Sung 2015, "Single stream parallelization of generalized LSTM-like RNNs on a GPU" (arXiv 1503.02852).
"""

from dataclasses import replace

from fewbit.nn.graph.components import order_in_frame, strong_components
from fewbit.nn.graph.drawing import Graph
from fewbit.nn.graph.parts import Edge, Node
from fewbit.nn.graph.schedule import Component, Plan, Step, multiplies, unit_range_of, whole


def plan(graph: Graph) -> Plan:
    """Find the loops of a graph, what can be taken out of them, and an order.

    Raises:
        GraphError: a loop has no delay; the message names its nodes.

    Examples:
        >>> from fewbit.nn import sru_graph
        >>> print(plan(sru_graph(inputs=6, hidden=6)))
        14 nodes, 20 edges, 1 loop; matrix products in a chunk of T frames: 1 + 0 T
        stage 0  input     x (6)
        stage 0  constant  one (1)
        stage 1  at once   u (18) = weight_x_u @ x
        stage 2  at once   f (6) = sigmoid(u[6:12] + bias_f)
        stage 2  at once   r (6) = sigmoid(u[12:18] + bias_r)
        stage 3  at once   open (6) = one_minus(f)
        stage 3  at once   past (6) = one_minus(r)
        stage 4  at once   written (6) = open * u[0:6]
        stage 4  at once   skip (6) = past * x
        stage 5  loop      kept, c
            all frames  kept (6) = f * ...
            all frames  c (6) = written + ...
            each frame  kept (6) = ... * c(t-1)
            each frame  c (6) = ... + kept
        stage 6  at once   shown (6) = tanh(c)
        stage 7  at once   deep (6) = r * shown
        stage 8  at once   h (6) = deep + skip
        output: h; state: c (1 frame)
    """
    names = [node.name for node in graph.nodes]
    edges = [
        replace(edge, stop=edge.start + graph.width(edge), name=graph.parameter(edge), initial=())
        for edge in graph.edges
    ]
    sources = {name: tuple(edge.source for edge in graph.incoming(name)) for name in names}
    same_frame = {name: tuple(edge.source for edge in graph.incoming(name) if not edge.delay) for name in names}
    stages: list[list[Component]] = []
    stage_of: dict[str, int] = {}
    for group in strong_components(sources):
        component = Component(
            tuple(
                _step(graph[name], group, edges, graph.output)
                for name in order_in_frame(sorted(group, key=names.index), same_frame)
            )
        )
        stage = max((stage_of[edge.source] + 1 for edge in component.hoisted), default=0)
        stage_of |= dict.fromkeys(group, stage)
        stages += [[] for _ in range(stage + 1 - len(stages))]
        stages[stage].append(component)
    past = {name: depth for name in names if (depth := graph.depth(name))}
    return Plan(graph, tuple(tuple(stage) for stage in stages), past)


def _step(node: Node, group: list[str], edges: list[Edge], output: str) -> Step:
    incoming = [edge for edge in edges if edge.target == node.name]
    reading = [edge for edge in edges if edge.source == node.name]
    inner = [edge for edge in reading if edge.target in group]
    outer = [edge for edge in reading if edge.target not in group]
    return Step(
        node,
        # Vectors first: a matrix product adds to a bias in passing.
        hoisted=tuple(sorted((edge for edge in incoming if edge.source not in group), key=multiplies)),
        internal=tuple(edge for edge in incoming if edge.source in group),
        parts=tuple(sorted({unit_range_of(edge) for edge in inner} - {whole(node)})),
        outer=tuple(sorted({unit_range_of(edge) for edge in outer})),
        depth=max((edge.delay for edge in inner), default=0),
        seen=bool(outer) or node.name == output,
    )
