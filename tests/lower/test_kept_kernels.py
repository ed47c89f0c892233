"""Networks with pruned kernels: packed without them where that is smaller, with the integers of all codes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit.formats import default_layout, pack
from fewbit.passes import PruneKernels
from fewbit.program import Program, Reference, ops


def pictures():
    return torch.randn(2, 3, 8, 8), nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 16, 3, stride=2), nn.ReLU(),
        nn.Conv2d(16, 16, (3, 1), groups=2, dilation=(1, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4),
    )  # fmt: skip


def sequences():
    return torch.randn(2, 12, 40), nn.Sequential(nn.Conv1d(12, 16, 5), nn.ReLU(), nn.Conv1d(16, 24, 3, dilation=2))


def packed(build, ratio, weights="int4"):
    torch.manual_seed(0)
    x, model = build()
    passes = [PruneKernels(ratio, x)] if ratio else []
    quantize = fb.Quantize(weights, "int8", calibration=[x])
    return x, fb.pack(fb.compress(model.eval(), *passes, quantize), example=x)


def with_all_codes(program):
    """The same ops with every code stored."""
    made = []
    for op in program.ops:
        if isinstance(op, ops.Conv) and op.weight.maps:
            weight, layout = op.weight, default_layout(op.weight.format)
            data = pack(weight.codes(), weight.format, layout)
            op = replace(op, weight=replace(weight, layout=layout, data=data, maps=0))
        made.append(op)
    return Program(tuple(made), signature=program.signature)


@pytest.mark.parametrize("weights", ["int4", "int8", "ternary"])
@pytest.mark.parametrize("build", [pictures, sequences])
def test_a_pruned_network_is_smaller_and_gives_the_integers_of_all_codes(build, weights):
    x, pruned = packed(build, 0.8, weights)
    _, whole = packed(build, 0.0, weights)
    kept = [op.weight for op in pruned.ops if isinstance(op, ops.Conv)]
    assert any(weight.maps for weight in kept)
    # Maps that nothing reads or fills are gone, so that more than a fifth of the kernels that are left is kept.
    assert all(0 < weight.kept_kernels < 0.4 * weight.kernels for weight in kept if weight.maps)
    plain = with_all_codes(pruned)
    sizes = [len(each.to_bytes()) for each in (pruned, plain, whole)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert not any(op.weight.maps for op in whole.ops if isinstance(op, ops.Conv))
    assert fb.cost(pruned).macs < fb.cost(plain).macs < fb.cost(whole).macs
    frames = np.random.default_rng(0).normal(size=(9, pruned.inputs)).astype(np.float32)
    results = []
    for each in (pruned, plain):
        reference = Reference(each.ops)
        results.append(reference.step(frames, reference.init_state(), True)[0])
    assert np.array_equal(*results)
    assert len(np.unique(results[0])) > 20
    assert np.array_equal(pruned(x[0].numpy()), plain(x[0].numpy()))


def test_few_zeros_are_stored_as_they_are():
    """A bit for each kernel would cost more than it saves."""
    _, program = packed(pictures, 0.05, "ternary")
    assert not any(op.weight.maps for op in program.ops if isinstance(op, ops.Conv))


def test_the_causal_layer_leaves_out_kernels_of_zeros():
    torch.manual_seed(0)
    model = fb.nn.Chain(fb.nn.CausalConv1d(16, 16, 3))
    with torch.no_grad():
        for row, weight in enumerate(model[0].weight.view(16, 3, 16)):
            weight[:, (torch.arange(16) + row) % 16 >= 4] = 0
    x = torch.randn(2, 9, 16)
    program = fb.pack(fb.compress(model, fb.Quantize("int8", "int8", calibration=[x])), example=x)
    (conv,) = (op for op in program.ops if isinstance(op, ops.Conv))
    assert (conv.weight.maps, conv.weight.kernels, conv.weight.kept_kernels) == (16, 256, 64)
