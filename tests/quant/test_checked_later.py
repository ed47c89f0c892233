"""Training on a GPU does not wait for it at every weight; on a CPU all is looked at as ever."""

import pytest
import torch

from fewbit.errors import QuantizationError
from fewbit.formats import Ternary
from fewbit.quant import AdaptiveUniform, activation_quantizer, check_finite
from fewbit.quant.base import checked_later


class Far(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = property(lambda self: True)


NAN = torch.tensor([1.0, float("nan")])


def test_inside_only_numbers_on_a_gpu_are_let_pass():
    far = NAN.as_subclass(Far)
    with checked_later():
        check_finite(far, "a weight")
        with pytest.raises(QuantizationError, match="1 of 2 numbers are NaN"):
            check_finite(NAN, "a weight")
    with pytest.raises(QuantizationError, match="1 of 2 numbers are NaN"):
        check_finite(far, "a weight")


def test_a_step_on_a_gpu_is_not_looked_at_inside():
    quantizer = activation_quantizer("uint2")
    quantizer.step = quantizer.step.as_subclass(Far)  # 0: not calibrated
    with checked_later():
        quantizer.codes(torch.ones(2))
    with pytest.raises(QuantizationError, match="not calibrated"):
        quantizer.codes(torch.ones(2))


def test_what_was_estimated_is_read_only_when_an_estimate_is_due():
    weight = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    quantizer = AdaptiveUniform(Ternary(), until=0.5, estimates=5).fit(weight)
    quantizer.follow(weight, 0.15)
    assert int(quantizer.estimated) == 1
    quantizer.estimated = torch.zeros((), dtype=torch.int64, device="meta")  # cannot be read
    for progress in (0.15, 0.16, 0.19):
        quantizer.follow(weight, progress)
    with pytest.raises((RuntimeError, NotImplementedError)):
        quantizer.follow(weight, 0.2)
