"""Steps that follow their weights: never a worse step, and a freeze after which training settles on a fixed grid."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fewbit.errors import FormatError, QuantizationError
from fewbit.formats import Binary, Int, PerRow, Ternary
from fewbit.models import CharLM
from fewbit.nn import GRU, LSTM, SRU
from fewbit.passes import Finetune, Quantize, compress
from fewbit.quant import (
    AdaptiveUniform,
    activation_quantizer,
    attach,
    fit_step,
    quantizer_of,
    quantizers,
    refine_step,
    weight_quantizer,
)
from fewbit.quant.adaptive import FROZEN
from fewbit.quant.following import Follower
from fewbit.train import CrossEntropy, fit

FORMATS = (Ternary(), Int(3), Int(4), Int(8))


def rows(seed, count=3, size=400):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def error(x, step, format):
    z = (torch.sign(x) * torch.floor(x.abs() / step[:, None] + 0.5)).clamp(format.lo, format.hi)
    return (x - z * step[:, None]).square().sum(1)


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


def steps(model):
    return [quantizer.scale.clone() for _, quantizer in quantizers(model)]


@given(seed=st.integers(0, 10**6), factor=st.floats(0.2, 5.0), iterations=st.integers(0, 6))
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_an_estimate_is_never_worse_than_the_step_before(format, seed, factor, iterations):
    x = rows(seed, 2, 60)
    start = fit_step(x, format) * factor
    found = refine_step(x, start, format, iterations)
    assert (error(x, found, format) <= error(x, start, format) * (1 + 1e-12)).all()
    assert ((found / start - 1).abs() <= 0.2 + 1e-9).all()


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
@pytest.mark.parametrize("format", FORMATS[:3], ids=str)
def test_estimates_converge_to_the_fitted_step(format, factor):
    x = rows(0, 2, 20_000)
    best = fit_step(x, format)
    step = best * factor
    for _ in range(60):
        step = refine_step(x, step, format)
    assert torch.allclose(step, best, rtol=2e-2)  # the error is so flat there that a neighbour may catch the search
    assert (error(x, step, format) <= 1.001 * error(x, best, format)).all()
    assert torch.equal(refine_step(x, best, format, 1).float(), best.float())  # no change without a change


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_an_estimate_scales_with_the_weights(format):
    x, step = rows(1), 0.4 * torch.ones(3, dtype=torch.float64)
    assert torch.equal(refine_step(8 * x, 8 * step, format), 8 * refine_step(x, step, format))


def test_zeros_of_a_mask_change_no_estimate_and_codes_of_zeros_keep_the_step():
    x, step = rows(2, 1), torch.tensor([0.7], dtype=torch.float64)
    padded = torch.cat([x, torch.zeros_like(x)], 1)
    assert refine_step(padded, step, Ternary()).item() == pytest.approx(refine_step(x, step, Ternary()).item(), 1e-12)
    wide = torch.full((1,), 100.0, dtype=torch.float64)  # every code is 0
    assert torch.equal(refine_step(x, wide, Ternary()), wide)


def test_steps_move_in_the_first_part_and_then_stand_still():
    x = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    quantizer = AdaptiveUniform(Ternary(), until=0.5, estimates=4).fit(x)
    seen = []
    for k in range(1, 21):
        quantizer.follow(x * (1 + k / 20), k / 20)
        seen.append(float(quantizer.step))
    changes = [k + 1 for k in range(1, 20) if seen[k] != seen[k - 1]]
    assert len(changes) == 4
    assert max(changes) == 10
    for progress in (0.1, 1.0):  # a later training
        quantizer.follow(3 * x, progress)
        assert float(quantizer.step) == seen[-1]
    assert float(quantizer.fit(x).follow(2 * x, 0.5)[0, 0]) != seen[-1]  # type: ignore[index]


def test_by_default_there_is_one_estimate_at_the_end_of_each_epoch_of_the_first_half():
    seen = []

    class Watch(AdaptiveUniform):
        def follow(self, x, progress, epoch_ended=False):
            before = self.step.clone()
            limit = super().follow(x, progress, epoch_ended)
            if not torch.equal(before, self.step):
                seen.append(round(progress, 9))
            return limit

    model = compress(
        network(),
        Finetune(batches(), CrossEntropy(), 4, 1e-2, progress=False),
        Quantize({"0": Watch(Ternary()), "*": "ternary"}),
        Finetune(batches(), CrossEntropy(), 8, 1e-2, progress=False),
    )
    assert seen == [1 / 8, 2 / 8, 3 / 8, 4 / 8]
    assert int(quantizer_of(model[0]).estimated) == FROZEN
    again = compress(model, Finetune(batches(), CrossEntropy(), 4, 1e-2, progress=False))
    assert len(seen) == 4
    assert torch.equal(quantizer_of(again[0]).step, quantizer_of(model[0]).step)


@pytest.mark.parametrize("spec", ["ternary:row+adaptive", "int4/3+adaptive"])
def test_each_row_follows_its_own_weights(spec):
    x = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
    quantizer = weight_quantizer(spec).fit(x)
    moved = x * torch.tensor([0.9, 1.0, 1.1, 5.0])[:, None]
    quantizer.follow(moved, 0.1, epoch_ended=True)
    for place in range(4):
        alone = weight_quantizer(spec).fit(x[place : place + 1])
        alone.follow(moved[place : place + 1], 0.1, epoch_ended=True)
        torch.testing.assert_close(quantizer.step[place : place + 1], alone.step, rtol=1e-5, atol=0)


def test_a_step_never_becomes_nothing_beside_its_weights():
    x = rows(3, 1)
    lost = torch.tensor([1e-30], dtype=torch.float64)
    assert refine_step(x, lost, Ternary()).item() == pytest.approx(1e-8 * float(x.abs().max()), rel=1e-12)


def test_an_estimate_may_not_leave_the_range_in_either_direction_however_many_steps_it_takes():
    x = rows(4, 1)
    best = fit_step(x, Ternary())
    for factor, bound in ((0.1, 1.2), (2.0, 0.8)):
        start = best * factor
        assert refine_step(x, start, Ternary(), 50).item() == pytest.approx(bound * start.item(), rel=1e-12)
        wider = refine_step(x, start, Ternary(), 50, most=0.5).item()
        assert wider == pytest.approx((1.5 if bound > 1 else 0.5) * start.item(), rel=1e-12)


@pytest.mark.parametrize("estimates", [None, 6])
def test_what_is_frozen_is_not_moved_by_any_later_training(estimates):
    x = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    quantizer = AdaptiveUniform(Ternary(), until=0.5, estimates=estimates).fit(x)
    for k in range(1, 11):
        quantizer.follow(x * (1 + k / 20), k / 10, epoch_ended=True)
    frozen = quantizer.step.clone()
    loaded = AdaptiveUniform(Ternary(), until=0.5, estimates=estimates)
    loaded.load_state_dict(quantizer.state_dict())
    early = AdaptiveUniform(Ternary(), until=0.5, estimates=estimates).fit(x)
    early.freeze()
    fresh = early.step.clone()
    for k in range(1, 11):
        for one in (quantizer, loaded, early):
            one.follow(3 * x, k / 10, epoch_ended=True)
    assert torch.equal(quantizer.step, frozen)
    assert torch.equal(loaded.step, frozen)
    assert torch.equal(early.step, fresh)
    early.fit(x).follow(3 * x, 0.3, epoch_ended=True)  # fitted anew, it moves again
    assert not torch.equal(early.step, fresh)


def test_the_last_estimate_is_that_at_the_end_of_the_first_part():
    x = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    for progress, moves in ((0.5, True), (0.51, False)):
        quantizer = AdaptiveUniform(Ternary(), until=0.5).fit(x)
        before = quantizer.step.clone()
        quantizer.follow(1.1 * x, progress, epoch_ended=True)
        assert torch.equal(quantizer.step, before) != moves
        assert int(quantizer.estimated) == FROZEN
    without = AdaptiveUniform(Ternary(), until=0.0, estimates=3).fit(x)
    before = without.step.clone()
    without.follow(1.1 * x, 0.1)
    assert torch.equal(without.step, before)


def test_frozen_weights_are_neither_clipped_nor_followed():
    model = attach(network(), "ternary+adaptive")
    masters = [model[place].parametrizations.weight.original for place in (0, 2)]
    masters[0].requires_grad_(False)
    with torch.no_grad():
        for master in masters:
            master.mul_(3)
    before, (still, moving) = steps(model), [master.clone() for master in masters]
    Follower(model)(0.1, epoch_ended=True)
    assert torch.equal(masters[0], still)
    assert torch.equal(steps(model)[0], before[0])
    assert not torch.equal(masters[1], moving)
    assert not torch.equal(steps(model)[1], before[1])


@pytest.mark.parametrize(("format", "half"), [(Ternary(), 1.5), (Int(4), 7.5)])
def test_masters_are_kept_within_half_a_step_of_the_last_code(format, half):
    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    quantizer = AdaptiveUniform(format, PerRow()).fit(x)
    limit = quantizer.follow(x, 0.1)
    torch.testing.assert_close(limit, (half * quantizer.step).expand_as(limit))


def test_no_estimate_moves_the_step_by_more_than_a_fifth():
    """The guard against an estimate that runs away, in one call and from masters of any size."""
    x = torch.randn(20, 20, generator=torch.Generator().manual_seed(0))
    for factor in (0.6, 10.0, 1e6):
        quantizer = AdaptiveUniform(Ternary()).fit(x)
        before = float(quantizer.step)
        quantizer.follow(factor * x, 0.1, epoch_ended=True)
        assert 0.8 * before * (1 - 1e-6) <= float(quantizer.step) <= 1.2 * before * (1 + 1e-6)
        assert float(quantizer.step) != before


def test_batch_statistics_are_measured_anew_when_the_steps_are_frozen(monkeypatch):
    seen = []
    monkeypatch.setattr("fewbit.train.loop.refresh_norms", lambda model, batches: seen.append(len(batches)))
    data = batches()
    for spec, times in (("ternary+adaptive", 1), ("ternary", 0)):
        compress(network(), Quantize(spec), Finetune(data, CrossEntropy(), 4, 1e-2, progress=False))
        assert seen == [len(data)] * times
        seen.clear()


@pytest.mark.parametrize("quiet", [{"until": 0.0}, {"estimates": 0}])
def test_without_estimates_it_is_a_fixed_step_with_a_clip(quiet):
    x = torch.randn(5, 7)
    quantizer = AdaptiveUniform(Int(3), PerRow(), **quiet).fit(x)
    before = quantizer.step.clone()
    limit = quantizer.follow(3 * x, 0.7)
    assert torch.equal(quantizer.step, before)
    assert torch.equal(limit, 3.5 * before.expand(5, 7))
    quantizer.freeze()
    assert AdaptiveUniform(Int(3), clip=False, **quiet).fit(x).follow(x, 0.7) is None


@pytest.mark.parametrize("spec", ["ternary+adaptive", "int3:row+adaptive", "int4/3+adaptive"])
def test_masters_stay_within_the_clip_and_codes_on_the_grid(spec):
    model = compress(network(), Quantize(spec), Finetune(batches(), CrossEntropy(), 4, 3e-2, progress=False))
    for layer in (model[0], model[2], model[4]):
        quantizer, master = quantizer_of(layer), layer.parametrizations.weight.original
        limit = (quantizer.format.hi + 0.5) * quantizer._unit(master, quantizer.step)
        assert (master.abs() <= limit * (1 + 1e-6)).all()
        assert torch.equal(layer.weight, quantizer.codes(master).dequantize())


class Stop(CrossEntropy):
    """Stops a training at a progress."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def __call__(self, model, batch, progress):
        if progress >= self.at:
            raise KeyboardInterrupt
        return super().__call__(model, batch, progress)


