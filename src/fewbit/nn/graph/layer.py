"""A recurrent layer that is drawn as a graph; all work outside of its loops runs once for a whole chunk."""

import torch
from torch import Tensor, nn

from fewbit.errors import GraphError
from fewbit.nn.graph.drawing import Graph
from fewbit.nn.graph.execution import Execution
from fewbit.nn.graph.parallel_stage import run_stage
from fewbit.nn.graph.parts import Edge
from fewbit.nn.graph.planning import plan
from fewbit.nn.layer import Layer, Signal, State


class GraphRNN(Layer):
    """A graph of nodes and edges as a layer; `GraphRNN.plan` says how it runs.

    The state is a tuple with one tensor ``(batch, frames, size)`` for each node that is read with a delay, in the order
    of ``plan.past``: its last frames, the oldest first. Parameters are called ``weight_...``, ``bias_...`` and
    ``scale_...`` after their edges, signals ``signal_...`` after their nodes. All streams of a batch share each
    product, and the gradient of any matrix is one product for all frames.

    Raises:
        GraphError: a loop of the graph has no delay.

    Examples:
        >>> from fewbit.nn import lstm_graph
        >>> layer = GraphRNN(lstm_graph(inputs=6, hidden=5))
        >>> y, state = layer(torch.randn(1, 20, 6))
        >>> layer.plan.matmuls(frames=20), 20 * 2  # the plan, and step by step
        (21, 40)

    References:
        Hwang, Sung 2015, "Single stream parallelization of generalized LSTM-like RNNs on a GPU" (arXiv 1503.02852).
    """

    recurrent = True

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph, self.plan = graph, plan(graph)
        self.inputs, self.outputs = graph.input.size, graph[graph.output].size
        self._names = tuple(graph.parameters())
        for edge in graph.edges:
            if name := graph.parameter(edge):
                self.register_parameter(name, nn.Parameter(_start(graph, edge)))
        for node in graph.nodes:
            if node.signal:
                self.add_module(f"signal_{node.name}", Signal(wide=node.signal == "wide"))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Run a chunk ``x: (batch, time, features)`` from `state` and return the output with the new state.

        Raises:
            GraphError: the features or the state are not those of the graph.
        """
        if x.dim() != 3 or x.shape[2] != self.inputs:
            raise GraphError(
                f"GraphRNN: the input is {tuple(x.shape)}; wanted (batch, time, {self.inputs}), as the node "
                f"{self.graph.input.name!r} has {self.inputs} units"
            )
        batch, frames, _ = x.shape
        before = self._check(x, state)
        if not batch * frames:
            return x.new_zeros(batch, frames, self.outputs), before
        # Each parameter is read once: a quantizer may stand behind its name.
        execution = Execution(
            self.plan,
            {name: getattr(self, name) for name in self._names},
            {node.name: getattr(self, f"signal_{node.name}") for node in self.graph.nodes if node.signal},
            x.transpose(0, 1).reshape(-1, self.inputs),
            {name: kept.transpose(0, 1).flatten(0, 1) for name, kept in zip(self.plan.past, before, strict=True)},
            batch,
        )
        for stage in self.plan.stages:
            run_stage(execution, stage)
        y = execution.output().view(frames, batch, self.outputs).transpose(0, 1)
        return y, tuple(
            execution.kept[name].view(depth, batch, -1).transpose(0, 1) for name, depth in self.plan.past.items()
        )

    def _check(self, x: Tensor, state: State) -> tuple[Tensor, ...]:
        shapes = [(len(x), frames, self.graph[name].size) for name, frames in self.plan.past.items()]
        if state is None:
            return tuple(x.new_zeros(shape) for shape in shapes)
        seen = [tuple(kept.shape) for kept in state]
        if seen != shapes:
            raise GraphError(
                f"GraphRNN: the state has shapes {seen}; wanted {shapes}, the last frames of "
                f"{list(self.plan.past)}; give back what the last call returned, or None at the start of a stream"
            )
        return tuple(state)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.outputs}, nodes={len(self.graph.nodes)}, loops={len(self.plan.loops)}"


def _start(graph: Graph, edge: Edge) -> Tensor:
    """The values at which a parameter starts."""
    name = graph.parameter(edge)
    values = torch.zeros(graph.parameters()[name])
    if edge.initial:
        for block, value in zip(values.chunk(len(edge.initial)), edge.initial, strict=True):
            block.fill_(value)
        return values
    if name.startswith("bias_"):
        return values
    bound = values.shape[-1] ** -0.5
    return values.uniform_(-bound, bound)
