"""Ternary weights by threshold (TWN): the rule by hand, how it follows its weights, and what it is good for."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fewbit.errors import FormatError
from fewbit.formats import PerGroup, PerRow, Ternary, pack, unpack
from fewbit.lower.weights import read_weight
from fewbit.passes import Finetune, Quantize, compress
from fewbit.quant import (
    TernaryThreshold,
    activation_quantizer,
    attach,
    fit_step,
    quantizer_of,
    quantizers,
    weight_quantizer,
)
from fewbit.train import CrossEntropy, fit

SPECS = ("ternary+twn", "ternary:row+twn", "ternary/5+twn")


def clouds(seed=0, count=512):
    generator = torch.Generator().manual_seed(seed)
    centres = 1.5 * torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    cloud = torch.randint(8, (count,), generator=generator)
    return centres[cloud] + 0.6 * torch.randn(count, 8, generator=generator), cloud % 3


def batches(seed=0):
    return DataLoader(TensorDataset(*clouds(1)), 64, shuffle=True, generator=torch.Generator().manual_seed(seed))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))


def by_hand(numbers):
    """The equation of the paper, a number at a time."""
    threshold = 0.7 * sum(map(abs, numbers)) / len(numbers)
    large = [abs(w) for w in numbers if abs(w) > threshold]
    step = sum(large) / len(large)
    return [step * ((w > threshold) - (w < -threshold)) for w in numbers]


def test_the_equation_by_hand_per_tensor_row_and_group():
    w = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
    whole = by_hand(w.flatten().tolist())
    assert TernaryThreshold().fit(w)(w).flatten().tolist() == pytest.approx(whole)
    for per, parts in ((PerRow(), (12,)), (PerGroup(5), (5, 5, 2))):  # two numbers in the last group, and no zeros
        wanted = [by_hand(part.tolist()) for row in w for part in row.split(parts)]
        found = TernaryThreshold(per).fit(w)(w).flatten().tolist()
        assert found == pytest.approx([q for part in wanted for q in part])


def test_the_threshold_decides_and_not_the_nearest_level():
    w = torch.tensor([1.0, 0.3, 0.3, 0.3, 0.3])  # threshold 0.308, step 1
    assert TernaryThreshold().fit(w).codes(w).values.tolist() == [1, 0, 0, 0, 0]
    w = torch.tensor([3.0, 1.0, 1.0, 0.0, 0.0])  # threshold 0.7, step 1.67: 0.8 is nearer to 0
    quantizer = TernaryThreshold().fit(w)
    assert quantizer.codes(torch.tensor([0.8, -0.8, 0.69])).values.tolist() == [1, -1, 0]


@pytest.mark.parametrize("spec", SPECS)
def test_quantized_weights_have_the_same_codes_when_fitted_anew(spec):
    w = torch.randn(6, 11, generator=torch.Generator().manual_seed(1))
    q = weight_quantizer(spec).fit(w)(w)
    again = weight_quantizer(spec).fit(q)
    assert torch.equal(again.codes(q).values, q.sign())
    assert torch.equal(again(q), q)


def test_quantizing_twice_is_once_where_threshold_and_step_are_the_smallest_numbers():
    w = torch.tensor([[2.0, 1.0, 0.0]], dtype=torch.float16) * 6e-8
    quantizer = TernaryThreshold().fit(w)
    assert quantizer(w).any()
    assert torch.equal(quantizer(quantizer(w)), quantizer(w))


def test_threshold_and_step_are_those_of_the_weights_after_every_update_until_they_are_frozen():
    model = compress(network(), Quantize("ternary+twn"), Finetune(batches(), CrossEntropy(), 2, progress=False))
    for layer in (model[0], model[2], model[4]):
        master = layer.parametrizations.weight.original.detach()
        assert torch.equal(layer.weight, TernaryThreshold().fit(master)(master))
    for _, quantizer in quantizers(model):
        quantizer.freeze()
    before = {name: (q.threshold.clone(), q.step.clone()) for name, q in quantizers(model)}
    later = compress(model, Finetune(batches(1), CrossEntropy(), 2, progress=False))
    for name, quantizer in quantizers(later):
        assert (quantizer.threshold, quantizer.step) == before[name]
    w = torch.randn(3, 4)
    quantizer.fit(w).follow(2 * w, 0.5)
    assert torch.equal(quantizer(2 * w), 2 * TernaryThreshold().fit(w)(w))


@pytest.mark.parametrize("spec", SPECS)
def test_saved_equals_loaded_and_packed_codes_are_those_of_training(spec):
    model = compress(network(), Quantize(spec), Finetune(batches(), CrossEntropy(), 2, progress=False))
    other = attach(network(1), spec)
    other.load_state_dict(model.state_dict())
    x, _ = clouds(2)
    assert torch.equal(other(x), model(x))
    for layer in (model[0], model[2], model[4]):
        weight = read_weight(layer, "weight")
        codes = quantizer_of(layer).codes(layer.parametrizations.weight.original.detach()).values
        assert (weight.codes == codes.numpy()).all()
        assert (unpack(pack(weight.codes, Ternary()), codes.shape[1], Ternary()) == codes.numpy()).all()


class Stop(CrossEntropy):
    """Stops a training in its middle."""

    def __call__(self, model, batch, progress):
        if progress >= 0.6:
            raise KeyboardInterrupt
        return super().__call__(model, batch, progress)


def test_a_stopped_training_goes_on_to_the_same_codes(tmp_path):
    def retrain(objective, folder):
        model = attach(network(), "ternary+twn")
        fit(model, batches(), objective, epochs=4, checkpoint=folder / "checkpoint", progress=False)
        return model.state_dict().values()

    whole = retrain(CrossEntropy(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        retrain(Stop(), tmp_path / "broken")
    assert all(torch.equal(a, b) for a, b in zip(whole, retrain(CrossEntropy(), tmp_path / "broken"), strict=True))


def test_its_error_is_near_the_least_for_normal_and_uniform_weights():
    """The claim of the paper: a threshold that needs no search is nearly the best one."""
    generator = torch.Generator().manual_seed(0)
    for w in (torch.randn(1, 50_000, generator=generator), torch.rand(1, 50_000, generator=generator) - 0.5):
        best = weight_quantizer("ternary").fit(w)
        assert torch.allclose(best.step, fit_step(w, Ternary())[0].float())
        least, found = ((w - q(w)).square().sum() for q in (best, TernaryThreshold().fit(w)))
        assert least <= found * (1 + 1e-6)
        assert found < 1.02 * least


def test_retrained_it_is_better_than_two_levels():
    """The claim of the paper: the zero is worth its bit."""

    def loss(spec, seed):
        model = compress(
            network(seed),
            Finetune(batches(seed), CrossEntropy(), 4, 1e-2, progress=False),
            Quantize(spec),
            Finetune(batches(seed), CrossEntropy(), 12, 1e-2, progress=False),
        )
        return CrossEntropy()(model, clouds(2, 2000), 1.0).item()

    twn, binary = ([loss(spec, seed) for seed in range(4)] for spec in ("ternary+twn", "binary"))
    assert all(a < b for a, b in zip(twn, binary, strict=True)), (twn, binary)


def test_faults_are_said():
    with pytest.raises(FormatError, match=r"'int4:row\+twn': \+twn is the threshold of three levels; write 'ternary:r"):
        weight_quantizer("int4:row+twn")
    with pytest.raises(FormatError, match="a binary step is the mean"):
        weight_quantizer("binary+twn")
    with pytest.raises(FormatError, match=r"'ternary\+twn' is a spec of weights; the step of a signal is fixed"):
        activation_quantizer("ternary+twn")