@pytest.mark.parametrize("spec", ["ternary+adaptive", "ternary+learned"])
@pytest.mark.parametrize("at", [0.3, 0.7])
def test_a_stopped_training_goes_on_to_the_same_steps_and_codes(tmp_path, spec, at):
    def retrain(objective, folder):
        model = attach(network(), spec)
        fit(model, batches(), objective, epochs=6, checkpoint=folder / "checkpoint", progress=False)
        return model

    whole = retrain(CrossEntropy(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        retrain(Stop(at), tmp_path / "broken")
    again = retrain(CrossEntropy(), tmp_path / "broken")
    assert all(torch.equal(a, b) for a, b in zip(steps(whole), steps(again), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_freeze_lets_the_error_settle_on_a_grid_that_was_trained_on():
    """An estimate after the last update makes a network that nobody trained; with the freeze there is none."""

    class Watch(AdaptiveUniform):
        moved = 0.0

        def follow(self, x, progress, epoch_ended=False):
            before = self.codes(x).dequantize() if self.step.numel() else x
            limit = super().follow(x, progress, epoch_ended)
            if progress > 0.5 + 1e-9:
                self.moved += float((self.codes(x).dequantize() - before).abs().sum())
            return limit

    moved = []
    for until, clip in ((0.5, True), (1.0, False)):
        model = compress(
            network(),
            Finetune(batches(), CrossEntropy(), 4, 1e-2, progress=False),
            Quantize(Watch(Ternary(), until=until, clip=clip)),
            Finetune(batches(), CrossEntropy(), 8, 1e-2, progress=False),
        )
        moved.append(sum(quantizer.moved for _, quantizer in quantizers(model)))
    assert moved[0] == 0.0
    assert moved[1] > 0.1


def test_the_error_of_the_step_ends_lower_than_that_of_a_fixed_one():
    """What following is for: the ratio of the error to that of the best step, mean over layers."""

    def ratio(spec):
        found = []
        for seed in range(3):
            model = compress(
                network(seed),
                Finetune(batches(seed), CrossEntropy(), 4, 1e-2, progress=False),
                Quantize(spec),
                Finetune(batches(seed), CrossEntropy(), 12, 1e-2, progress=False),
            )
            for layer in (model[0], model[2], model[4]):
                flat = layer.parametrizations.weight.original.detach().reshape(1, -1).double()
                own = quantizer_of(layer).scale.reshape(1).double()
                best = fit_step(flat, Ternary())
                found.append(float(error(flat, own, Ternary()) / error(flat, best, Ternary())))
        return sum(found) / len(found)

    assert ratio("ternary+adaptive") < ratio("ternary")


def test_it_works_on_recurrent_weights():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    text = [(torch.randint(9, (4, 12), generator=generator), torch.randint(9, (4, 12), generator=generator))]
    model = compress(
        CharLM(9, 8, 2, "lstm"), Quantize("ternary+adaptive"), Finetune(text, CrossEntropy(), 6, 5e-2, progress=False)
    )
    found = list(quantizers(model))
    assert {name.split(".")[0] for name, _ in found} == {"embedding", "rnn0", "rnn1", "head"}
    assert all(int(quantizer.estimated) == FROZEN for _, quantizer in found)


def test_faults_are_said():
    with pytest.raises(QuantizationError, match=r"until=1\.5, estimates=None; wanted 0\.\.1"):
        AdaptiveUniform(until=1.5)
    with pytest.raises(QuantizationError, match="a binary step is the mean"):
        AdaptiveUniform(Binary())
    with pytest.raises(FormatError, match=r"'uint2\+adaptive' is a spec of|the step of a signal is fixed"):
        activation_quantizer("uint2+adaptive")


@pytest.mark.parametrize(
    ("layer", "recurrent"),
    [(nn.Linear(3, 4), False), (LSTM(3, 4), True), (nn.LSTM(3, 4), True), (GRU(3, 4), True), (SRU(3, 4), True)],
)
def test_masters_of_recurrent_layers_are_not_clipped_by_default(layer, recurrent):
    for clip, clipped in ((None, not recurrent), (True, True), (False, False)):
        model = attach(copy.deepcopy(layer), AdaptiveUniform(Ternary(), clip=clip))
        for _, quantizer in quantizers(model):
            x = torch.zeros(4, 3) if quantizer.step.numel() == 1 else torch.zeros_like(quantizer.step)
            assert (quantizer.follow(x, 0.1) is not None) == clipped
