"""Symmetric weight noise: the gradient of the mirrored pair, weights put back exactly, and flatter minima."""

import functools
import math

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader, TensorDataset

from fewbit.analysis import sharpness
from fewbit.errors import ArgumentError
from fewbit.models import CharLM
from fewbit.nn import SRU, Chain
from fewbit.passes import Finetune, Quantize, compress
from fewbit.train import CTC, CrossEntropy, CTCBatch, SymmetricSGD, fit, linear

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, :3].sum(1) > 0).long() + (X[:, 3] > 0).long()
KINDS = ["sign", "sphere", "gauss"]


def batches():
    return DataLoader(TensorDataset(X, Y), 16, shuffle=True, generator=torch.Generator().manual_seed(1))


def network(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))


def closure_of(model, optimizer, batch=(X, Y)):
    def closure():
        optimizer.zero_grad()
        loss = CrossEntropy()(model, batch, 0.0)
        loss.backward()
        return loss.detach()

    return closure


def clone(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("noise", KINDS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_on_a_quadratic_the_mirrored_gradient_is_exact_and_the_one_sided_is_not(noise, symmetric):
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    a = a @ a.T
    w = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    optimizer = SymmetricSGD([w], lr=0.0, alpha=0.5, noise=noise, symmetric=symmetric)

    def closure():
        optimizer.zero_grad()
        loss = w.flatten() @ a @ w.flatten() / 2
        loss.backward()
        return loss.detach()

    optimizer.step(closure)
    assert torch.allclose(w.grad.flatten(), a @ w.detach().flatten(), rtol=1e-10) is symmetric


def test_on_a_quartic_the_mean_gradient_is_that_of_the_smoothed_loss():
    """E of ((w + n)^3 + (w - n)^3) / 2 for n = +-s: w^3 + 3 w s^2."""
    start = torch.randn(6, 7, generator=torch.Generator().manual_seed(0))
    w = start.clone().requires_grad_()
    optimizer = SymmetricSGD([w], lr=0.0, alpha=0.5, noise="gauss")

    def closure():
        optimizer.zero_grad()
        loss = w.pow(4).sum() / 4
        loss.backward()
        return loss.detach()

    found = []
    for _ in range(2000):
        optimizer.step(closure)
        found.append(w.grad.clone())
    gradients = torch.stack(found)
    s2 = 0.25 * start.var(correction=0)
    error = (gradients.mean(0) - start**3 - 3 * start * s2) / (gradients.std(0) / len(found) ** 0.5)
    assert error.square().mean().sqrt() < 1.5  # in standard errors
    assert error.abs().max() < 4.5


@pytest.mark.parametrize("noise", KINDS)
def test_the_gradient_is_the_mean_of_two_independent_ones_and_weights_come_back_bit_for_bit(noise):
    model = network(dropout=0.4)
    before = clone(model)
    optimizer = SymmetricSGD(model.parameters(), lr=0.0, alpha=0.3, noise=noise)
    drawn = list(optimizer._draw().items())
    torch.manual_seed(7)
    loss = optimizer.step(closure_of(model, optimizer))
    found = [parameter.grad.clone() for parameter in model.parameters()]
    assert equal(before, clone(model))
    losses, sides = [], []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, n in drawn:
                parameter.add_(n, alpha=sign)
        torch.manual_seed(7)  # the same dropout masks
        losses.append(closure_of(model, optimizer)())
        sides.append([parameter.grad.clone() for parameter in model.parameters()])
        with torch.no_grad():
            for parameter, old in zip(model.parameters(), before, strict=True):
                parameter.copy_(old)
    assert loss == pytest.approx(sum(map(float, losses)) / 2, rel=1e-6)
    for a, b, c in zip(found, *sides, strict=True):
        assert torch.allclose(a, (b + c) / 2, atol=1e-6)


def test_noise_has_the_size_that_was_asked_for_and_weights_only_get_it():
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Linear(5, 3), nn.Linear(3, 1))
    with torch.no_grad():
        model[2].weight.fill_(0.7)  # does not vary
        model[0].weight += 3.0  # the mean is no part of the size
    rms = {id(p): (p - p.mean()).square().mean().sqrt().item() for p in model.parameters()}
    rms[id(model[2].weight)] = 5**-0.5
    draws = {kind: SymmetricSGD(model.parameters(), alpha=0.2, noise=kind)._draw() for kind in KINDS}
    for drawn in draws.values():
        assert {id(p) for p in drawn} == {id(model[0].weight), id(model[2].weight)}
    for p, n in draws["sign"].items():
        assert torch.allclose(n.abs(), torch.tensor(0.2 * rms[id(p)]), rtol=1e-4)
        assert len(n.unique()) == 2
        assert torch.equal(n + (-n), torch.zeros_like(n))
    for p, n in draws["sphere"].items():
        assert n.square().mean().sqrt().item() == pytest.approx(0.2 * rms[id(p)], rel=1e-4)
    model[0].weight.requires_grad_(False)
    assert len(SymmetricSGD(model.parameters())._draw()) == 1


def test_alpha_rises_in_the_first_steps():
    w = torch.randn(4, 4, requires_grad=True)
    optimizer = SymmetricSGD([w], lr=0.0, alpha=0.4, warmup=4)
    sizes = []

    def closure():
        optimizer.zero_grad()
        loss = w.sum()
        loss.backward()
        return loss.detach()

    for _ in range(6):
        sizes.append(float(next(iter(optimizer._draw().values())).abs().max()))
        optimizer.step(closure)
    assert [size / sizes[-1] for size in sizes] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 1e-2, "nesterov": True}])
