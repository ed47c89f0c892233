"""Learned steps: the gradient is that of the published equation, and it moves the step to where the loss is lower."""

import pytest
import torch
from torch import nn

from fewbit.errors import FormatError, QuantizationError
from fewbit.formats import Binary, Int, PerGroup, PerRow, PerTensor, Ternary, UInt
from fewbit.passes import Finetune, Quantize, compress
from fewbit.quant import activation_quantizer, attach, calibrate, quantizers
from fewbit.quant.learned import LEAST, LearnedActivation, LearnedUniform
from fewbit.train import CrossEntropy, SymmetricSGD

X = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("format", [Ternary(), Int(4)], ids=str)
@pytest.mark.parametrize("per", [PerTensor(), PerRow(), PerGroup(4)], ids=str)
def test_the_gradient_of_the_step_is_that_of_the_equation(format, per):
    quantizer = LearnedUniform(format, per).fit(X)
    with torch.no_grad():
        quantizer.factor.mul_(torch.linspace(0.6, 1.2, quantizer.factor.numel()))
    x = X.clone().requires_grad_()
    downhill = torch.randn(6, 10, generator=torch.Generator().manual_seed(1))
    (quantizer(x) * downhill).sum().backward()
    unit = quantizer._unit(X, quantizer.scale)
    v = X / unit
    slope = torch.where(v.abs() <= format.hi, quantizer.codes(X).values - v, quantizer.codes(X).values)
    share = 1 / (X.numel() / quantizer.step.numel() * format.hi) ** 0.5
    by_number = (downhill * slope * share) * quantizer._unit(X, quantizer.step)
    if per == PerTensor():
        wanted = by_number.sum().view(1)
    elif per == PerRow():
        wanted = by_number.sum(1)
    else:
        wanted = torch.stack([part.sum(1) for part in by_number.split(4, 1)], 1).reshape(-1)
    assert torch.allclose(quantizer.factor.grad, wanted, atol=1e-6)
    assert torch.equal(x.grad, downhill * (v.abs() <= format.hi + 0.5))


@pytest.mark.parametrize("format", [UInt(2), Int(3)], ids=str)
def test_the_gradient_of_a_signal_that_is_clipped_goes_to_its_clip(format):
    quantizer = LearnedActivation(format).fit(X)
    clip = float(quantizer.scale) * format.hi
    x = torch.tensor([10 * clip, -10 * clip], requires_grad=True)
    quantizer(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    share = (2 * format.hi) ** -0.5
    assert float(quantizer.factor.grad) == pytest.approx((format.hi + format.lo) * float(quantizer.step) * share, 1e-5)


def test_forward_is_the_grid_and_starts_at_the_fitted_step():
    from fewbit.quant import Uniform

    learned, plain = LearnedUniform(Int(3), PerRow()).fit(X), Uniform(Int(3), PerRow()).fit(X)
    assert torch.equal(learned(X), plain(X))
    with torch.no_grad():
        learned.factor.mul_(0.7)
    assert torch.equal(learned(X), learned.codes(X).dequantize())
    assert torch.equal(learned.scale, 0.7 * plain.scale)


def test_descent_finds_the_step_of_a_grid():
    torch.manual_seed(0)
    target = 0.25 * torch.randint(-3, 4, (20, 20)).float()
    quantizer = LearnedUniform(Int(3)).fit(0.45 * torch.randn(20, 20))
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        (quantizer(target) - target).square().sum().backward()
        optimizer.step()
    assert float(quantizer.scale) == pytest.approx(0.25, rel=0.02)


def test_a_step_never_turns_or_vanishes():
    for quantizer in (LearnedUniform(Int(3)).fit(X), LearnedActivation(UInt(2)).fit(X)):
        with torch.no_grad():
            quantizer.factor.fill_(-5.0)
        assert (quantizer.scale == quantizer.step * LEAST).all()
        assert quantizer(X).isfinite().all()


def test_frozen_steps_are_not_trained_and_a_fit_frees_them():
    data = [(torch.randn(8, 6), torch.randint(0, 3, (8,)))]
    finetune = Finetune(data, CrossEntropy(), 3, 1e-1, progress=False)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    model = compress(model, Quantize("ternary+learned", "uint2+learned", calibration=data))
    factors = [quantizer.factor for _, quantizer in quantizers(model)]
    assert len(factors) == 4
    for _, quantizer in quantizers(model):
        quantizer.freeze()
    finetune(model)
    assert all((factor == 1).all() for factor in factors)
    for _, quantizer in quantizers(model):
        quantizer.fit(X)
    finetune(model)
    assert all((quantizer.factor != 1).all() for _, quantizer in quantizers(model))


@pytest.mark.parametrize("spec", ["ternary+learned", "int4:row+learned", "int4/3+learned"])
def test_saved_equals_loaded_and_no_noise_is_put_on_steps(spec):
    def network():
        torch.manual_seed(0)
        return attach(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), spec, {"2": "int4+learned"})

    model = calibrate(network(), [torch.randn(4, 6)])
    with torch.no_grad():
        for _, quantizer in quantizers(model):
            quantizer.factor.mul_(0.8)
    other = network()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(X[:, :6]), model(X[:, :6]))
    drawn = SymmetricSGD(model.parameters())._draw()
    assert {id(parameter) for parameter in drawn} == {id(model[i].parametrizations.weight.original) for i in (0, 2)}


def test_a_learned_clip_beats_a_poor_one():
    torch.manual_seed(0)
    x = torch.randn(256, 8)
    data = [(x, (x[:, :3].sum(1) > 0).long() + 2 * (x[:, 3:6].sum(1) > 0).long())]
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    losses = []
    for spec in ("uint2", "uint2+learned"):
        poor = Quantize(activations={"2": spec}, calibration=[0.1 * x])  # ten times too narrow
        found = compress(model, poor, Finetune(data, CrossEntropy(), 150, 1e-2, progress=False))
        losses.append(CrossEntropy()(found, data[0], 1.0).item())
    assert losses[1] < 0.9 * losses[0]


def test_faults_are_said():
    with pytest.raises(QuantizationError, match=r"without \+learned"):
        LearnedUniform(Binary())
    with pytest.raises(FormatError, match=r"leave out \+learned"):
        activation_quantizer("int8:token+learned")
