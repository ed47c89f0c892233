"""Networks whose columns have gone: packed without them where that is smaller, with the integers of all codes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit.formats import default_layout, pack
from fewbit.passes import PruneKernels, PruneStrided
from fewbit.program import Program, Reference, ops
from fewbit.prune import lowered


def pictures():
    return torch.randn(2, 3, 8, 8), nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU(),
        nn.Conv2d(16, 12, (1, 2)), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4),
    )  # fmt: skip


def sequences():
    return torch.randn(2, 12, 40), nn.Sequential(nn.Conv1d(12, 16, 5), nn.ReLU(), nn.Conv1d(16, 24, 3, dilation=2))


def packed(build, *passes, weights="int4"):
    torch.manual_seed(0)
    x, model = build()
    pruned = fb.compress(model.eval(), *passes) if passes else model.eval()
    return x, pruned, fb.pack(fb.compress(pruned, fb.Quantize(weights, "int8", calibration=[x])), example=x)


def with_all_codes(program):
    """The same ops with every code stored."""
    made = []
    for op in program.ops:
        if isinstance(op, ops.Conv) and op.weight.layout == "columns":
            weight, layout = op.weight, default_layout(op.weight.format)
            op = replace(op, weight=replace(weight, layout=layout, data=pack(weight.codes(), weight.format, layout)))
        made.append(op)
    return Program(tuple(made), signature=program.signature)


@pytest.mark.parametrize("weights", ["int4", "int8", "ternary"])
@pytest.mark.parametrize("build", [pictures, sequences])
def test_a_pruned_network_is_smaller_by_its_columns_and_gives_the_same_integers(build, weights):
    x, pruned, program = packed(build, PruneStrided(0.5), weights=weights)
    plain = with_all_codes(program)
    convolutions = [op.weight for op in program.ops if isinstance(op, ops.Conv)]
    for weight, found in zip(convolutions, lowered(pruned), strict=True):
        assert weight.layout == "columns"
        # A quantizer may set a whole column to 0.
        assert 0.8 * found.size <= weight.kept_columns <= found.size < 0.6 * weight.columns
        codes = pack(np.ones(weight.rows * weight.kept_columns, int), weight.format, default_layout(weight.format))
        assert weight.data.nbytes == -(-weight.columns // 8) + codes.nbytes
    assert len(program.to_bytes()) < len(plain.to_bytes())
    assert fb.cost(program).macs < 0.6 * fb.cost(plain).macs
    frames = np.random.default_rng(0).normal(size=(9, program.inputs)).astype(np.float32)
    results = []
    for each in (program, plain):
        reference = Reference(each.ops)
        results.append(reference.step(frames, reference.init_state(), True)[0])
    assert np.array_equal(*results)
    assert len(np.unique(results[0])) > 20
    x = x[0].numpy()
    assert np.array_equal(program(x), plain(x))


def test_few_zeros_are_stored_as_they_are():
    _, _, program = packed(pictures, PruneStrided(0.02))
    assert not any(op.weight.layout == "columns" for op in program.ops if isinstance(op, ops.Conv))


def test_the_smaller_of_two_layouts_is_taken():
    x, _ = pictures()
    layouts = []
    for passes in ((PruneKernels(0.8, x),), (PruneKernels(0.2, x), PruneStrided(0.7))):
        _, _, program = packed(pictures, *passes)
        layouts.append([op for op in program.ops if isinstance(op, ops.Conv)][1].weight.layout)
    assert layouts == ["kernels", "columns"]


def test_a_dense_layer_leaves_out_features_that_it_ignores():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        model[0].weight[:, 10:] = 0
    x = torch.randn(5, 40)
    program = fb.pack(fb.compress(model, fb.Quantize("int8", "int8", calibration=[x])), example=x, time=None)
    weight = next(op.weight for op in program.ops if isinstance(op, ops.Dense))
    assert (weight.layout, weight.kept_columns, weight.data.nbytes) == ("columns", 10, 5 + 160)


def test_scales_of_groups_are_stored_with_all_columns():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        model[0].weight[:, 10:] = 0
    x = torch.randn(5, 40)
    program = fb.pack(fb.compress(model, fb.Quantize("int8/8", "int8", calibration=[x])), example=x, time=None)
    assert all(op.weight.layout == "bits" for op in program.ops if isinstance(op, ops.Dense))


@pytest.mark.parametrize("columns", [96, 97])
def test_rows_that_fill_no_bytes_are_no_reason_to_leave_nothing_out(columns):
    torch.manual_seed(0)
    x, model = torch.randn(4, columns), nn.Linear(columns, 300)
    program = fb.pack(fb.compress(model, fb.Quantize("ternary", "int8", calibration=[x])), example=[x])
    assert [op.weight.layout for op in program.ops if isinstance(op, ops.Dense)] == ["trits"]
