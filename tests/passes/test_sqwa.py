"""SQWA: sums of codes are exact, the learning rate is that of the equation, and the mean lies in a better place."""

from copy import deepcopy
from itertools import permutations
from statistics import mean

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader, TensorDataset

from fewbit.errors import QuantizationError
from fewbit.formats import Int
from fewbit.models import CharLM
from fewbit.passes import SQWA, Finetune, Quantize, compress
from fewbit.passes.sqwa import _groups, _Mean
from fewbit.quant import attach, quantizer_of, quantizers
from fewbit.train import CrossEntropy


def clouds(seed, count=512):
    generator = torch.Generator().manual_seed(seed)
    centres = 1.5 * torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    cloud = torch.randint(8, (count,), generator=generator)
    return centres[cloud] + 0.6 * torch.randn(count, 8, generator=generator), cloud % 3


def batches(seed=0, size=64):
    return DataLoader(TensorDataset(*clouds(1)), size, shuffle=True, generator=torch.Generator().manual_seed(seed))


def network(seed=0, norm=False):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 6), *([nn.BatchNorm1d(6)] if norm else []), nn.ReLU(), nn.Linear(6, 3))


def sqwa(warmup=1, finetune=1, cycles=3, data=None, **more):
    more = {"objective": CrossEntropy(), "lr": 2e-2, "progress": False} | more
    return SQWA(data or batches(), more.pop("objective"), warmup, finetune, cycles, **more)


def codes(model):
    return [quantizer_of(m).codes(m.parametrizations.weight.original).values for m in layers(model)]


def layers(model):
    return [module for module in model.modules() if parametrize.is_parametrized(module)]


def state(model):
    return list(model.state_dict().values())


def put_mean(members, spec):
    """The mean of networks with the masters `members`, in front of one quantizer."""
    model = attach(network(), spec)
    averaged = _Mean(model, _groups(model))
    for member in members:
        with torch.no_grad():
            for layer, master in zip(layers(model), member, strict=True):
                layer.parametrizations.weight.original.copy_(master)
        averaged.add()
    averaged.put()
    return model, averaged


@pytest.mark.parametrize("spec", ["ternary", "int3:row", "int4/3"])
def test_sums_are_exact_and_do_not_know_their_order(spec):
    generator = torch.Generator().manual_seed(3)
    members = [[torch.randn(6, 8, generator=generator), torch.randn(3, 6, generator=generator)] for _ in range(3)]
    results = [put_mean(order, spec) for order in permutations(members)]
    for model, averaged in results:
        for place, (quantizer, total) in enumerate(averaged.codes.items()):
            assert total.dtype == torch.int32
            wanted = sum(quantizer.codes(member[place]).values for member in members)
            assert torch.equal(total, wanted.int())
            master = layers(model)[place].parametrizations.weight.original
            unit = quantizer._unit(master, quantizer.step) / 3
            assert torch.allclose(master / unit, wanted, atol=1e-4)
        assert all(torch.equal(a, b) for a, b in zip(state(model), state(results[0][0]), strict=True))


@pytest.mark.parametrize("count", [1, 3, 4, 7])
@pytest.mark.parametrize("spec", ["ternary", "int4:row"])
def test_the_mean_of_copies_of_a_network_is_the_network(count, spec):
    model = attach(network(), spec)
    shown = [layer.weight.clone() for layer in layers(model)]
    others = [layer.bias.clone() for layer in layers(model)]
    averaged = _Mean(model, _groups(model))
    for _ in range(count):
        averaged.add()
    averaged.put()
    for layer, weight, bias in zip(layers(model), shown, others, strict=True):
        assert torch.equal(layer.weight, weight)
        assert torch.equal(layer.bias, bias)


def test_every_cycle_gives_a_snapshot_and_the_mean_is_their_mean():
    kept, where = [], []

    def keep(number, model):
        kept.append(deepcopy(model))
        where.append(number)

    model = compress(network(), Quantize("ternary+adaptive"), sqwa(on_capture=keep, average=True))
    assert where == [1, 2, 3]
    steps = [[float(quantizer.step) for _, quantizer in quantizers(one)] for one in kept]
    assert steps[0] == steps[1] == steps[2]  # one grid
    members = zip(*(codes(one) for one in kept), strict=True)
    for found, layer, same in zip(codes(model), layers(model), members, strict=True):
        assert torch.equal(found, sum(same))
        assert quantizer_of(layer).format == Int(3)  # -3 .. 3
        assert torch.equal(layer.weight, found * quantizer_of(layer).step)
    wanted = torch.stack([one[0].bias for one in kept]).mean(0)
    assert torch.allclose(model[0].bias, wanted, atol=1e-7)