def test_without_noise_it_is_plain_sgd_bit_for_bit(settings):
    plain, quiet = network(), network()
    settings = {"lr": 0.1, "momentum": 0.9} | settings
    one, other = SGD(plain.parameters(), **settings), SymmetricSGD(quiet.parameters(), alpha=0.0, **settings)
    for _ in range(5):
        one.step(closure_of(plain, one))
        other.step(closure_of(quiet, other))
    assert equal(clone(plain), clone(quiet))


def test_momentum_decay_and_clipping_act_on_the_clean_weights_and_the_mean_gradient():
    model = network()
    before = clone(model)
    settings = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.5}
    optimizer = SymmetricSGD(model.parameters(), alpha=0.3, clip_norm=1e-3, **settings)
    optimizer.step(closure_of(model, optimizer))
    gradient = [parameter.grad for parameter in model.parameters()]
    assert torch.cat([g.flatten() for g in gradient]).norm().item() == pytest.approx(1e-3, rel=1e-3)
    for new, old, g in zip(clone(model), before, gradient, strict=True):
        assert torch.allclose(new, old - 0.1 * (g + 0.5 * old), atol=1e-7)


@pytest.mark.parametrize("sides", [{0}, {1}, {0, 1}])
def test_a_loss_of_nan_at_either_point_changes_nothing_and_is_counted(sides):
    model = network()
    optimizer = SymmetricSGD(model.parameters(), lr=0.1)
    optimizer.step(closure_of(model, optimizer))
    before, momenta = clone(model), [s["momentum_buffer"].clone() for s in optimizer.state.values()]
    calls = []

    def closure():
        calls.append(len(calls))
        factor = math.nan if calls[-1] in sides else 1.0
        optimizer.zero_grad()
        loss = CrossEntropy()(model, (X, Y), 0.0) * factor
        loss.backward()
        return loss.detach()

    assert math.isnan(optimizer.step(closure))
    assert optimizer.skipped == 1
    assert equal(before, clone(model))
    assert equal(momenta, [s["momentum_buffer"] for s in optimizer.state.values()])
    optimizer.step(closure_of(model, optimizer))
    assert optimizer.skipped == 1
    assert not equal(before, clone(model))


def test_an_error_in_the_closure_puts_the_weights_back():
    model = network()
    before = clone(model)

    def closure():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SymmetricSGD(model.parameters()).step(closure)
    assert equal(before, clone(model))


