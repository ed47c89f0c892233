"""Rules of functions, norms and gates, on tiny networks."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.lower.tiny_networks import By, check, frames

FUNCTIONS: list[Callable[[Tensor], Tensor]] = [
    functional.gelu, partial(functional.gelu, approximate="tanh"), functional.silu, torch.sigmoid, torch.tanh,
    torch.exp, functional.softplus, functional.elu, partial(functional.elu, alpha=0.3), functional.selu,
    functional.mish, functional.hardswish, functional.hardsigmoid, functional.logsigmoid,
    functional.leaky_relu, partial(functional.leaky_relu, negative_slope=-0.2), torch.sin, torch.cos, torch.square,
    torch.abs, lambda x: x**3, torch.erf,
    lambda x: torch.sqrt(functional.relu(x) + 0.5), lambda x: torch.log(x.abs() + 1.0), lambda x: 0.5 * x.neg().exp(),
    lambda x: functional.glu(x, -1), lambda x: functional.softmax(x, -1), lambda x: (3 * x).softmax(-1),
    lambda x: functional.softmax(x.unflatten(-1, (2, 4)), 2).flatten(2),
    lambda x: functional.log_softmax(9 * x, -1), lambda x: x.unflatten(-1, (2, 4)).log_softmax(2).flatten(2),
    lambda x: functional.log_softmax(x, -1).exp(), lambda x: x.unflatten(-1, (4, 2)).amax(-1),
    lambda x: x.unflatten(-1, (2, 4)).max(2)[0], lambda x: x - x.amax(-1, keepdim=True),
    lambda x: functional.normalize(x, dim=-1), lambda x: x / x.norm(dim=-1, keepdim=True),
    lambda x: functional.layer_norm(x, (8,)), lambda x: functional.rms_norm(x, (8,)),
    lambda x: functional.layer_norm(100.0 * x, (8,)), lambda x: functional.layer_norm(x + 30.0, (8,)),
    lambda x: functional.layer_norm(x.unflatten(-1, (2, 4)), (4,)),
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_and_norms(function):
    check(By(lambda self, x: function(2.0 * self.linear(x)), linear=nn.Linear(6, 8)), frames(), close=3e-3)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_rows_of_large_weights_do_not_move_a_bias(kind):
    """An accumulator of such a row counts much of a gate; the bias is finer than that."""
    torch.manual_seed(0)
    layer = kind(6, 8, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0[::3] *= 100
    x = 0.01 * torch.randn(4, 30, 6)
    x[:, ::10] *= 100
    program = check(By(lambda self, x: self.layer(x)[0], layer=layer), x, "int8:row", 2e-3)
    (op,) = [op for op in program.ops if op.kind in ("lstm", "gru")]
    assert op.bias_bits > 0
    without = np.rint(op.bias / 2.0**op.bias_bits) * 2.0**op.bias_bits
    assert np.abs(without - op.bias).max() * op.rescale.multiplier.max() / 2.0**op.rescale.shift > 10  # of 2**-12
