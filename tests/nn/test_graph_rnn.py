"""Plans of graphs against a naive interpreter, what they cost, and the layer that runs them."""

import gc
import pickle
import random
import weakref
from collections import Counter
from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from fewbit import nn as layers
from fewbit.errors import GraphError
from fewbit.nn import Edge, Graph, GraphRNN, Node
from fewbit.quant import attach, calibrate

ACTIVATIONS = {
    "linear": lambda v: v,
    "sigmoid": lambda v: 1 / (1 + torch.exp(-v)),
    "tanh": torch.tanh,
    "relu": lambda v: v.clamp_min(0),
    "softplus": lambda v: torch.log1p(torch.exp(v)),
    "one_minus": lambda v: 1 - v,
}


def interpret(layer, x):
    """A graph frame by frame, node by node, edge by edge."""
    graph, past, outputs = layer.graph, [], []

    def value(name, now, frame):
        if name in now:
            return now[name]
        node, total = graph[name], None
        if node.aggregation == "input":
            total = frame
        elif node.aggregation == "constant":
            total = torch.ones_like(frame[:, :1])
        else:
            for edge in graph.incoming(name):
                if edge.delay == 0:
                    source = value(edge.source, now, frame)
                elif edge.delay <= len(past):
                    source = past[-edge.delay][edge.source]
                else:
                    source = torch.zeros(len(frame), graph[edge.source].size, dtype=frame.dtype)
                source = source[:, edge.start : edge.stop]
                if edge.kind == "full":
                    weight = getattr(layer, graph.parameter(edge))
                    source = source @ weight.reshape(node.size, -1).T
                elif edge.kind == "broadcast":
                    source = source.repeat(1, node.size)
                total = source if total is None else total + source if node.aggregation == "sum" else total * source
        now[name] = ACTIVATIONS[node.activation](total)
        return now[name]

    for frame in x.unbind(1):
        now = {}
        for node in graph.nodes:
            value(node.name, now, frame)
        past.append(now)
        outputs.append(now[graph.output])
    return torch.stack(outputs, 1)


@st.composite
def graphs(draw):
    """Any graph without loops of no delay: sums and products, all kinds of edges, ranges, delays up to 3."""
    chance = random.Random(draw(st.integers(0, 10**6)))
    nodes = [Node("x", chance.randint(1, 3), "input"), Node("one", 1, "constant")]
    for number in range(draw(st.integers(1, 7))):
        product = chance.random() < 0.3
        # Products are kept small, or squares of squares would overflow in a loop.
        functions = ["sigmoid", "tanh"] if product else list(ACTIVATIONS)
        kind = "product" if product else "sum"
        nodes.append(Node(f"n{number}", chance.randint(1, 4), kind, chance.choice(functions)))
    edges = []
    for place, node in enumerate(nodes[2:], 2):
        for _ in range(chance.randint(1, 4)):
            source = chance.randrange(len(nodes))
            first = 1 if source >= place else 0
            last = 0 if nodes[source].aggregation == "constant" else 3 if chance.random() < 0.6 else first
            delay = chance.randint(first, last)
            edges.append(random_edge(chance, nodes[source], node, delay, len(edges)))
    chance.shuffle(edges)
    order = [*nodes]
    chance.shuffle(order)
    return Graph(tuple(order), tuple(edges), chance.choice(nodes[2:]).name)


def random_edge(chance, source, target, delay, number):
    width = chance.randint(1, source.size)
    start = chance.randint(0, source.size - width)
    stop = start + width if chance.random() < 0.5 or start + width < source.size else None
    kinds = ["full"] + ["identity"] * (width == target.size) + ["broadcast"] * (width == 1)
    kind = chance.choice(kinds)
    name = f"e{number}" if kind == "full" else ""
    return Edge(source.name, target.name, kind, delay, start, stop, name)