def test_the_same_seed_and_step_give_the_same_noise_also_after_a_resume(tmp_path):
    def train(objective, checkpoint=None):
        model = network(dropout=0.2)
        optimizer = SymmetricSGD(model.parameters(), lr=0.05, alpha=0.3, warmup=10)
        fit(
            model,
            batches(),
            objective,
            epochs=4,
            optimizer=lambda _, lr: optimizer,
            schedule=linear(1.0, 0.1),
            clip_norm=math.inf,
            checkpoint=checkpoint,
            progress=False,
        )
        return clone(model)

    class Stop(CrossEntropy):
        def __call__(self, model, batch, progress):
            if progress > 0.6:
                raise KeyboardInterrupt
            return super().__call__(model, batch, progress)

    whole = train(CrossEntropy())
    with pytest.raises(KeyboardInterrupt):
        train(Stop(), tmp_path / "checkpoint")
    assert equal(whole, train(CrossEntropy(), tmp_path / "checkpoint"))
    one, other = (SymmetricSGD(network().parameters(), seed=seed)._draw() for seed in (0, 1))
    assert not equal(one.values(), other.values())


def test_the_clip_of_fit_acts_on_the_mean_of_both_gradients():
    def train(by_loop, by_optimizer):
        model = network()
        noisy = functools.partial(SymmetricSGD, alpha=0.4, clip_norm=by_optimizer)
        fit(model, batches(), CrossEntropy(), epochs=2, lr=0.5, optimizer=noisy, clip_norm=by_loop, progress=False)
        return clone(model)

    wanted = train(math.inf, 0.05)
    assert equal(train(0.05, math.inf), wanted)
    assert equal(train(1.0, 0.05), wanted)  # the smaller one counts
    assert not equal(train(math.inf, math.inf), wanted)


def test_it_trains_networks_of_every_kind():
    torch.manual_seed(0)
    settings = {"optimizer": functools.partial(SymmetricSGD, alpha=0.2, momentum=0.9), "clip_norm": math.inf}
    x = torch.randint(9, (4, 10))
    text = [(x, (x + 1) % 9)]
    unaligned = CTCBatch(torch.randn(2, 10, 6), torch.tensor([10, 8]), torch.tensor([1, 2, 3]), torch.tensor([2, 1]))
    tied = CharLM(9, 8, 1, "lstm")
    tied.head.weight = tied.embedding.weight
    cases = [
        (CharLM(9, 8, 2, "lstm"), text, CrossEntropy()),
        (CharLM(9, 8, 2, "sru"), text, CrossEntropy()),
        (tied, text, CrossEntropy()),
        (Chain(SRU(6, 8), nn.Linear(8, 4)), [unaligned], CTC()),
    ]
    for model, data, objective in cases:
        before = objective(model, data[0], 0.0).item()
        found = compress(model, Finetune(data, objective, 40, 0.1, progress=False, **settings))
        assert objective(found, data[0], 0.0).item() < 0.9 * before
    quantized = compress(
        network(), Quantize("int4"), Finetune(batches(), CrossEntropy(), 2, progress=False, **settings)
    )
    assert len(quantized[0].weight.unique()) <= 15


def test_more_noise_gives_flatter_minima():
    def rise(alpha, seed):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3))
        optimizer = SymmetricSGD(model.parameters(), lr=0.1, alpha=alpha, seed=seed)
        data = [(X[:32], Y[:32]), (X[32:], Y[32:])]
        fit(
            model,
            data,
            CrossEntropy(),
            epochs=60,
            optimizer=lambda _, lr: optimizer,
            clip_norm=math.inf,
            progress=False,
        )
        loss = functools.partial(CrossEntropy(), batch=(X, Y), progress=0.0)
        found = sharpness(model, lambda m: loss(m).item(), scales=(0.4,), directions=4)
        return sum(found.rises(0.4)) / 4

    means = [sum(rise(alpha, seed) for seed in range(3)) / 3 for alpha in (0.0, 0.4)]
    assert means[1] < 0.8 * means[0]


def test_faults_are_said():
    with pytest.raises(ArgumentError, match=r"alpha=-0\.1, noise='sign'; wanted alpha of 0 or more"):
        SymmetricSGD(network().parameters(), alpha=-0.1)
    with pytest.raises(ArgumentError, match=r"alpha=nan"):
        SymmetricSGD(network().parameters(), alpha=math.nan)
    with pytest.raises(ArgumentError, match="noise='uniform'; wanted"):
        SymmetricSGD(network().parameters(), noise="uniform")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="needs a closure"):
        SymmetricSGD(network().parameters()).step()
