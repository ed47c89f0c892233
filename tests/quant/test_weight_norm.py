"""Weights that torch makes of several parameters: quantizers stand behind the norm."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import fewbit as fb
from fewbit.errors import ArgumentError, QuantizationError
from fewbit.passes import SQWA
from fewbit.quant import attach, detach, quantizers, selection_of, weight_names

X, Y = torch.randn(64, 6), torch.randint(0, 3, (64,))
BATCHES = [(X[:32], Y[:32]), (X[32:], Y[32:])]


def network():
    torch.manual_seed(0)
    first = parametrizations.weight_norm(nn.Linear(6, 8))
    return nn.Sequential(first, nn.ReLU(), parametrizations.spectral_norm(nn.Linear(8, 3)))


@pytest.mark.parametrize("spec", ["ternary", "int4:row", "ternary+adaptive", "int3+learned"])
def test_normed_weights_are_quantized_trained_and_packed(spec):
    model = network()
    assert weight_names(model) == ["0.weight", "2.weight"]
    student = fb.compress(
        model,
        fb.Quantize(weights=spec, activations="int8", calibration=BATCHES),
        fb.Finetune(BATCHES, fb.CrossEntropy(), epochs=3, lr=1e-2, progress=False),
    ).eval()
    assert len(student[0].weight.unique()) <= (16 * 8 if "row" in spec else 8)
    before, after = (net[0].parametrizations.weight.original0 for net in (model, student))
    assert not torch.equal(before, after)  # the gains of the norm learn
    program = fb.pack(student, example=BATCHES, time=None)
    with torch.no_grad():
        wanted = student(X[:8]).numpy()
    # A sum that lies between two codes may be rounded the other way, which moves a result by a code.
    np.testing.assert_allclose(np.stack([program(x.numpy()) for x in X[:8]]), wanted, atol=0.02 * np.abs(wanted).max())


def test_quantizers_come_off_and_the_norm_stays():
    model = network()
    before = model[0].weight.detach().clone()
    attach(model, weights="int8")
    selection = selection_of(model)
    assert [name for name, _ in quantizers(model)] == ["0.weight", "2.weight"]
    assert not torch.equal(model[0].weight, before)
    detach(model)
    assert torch.equal(model[0].weight, before)
    assert len(model[0].parametrizations.weight) == 1
    again = attach(network(), **selection)
    again.load_state_dict(attach(model, **selection).state_dict())
    assert torch.equal(again[0].weight, model[0].weight)


def test_an_average_of_weights_is_no_average_of_their_parts():
    average = SQWA(BATCHES, fb.CrossEntropy(), 1, 1, cycles=3, progress=False)
    with pytest.raises(
        QuantizationError, match=r"made of several parameters \(weight norm\), whose mean is not the mean"
    ):
        fb.compress(network(), fb.Quantize(weights="ternary"), average)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated")
def test_the_old_weight_norm_is_refused_with_what_to_do():
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 3)))
    with pytest.raises(ArgumentError, match=r"Sequential cannot be copied.*remove_weight_norm"):
        fb.compress(model, fb.Quantize(weights="int8"))
    nn.utils.remove_weight_norm(model[0])
    assert len(fb.compress(model, fb.Quantize(weights="ternary"))[0].weight.unique()) <= 3