def test_the_rate_is_that_of_the_equation_at_every_update():
    rates = []

    class Watch(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    sqwa(1, 1, 2, cycle_epochs=2, lr=0.1, high=2.0, low=0.02, final_lr_scale=0.3, optimizer=Watch)(
        attach(network(), "ternary")
    )
    updates = len(batches())
    warmup, cycles, last = rates[:updates], rates[updates : 5 * updates], rates[5 * updates :]
    assert len(last) == updates
    one = [0.2 - (0.2 - 0.004) * t / (2 * updates) for t in range(2 * updates)]
    assert cycles == pytest.approx([*one, *one])
    assert (warmup[0], last[0]) == pytest.approx((0.1, 0.03))
    assert max(last) == last[0]


def test_the_objective_sees_one_progress():
    seen = []

    class Watch(CrossEntropy):
        def __call__(self, model, batch, progress):
            seen.append(progress)
            return super().__call__(model, batch, progress)

    one = sqwa(2, 2, 3, objective=Watch())
    one(attach(network(), "ternary"))
    assert one.epochs == 7
    assert seen == pytest.approx([k / len(seen) for k in range(7 * len(batches()))])


class Stop(CrossEntropy):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def __call__(self, model, batch, progress):
        if progress >= self.at:
            raise KeyboardInterrupt
        return super().__call__(model, batch, progress)


@pytest.mark.parametrize("at", [0.1, 0.45, 0.95])
def test_stopped_anywhere_it_goes_on_to_the_same_network(tmp_path, at):
    def run(objective, folder):
        one = sqwa(2, 2, 3, cycle_epochs=2, objective=objective, checkpoint=folder)
        return compress(network(), Quantize("ternary+adaptive"), one)

    whole = run(CrossEntropy(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Stop(at), tmp_path / "broken")
    again = run(CrossEntropy(), tmp_path / "broken")
    assert all(torch.equal(a, b) for a, b in zip(state(whole), state(again), strict=True))


def test_the_mean_is_better_than_its_members():
    x, y = clouds(2, 1000)
    better = []
    for seed in range(4):
        losses = []

        def look(_, model, losses=losses):
            model.eval()
            losses.append(nn.functional.cross_entropy(model(x), y).item())
            model.train()

        start = Finetune(batches(seed), CrossEntropy(), 6, 1e-2, progress=False)
        one = sqwa(4, 0, 7, data=batches(seed), average=True, on_capture=look)
        model = compress(network(seed), start, Quantize("ternary"), one).eval()
        better.append(mean(losses) - nn.functional.cross_entropy(model(x), y).item())
    assert min(better) > 0


@pytest.mark.parametrize("average", [True, False])
def test_statistics_of_batch_norm_are_those_of_the_mean(average):
    x = clouds(1)[0]
    model = compress(network(norm=True), Quantize("ternary"), sqwa(1, 0, 3, average=average)).eval()
    with torch.no_grad():
        inner = model[0](x)
    assert torch.allclose(model[1].running_mean, inner.mean(0), atol=1e-4)
    assert torch.allclose(model[1].running_var, inner.var(0), rtol=0.1)


def test_the_step_is_kept_or_fitted_anew():
    kept, fitted = (compress(network(), Quantize("ternary"), sqwa(0, 0, 3, refit=refit)) for refit in (False, True))
    before = quantizer_of(attach(network(), "ternary")[0])
    assert torch.equal(quantizer_of(kept[0]).step, before.step)
    assert torch.equal(kept[0].parametrizations.weight.original, fitted[0].parametrizations.weight.original)
    master = fitted[0].parametrizations.weight.original
    assert torch.equal(quantizer_of(fitted[0]).step, type(before)(before.format).fit(master).step)


@pytest.mark.parametrize("spec", ["ternary+adaptive", "ternary:row+adaptive", "ternary+learned", "ternary+twn"])
@pytest.mark.parametrize("refit", [False, True])
def test_steps_stand_still_from_the_first_cycle_on(spec, refit):
    """Without a warm-up nothing but the pass itself freezes them; a step fitted to the mean stands still again."""

    def steps(model):
        return [quantizer.scale.clone() for _, quantizer in quantizers(model)]

    class Look(CrossEntropy):
        def __call__(self, model, batch, progress):
            seen.append((progress, steps(model)))
            return super().__call__(model, batch, progress)

    seen, fine = [], 3
    one = sqwa(0, fine, 3, cycle_epochs=2, objective=Look(), refit=refit)
    model = compress(network(), Quantize(spec), one)
    last = 6 / (6 + fine)
    cycles = [found for progress, found in seen if progress < last - 1e-9]
    finetune = [*(found for progress, found in seen if progress >= last - 1e-9), steps(model)]
    assert len(cycles) == 6 * len(batches())
    assert len(finetune) == fine * len(batches()) + 1
    for part in (cycles, finetune):
        assert all(torch.equal(a, b) for found in part for a, b in zip(found, part[0], strict=True))
    assert refit != all(torch.equal(a, b) for a, b in zip(cycles[0], finetune[0], strict=True))


def test_it_works_on_a_recurrent_language_model():
    text = [tuple(torch.randint(9, (2, 4, 10), generator=torch.Generator().manual_seed(i))) for i in range(3)]
    torch.manual_seed(0)
    model = compress(CharLM(9, 8, 2, "lstm"), Quantize("ternary"), sqwa(1, 1, 4, data=text))
    assert all(len(module.weight.unique()) <= 3 for module in [model.embedding, model.head])


def test_faults_are_said():
    with pytest.raises(QuantizationError, match="0 cycles of 1, 1 to finetune; wanted at least one cycle"):
        sqwa(cycles=0)
    with pytest.raises(QuantizationError, match="has no quantized weights; wanted integer codes"):
        sqwa()(network())
    with pytest.raises(QuantizationError, match="has weights as binary; wanted integer codes"):
        sqwa()(attach(network(), "binary"))
    with pytest.raises(QuantizationError, match="the mean of 5 such networks needs 9 bits, above 8"):
        sqwa(cycles=5, average=True)(attach(network(), "int6"))
    with pytest.raises(QuantizationError, match="the mean of 3 such networks needs 10 bits, above 8"):
        sqwa(average=True)(attach(network(), "int8"))