@settings(max_examples=150, deadline=None)
@given(graph=graphs(), frames=st.integers(1, 7), cut=st.integers(0, 7), seed=st.integers(0, 100))
def test_a_plan_gives_what_frame_by_frame_gives_with_all_gradients(graph, frames, cut, seed):
    torch.manual_seed(seed)
    layer = GraphRNN(graph).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1)
    x = torch.randn(2, frames, graph.input.size, dtype=torch.float64, requires_grad=True)
    wanted = interpret(layer, x)
    errors = torch.randn_like(wanted)
    inputs = [x, *layer.parameters()]
    depends = wanted.requires_grad  # a graph of constants does not

    def gradients(y):
        return torch.autograd.grad((y * errors).sum(), inputs, allow_unused=True, materialize_grads=True)

    want = gradients(wanted) if depends else []
    first, state = layer(x[:, :cut])
    rest, _ = layer(x[:, cut:], state)
    for y in (layer(x)[0], torch.cat([first, rest], 1)):
        assert torch.allclose(y, wanted, rtol=1e-9, atol=1e-12)
        for a, b in zip(gradients(y) if depends else [], want, strict=True):
            assert torch.allclose(a, b, rtol=1e-7, atol=1e-9 * (1 + float(b.abs().max())))
    with torch.no_grad():
        assert torch.allclose(layer(x)[0], wanted, rtol=1e-9, atol=1e-12)


CHECKED = {
    "LSTM": lambda: layers.lstm_graph(2, 2),
    "peepholes": lambda: layers.lstm_graph(2, 2, peepholes=True),
    "GRU": lambda: layers.gru_graph(2, 2),
    "SRU": lambda: layers.sru_graph(3, 2),
    "clocked": lambda: layers.clocked_lstm_graph(2, 2),
    "hierarchical": lambda: layers.hierarchical_lstm_graph(2, 1),
}


@pytest.mark.parametrize("name", CHECKED)
def test_gradients_are_those_of_finite_differences(name):
    torch.manual_seed(0)
    layer = GraphRNN(CHECKED[name]()).double()
    x = torch.randn(2, 4, layer.inputs, dtype=torch.float64)
    _, state = layer(x)
    inputs = [x, *state, *(parameter.detach() for parameter in layer.parameters())]
    names = [parameter_name for parameter_name, _ in layer.named_parameters()]

    def run(x, *rest):
        before, parameters = rest[: len(state)], dict(zip(names, rest[len(state) :], strict=True))
        y, after = torch.func.functional_call(layer, parameters, (x, before))
        return (y, *after)

    assert torch.autograd.gradcheck(run, [value.detach().requires_grad_() for value in inputs], fast_mode=True)


