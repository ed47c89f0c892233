"""torch: nn.LSTM and nn.GRU, their dynamic int8 forms with both engines, SRU and QRNN as loops over time."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers import cells
from benchmarks.peers.case import Case, Floats, Offer, frames
from benchmarks.peers.quantized import Quantized
from benchmarks.peers.torch_matmul import dynamic, plain, quantized, versions

__all__ = ["rnn", "versions"]

ORDER = {"lstm": (0, 1, 3, 2), "gru": (0, 1, 2)}  # of gates: input, forget, candidate, output
Step = Callable[[Tensor, Any], tuple[Tensor, Any]]


class Loop:
    """Operators for `benchmarks.peers.cells.unroll`."""

    add, subtract, multiply = staticmethod(torch.add), staticmethod(torch.sub), staticmethod(torch.mul)
    sigmoid, tanh, join = staticmethod(torch.sigmoid), staticmethod(torch.tanh), staticmethod(torch.cat)

    def __init__(self, maker: Callable[[Quantized], Callable[[Tensor], Tensor]], network: list[cells.Weights]) -> None:
        parts = [part for layer in network for part in (layer.inputs, layer.state) if part]
        self.products = {id(part): maker(part) for part in parts}

    def product(self, x: Tensor, matrix: Quantized) -> Tensor:
        return self.products[id(matrix)](x)

    def split(self, x: Tensor, sizes: list[int], axis: int) -> Sequence[Tensor]:
        return torch.split(x, sizes, axis)  # type: ignore[no-untyped-call, no-any-return, unused-ignore]

    def multiply_add(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        return torch.addcmul(c, a, b)


def loop(ops: Loop, cell: str, network: list[cells.Weights]) -> Step:
    def step(x: Tensor, states: Any) -> tuple[Tensor, Any]:
        after = []
        for layer, state in zip(network, states, strict=True):
            x, state = cells.unroll(ops, cell, layer, x, state, *x.shape)
            after.append(state)
        return x, after

    return step


def ready_made(cell: str, network: list[cells.Weights], dtype: torch.dtype) -> Step:
    """`nn.LSTM` or `nn.GRU`."""
    hidden = network[0].inputs.codes.shape[1]
    module: nn.LSTM | nn.GRU = (nn.LSTM if cell == "lstm" else nn.GRU)(hidden, hidden, len(network))
    for number, layer in enumerate(network):
        assert layer.state
        for name, part in (("ih", layer.inputs), ("hh", layer.state)):
            values = torch.from_numpy(part.blocks_of_rows(ORDER[cell]).floats())
            getattr(module, f"weight_{name}_l{number}").data.copy_(values)
            getattr(module, f"bias_{name}_l{number}").data.zero_()
    module = module.to(dtype).eval()
    if dtype == torch.float32:
        return lambda x, states: module(x[:, None], states)

    def step(x: Tensor, states: Any) -> tuple[Tensor, Any]:
        y, states = module(x.to(dtype)[:, None], states)
        return y.float(), states

    return step


def int8(cell: str, network: list[cells.Weights], engine: str) -> Step:
    """The operators behind `torch.ao.nn.quantized.dynamic.LSTM` and `GRU`."""
    torch.backends.quantized.engine = engine
    parameters = []
    for layer in network:
        assert layer.state
        parts = [quantized(part.blocks_of_rows(ORDER[cell])) for part in (layer.inputs, layer.state)]
        zeros = torch.zeros(len(parts[0]))
        packed = [torch.ops.quantized.linear_prepack(part, zeros) for part in parts]
        parameters.append(torch.ops.quantized.make_quantized_cell_params_dynamic(*packed, zeros, zeros, False))
    count = len(network)

    def lstm(x: Tensor, states: Any) -> tuple[Tensor, Any]:
        y, *after = torch.quantized_lstm(
            x[:, None],
            states,
            parameters,
            True,
            count,
            0.0,
            False,
            False,
            False,
            dtype=torch.qint8,
            use_dynamic=True,
        )
        return y, after

    def gru(x: Tensor, states: Any) -> tuple[Tensor, Any]:
        return torch.quantized_gru(x[:, None], states, parameters, True, count, 0.0, False, False, False)  # type: ignore[no-any-return]

    return lstm if cell == "lstm" else gru


def zeros(cell: str, hidden: int, count: int, dtype: torch.dtype, looped: bool) -> Any:
    if looped:
        return [[torch.zeros(1, hidden) for _ in cells.STATES[cell]] for _ in range(count)]
    states = [torch.zeros(count, 1, hidden, dtype=dtype) for _ in cells.STATES[cell]]
    return states if len(states) > 1 else states[0]


def build(network: list[cells.Weights], cell: str, step: Step, start: Any, steps: int, nbytes: int) -> Case:
    given = frames(steps, len(network[0].inputs.codes) // cells.GATES[cell])
    x = torch.from_numpy(given)
    states = start

    def run() -> Tensor:
        nonlocal states
        y, states = step(x, states)
        return y

    def result() -> Floats:
        nonlocal states
        states = start
        values: Floats = torch.cat([run(), run()]).numpy()
        return values

    return Case(run, result, lambda: cells.expected(cell, network, given), nbytes)


def rnn(cell: str, hidden: int, layers: int, steps: int, threads: int) -> Sequence[Offer]:
    """A stream of batch 1, ``steps`` frames a call."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)

    def offer(
        name: str,
        bits: int,
        maker: Callable[[list[cells.Weights]], Step],
        dtype: torch.dtype = torch.float32,
        looped: bool = False,
    ) -> Offer:
        def made() -> Case:
            network = cells.weights(cell, hidden, layers, min(bits, 8))
            start = zeros(cell, hidden, layers, dtype, looped)
            return build(network, cell, maker(network), start, steps, cells.weight_bytes(network, bits))

        return Offer(f"torch {name}", bits, made, by_hand=looped)

    if cell in ("sru", "qrnn"):
        kinds = [("float32", 32, plain(torch.float32)), ("linear_dynamic int8, fbgemm", 8, dynamic("fbgemm"))]
        kinds += [("linear_dynamic int8, onednn", 8, dynamic("onednn"))]
        return [
            offer(f"loop of {n}", bits, lambda net, mk=mk: loop(Loop(mk, net), cell, net), looped=True)  # type: ignore[misc]
            for n, bits, mk in kinds
        ]
    name = cell.upper()
    half = torch.bfloat16
    return [
        offer(f"{name} int8, fbgemm", 8, lambda network: int8(cell, network, "fbgemm")),
        offer(f"{name} int8, onednn", 8, lambda network: int8(cell, network, "onednn")),
        offer(f"{name} bfloat16", 16, lambda network: ready_made(cell, network, half), half),
        offer(f"{name} float32", 32, lambda network: ready_made(cell, network, torch.float32)),
    ]
