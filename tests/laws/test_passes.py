"""Laws of passes, and of `compress` around them."""

from copy import deepcopy

import pytest
import torch

from fewbit.errors import QuantizationError, SelectionError
from fewbit.passes import Quantize, compress, describe
from fewbit.testing import check_pass
from tests.laws.cases import PASSES, classifier, labelled, loader


@pytest.mark.parametrize("name", PASSES)
def test_laws(name):
    check_pass(PASSES[name], classifier(), labelled()[0])


@pytest.mark.parametrize("name", PASSES)
def test_the_callers_model_is_left_alone(name):
    model = classifier()
    before = deepcopy(model.state_dict())
    compress(model, PASSES[name]())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_an_error_says_in_which_pass_it_happened():
    with pytest.raises(SelectionError) as caught:
        compress(classifier(), Quantize(weights="ternary"), Quantize(weights={"hed": "int4"}))
    assert str(caught.value) == "no weight matches 'hed'; the model has ['0.weight', '1.weight']"
    assert caught.value.__notes__ == ["in pass 2 of 2: Quantize"]


def test_activations_without_calibration_are_refused():
    with pytest.raises(QuantizationError, match="activations need calibration=batches"):
        Quantize(activations="int8")


def test_passes_are_described_by_plain_values():
    described = describe(Quantize(weights={"1": "int8", "*": "ternary"}, activations="int8", calibration=loader()))
    assert described == [
        {
            "kind": "Quantize",
            "weights": [["1", "int8"], ["*", "ternary"]],
            "activations": "int8",
            "keep": [],
            "calibration": "DataLoader",
            "replace": False,
        }
    ]