def test_products_with_zeros_have_gradients():
    graph = Graph(
        (Node("x", 3, "input"), Node("p", 1, "product")),
        tuple(Edge("x", "p", "identity", start=unit, stop=unit + 1) for unit in range(3)),
        "p",
    )
    x = torch.tensor([[[0.0, 2.0, 3.0], [0.0, 0.0, 5.0]]], requires_grad=True)
    GraphRNN(graph)(x)[0].sum().backward()
    assert torch.equal(x.grad, torch.tensor([[[6.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]))


class MatrixProducts(TorchDispatchMode):
    """Counts products of matrices."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket._qualified_op_name.removeprefix("aten::")
        if name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "matmul", "linear"):
            self.count["all"] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("draw", "hoisted", "internal"),
    [
        (lambda: layers.lstm_graph(6, 5), 1, 1),
        (lambda: layers.gru_graph(6, 5), 1, 1),
        (lambda: layers.sru_graph(6, 5), 1, 0),
        (lambda: layers.hierarchical_lstm_graph(6, 5), 6, 4),
    ],
)
def test_matrix_products_of_a_chunk(draw, hoisted, internal):
    layer, frames = GraphRNN(draw()), 11
    assert layer.plan.matmuls(frames) == hoisted + frames * internal
    x = torch.randn(2, frames, layer.inputs, requires_grad=True)
    state = [kept.detach().requires_grad_() for kept in layer(x)[1]]
    with MatrixProducts() as forward:
        y, _ = layer(x, state)
    assert forward.count["all"] == hoisted + frames * internal
    with MatrixProducts() as backward:
        torch.autograd.grad(y.sum(), [x, *state, *layer.parameters()])
    # Errors go back as values came, the state's included; weights take one product each for all frames.
    assert backward.count["all"] == 2 * hoisted + (frames + 1) * internal


@settings(max_examples=25, deadline=None)
@given(graph=graphs(), frames=st.integers(1, 6))
def test_matrix_products_of_any_graph(graph, frames):
    layer = GraphRNN(graph)
    with torch.no_grad(), MatrixProducts() as counted:
        layer(torch.randn(2, frames, layer.inputs))
    assert counted.count["all"] == layer.plan.matmuls(frames)


def test_memory_is_given_back_without_the_garbage_collector():
    class Hook:
        """Lives as long as the node of autograd on which it hangs."""

        def __call__(self, *gradients):
            return None

    hooks = []

    def watch(module, inputs, output):
        hook = Hook()
        hooks.append(weakref.ref(hook))
        output.grad_fn.register_hook(hook)

    layer = GraphRNN(layers.lstm_graph(3, 4))
    layer.signal_h.register_forward_hook(watch)
    gc.disable()
    try:
        y, state = layer(torch.randn(1, 5, 3))
        assert all(hook() for hook in hooks)
        y.sum().backward()
        del y, state
        assert not any(hook() for hook in hooks)
    finally:
        gc.enable()


def test_an_endless_stream_keeps_the_size_of_its_state():
    layer, state = GraphRNN(layers.lstm_graph(3, 4)), None
    for _ in range(5):
        y, state = layer(torch.randn(2, 6, 3), state)
        y.square().mean().backward()
        state = tuple(kept.detach() for kept in state)
        assert [tuple(kept.shape) for kept in state] == [(2, 1, 4), (2, 1, 4)]


def test_a_layer_can_be_copied_stored_and_run_in_inference_mode():
    layer = GraphRNN(layers.lstm_graph(3, 4))
    x = torch.randn(2, 6, 3)
    wanted, _ = layer(x)
    for other in (deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        with torch.inference_mode():
            assert torch.equal(other(x)[0], wanted)


def test_a_state_does_not_change_with_the_buffer_that_the_input_came_in():
    graph = Graph((Node("x", 3, "input"), Node("y", 3)), (Edge("x", "y", "identity", delay=2),), "y")
    buffer = torch.randn(1, 4, 3)
    _, state = GraphRNN(graph)(buffer)
    wanted = buffer[:, 2:].clone()
    buffer.zero_()
    assert torch.equal(state[0], wanted)


def test_signals_of_few_bits_stand_in_the_loop():
    torch.manual_seed(0)
    layer = GraphRNN(layers.lstm_graph(6, 5))
    x = torch.randn(3, 9, 6)
    calibrate(attach(layer, "int8", "int2"), [x])
    y, (_, hidden) = layer(x)
    assert y.unique().numel() <= 3
    assert torch.equal(hidden[:, 0], y[:, -1])
    y.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())


def test_low_precision_autocast_trains():
    layer = GraphRNN(layers.lstm_graph(3, 4))
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = layer(torch.randn(2, 6, 3))
    y.float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


@pytest.mark.parametrize(
    ("x", "state", "message"),
    [
        (torch.zeros(2, 5, 7), None, r"the input is \(2, 5, 7\); wanted \(batch, time, 6\), as the node 'x' has 6"),
        (torch.zeros(5, 6), None, r"the input is \(5, 6\); wanted \(batch, time, 6\)"),
        (
            torch.zeros(2, 5, 6),
            (torch.zeros(3, 1, 5), torch.zeros(3, 1, 5)),
            r"the state has shapes \[\(3, 1, 5\), \(3, 1, 5\)\]; wanted \[\(2, 1, 5\), \(2, 1, 5\)\], the last",
        ),
    ],
)
def test_wrong_input_is_refused(x, state, message):
    with pytest.raises(GraphError, match=message):
        GraphRNN(layers.lstm_graph(6, 5))(x, state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_loops_side_by_side_on_a_gpu_give_the_same():
    torch.manual_seed(0)
    nodes = [Node("x", 4, "input"), Node("y", 8)]
    edges = []
    for number in range(6):
        nodes.append(Node(f"n{number}", 8, activation="tanh"))
        edges += [Edge("x", f"n{number}"), Edge(f"n{number}", f"n{number}", delay=1), Edge(f"n{number}", "y")]
    here = GraphRNN(Graph(tuple(nodes), tuple(edges), "y")).double()
    there = GraphRNN(here.graph).double().cuda()
    there.load_state_dict(here.state_dict())
    x = torch.randn(3, 40, 4, dtype=torch.float64)
    for _ in range(5):
        y, _ = here(x)
        z, _ = there(x.cuda())
        y.square().sum().backward()
        z.square().sum().backward()
        assert torch.allclose(y, z.cpu())
    for ours, theirs in zip(here.parameters(), there.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad.cpu())
