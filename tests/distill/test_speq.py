"""SPEQ: what is drawn, that the teacher leaves no trace, and the cosine loss."""

import math
from contextlib import nullcontext
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional

from fewbit.distill import SPEQ, cosine_loss
from fewbit.distill.speq import finer_signals, finer_sites
from fewbit.errors import ArgumentError, SelectionError
from fewbit.formats import Int, UInt
from fewbit.models import CharLM
from fewbit.nn import SRU, Chain
from fewbit.passes import Finetune, Quantize, compress
from fewbit.quant import input_quantizer
from fewbit.train import CTC, CrossEntropy, CTCBatch, TruncatedBPTT, one_update

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, :3].sum(1) > 0).long() + (X[:, 3] > 0).long()
BATCH = (X, Y)
SIGNALS = {"0": None, "*": "uint2+learned"}


def network(seed=0, signals=SIGNALS):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(8, 8),
        nn.ReLU(),
        nn.Linear(8, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )
    return compress(model, Quantize("ternary", signals, calibration=[BATCH])).train()


def gradients(model, objective, batch=BATCH, seed=5):
    torch.manual_seed(seed)
    model.zero_grad()
    objective(model, batch, 0.0).backward()
    return [None if p.grad is None else p.grad.clone() for p in model.parameters()]


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def softmax(logits, temperature):
    e = (logits / temperature).exp()
    return e / e.sum(-1, keepdim=True)


def test_without_chance_or_weight_it_is_the_hard_loss_bit_for_bit():
    wanted = gradients(network(), CrossEntropy())
    for speq in (SPEQ(chance=0.0), SPEQ(weight=0.0), SPEQ(weight=lambda progress: progress)):
        assert equal(gradients(network(), speq), wanted)

    def trained(objective):
        data = [(X[:32], Y[:32]), (X[32:], Y[32:])]
        return compress(network(), Finetune(data, objective, 2, 1e-2, progress=False))

    assert equal(trained(SPEQ(chance=0.0)).state_dict().values(), trained(CrossEntropy()).state_dict().values())


@pytest.mark.parametrize("loss", ["cosine", "kl"])
def test_with_full_chance_the_teacher_is_a_copy_at_fine_signals(loss):
    """And no gradient goes through the teacher: a frozen copy in its place gives the same gradient."""
    model = network()
    torch.manual_seed(5)
    torch.rand(3)  # what the draw of the sites takes
    copy = deepcopy(model)
    sites = finer_sites(copy, 8)
    with torch.no_grad(), finer_signals(sites, 8):
        teacher = copy(X)
    assert not torch.equal(teacher, deepcopy(model)(X))

    class WithCopy(CrossEntropy):
        def __call__(self, model, batch, progress):
            torch.rand(3)
            student = model(batch[0])
            if loss == "cosine":
                soft = 4 * (1 - functional.cosine_similarity(softmax(student, 2), softmax(teacher, 2))).mean()
            else:
                p = softmax(teacher, 2)
                soft = 4 * (p * (p.log() - softmax(student, 2).log())).sum(-1).mean()
            return self.loss(student, batch) + 0.7 * soft

    found = gradients(network(), SPEQ(chance=1.0, weight=0.7, loss=loss))
    wanted = gradients(network(), WithCopy())
    for a, b in zip(found, wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_buffers_and_the_network_are_as_after_the_student_alone():
    one, other = network(), network()
    gradients(one, SPEQ())
    gradients(other, CrossEntropy())
    assert int(one[1].num_batches_tracked) == 1
    for (name, found), wanted in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(found, wanted), name
    assert [str(input_quantizer(one[i]).format) for i in (4, 6, 8)] == ["uint2"] * 3


def test_dropout_is_the_same_for_both_and_goes_on_as_if_there_were_no_teacher():
    model, seen = network(), []
    model[3].register_forward_hook(lambda module, inputs, output: seen.append(output.detach().clone()))
    torch.manual_seed(1)
    SPEQ()(model, BATCH, 0.0)
    follows = torch.rand(4)
    assert len(seen) == 2
    assert torch.equal(seen[0], seen[1])
    torch.manual_seed(1)
    torch.rand(3)
    model(X)
    assert torch.equal(follows, torch.rand(4))


def test_sites_are_drawn_independently_and_as_often_as_asked_for():
    model, draws = network(), []

    class Watch(CrossEntropy):
        def loss(self, outputs, batch):
            return outputs.sum() * 0

    handles = [
        model[i].register_forward_pre_hook(
            lambda module, inputs: draws.append(input_quantizer(module).format), prepend=True
        )
        for i in (4, 6, 8)
    ]
    torch.manual_seed(0)
    small = (X[:2], Y[:2])
    for _ in range(1000):
        SPEQ(chance=0.3, hard=Watch())(model, small, 0.0)
    for one in handles:
        one.remove()
    table = torch.tensor([format == UInt(8) for format in draws]).view(1000, 2, 3)
    student, teacher = table.unbind(1)
    assert not student.any()
    sigma = math.sqrt(0.3 * 0.7 / 1000)
    assert ((teacher.float().mean(0) - 0.3).abs() < 3 * sigma).all()
    together = (teacher[:, 0] & teacher[:, 1]).float().mean()
    assert abs(together - 0.09) < 3 * math.sqrt(0.09 * 0.91 / 1000)


def test_the_range_stays_and_only_the_levels_change():
    model = network(signals={"0": None, "*": "int3"})
    coarse = input_quantizer(model[6])
    high = coarse(torch.tensor([1e3, -1e3]))
    with finer_signals(finer_sites(model, 8), 8):
        fine = input_quantizer(model[6])
        assert fine.format == Int(8)
        assert torch.allclose(fine(torch.tensor([1e3, -1e3])), high)
        assert len(fine(torch.linspace(-3, 3, 4000)).unique()) > 100
    assert input_quantizer(model[6]) is coarse


def test_the_cosine_loss():
    generator = torch.Generator().manual_seed(0)
    s, t = torch.randn(2, 50, 4, generator=generator)
    assert float(cosine_loss(s, s, 2.0)) == pytest.approx(0, abs=1e-6)
    assert 0 <= float(cosine_loss(s, t, 2.0)) <= 4.0
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(cosine_loss(s, t, 2.0), cosine_loss(s[:, order], t[:, order], 2.0))
    z = s.clone().requires_grad_()
    cosine_loss(z, t, 2.0).backward()
    p, q = softmax(s.double(), 2), softmax(t.double(), 2)
    norms = p.norm(dim=-1, keepdim=True) * q.norm(dim=-1, keepdim=True)
    cosine = (p * q).sum(-1, keepdim=True) / norms
    by_p = -(q / norms - cosine * p / p.square().sum(-1, keepdim=True))
    wanted = 4 * p * (by_p - (by_p * p).sum(-1, keepdim=True)) / 2 / len(s)
    assert torch.allclose(z.grad, wanted.float(), atol=1e-7)
    for extreme in (torch.zeros(5, 4), 1e4 * torch.eye(4)):
        x = extreme.clone().requires_grad_()
        loss = cosine_loss(x, torch.zeros_like(x), 1.0)
        loss.backward()
        assert loss.isfinite()
        assert x.grad.isfinite().all()
    half = cosine_loss(s.half(), t.half(), 2.0)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(cosine_loss(s, t, 2.0)), rel=1e-2)
    assert float(cosine_loss(s[:0], t[:0], 2.0)) == 0


def test_padding_does_not_count():
    torch.manual_seed(0)
    model = CharLM(9, 8, 1, "sru")
    x = torch.randint(9, (3, 10))
    y = torch.randint(9, (3, 10))
    model = compress(model, Quantize("ternary", {"rnn0": "int2", "head": "int2"}, calibration=[(x, y)]))
    longer = (torch.cat([x, torch.randint(9, (3, 4))], 1), torch.cat([y, torch.full((3, 4), -100)], 1))
    speq = SPEQ(chance=1.0)
    assert speq(model, longer, 0.0).item() == pytest.approx(speq(model, (x, y), 0.0).item(), rel=1e-5)


def test_it_works_on_unaligned_sequences_and_with_hidden_states():
    torch.manual_seed(0)
    batch = CTCBatch(torch.randn(2, 10, 6), torch.tensor([10, 8]), torch.tensor([1, 2, 3]), torch.tensor([2, 1]))
    model = compress(Chain(SRU(6, 8), nn.Linear(8, 4)), Quantize("int4", "int2", calibration=[batch]))
    assert all(g is None or g.isfinite().all() for g in gradients(model, SPEQ(hard=CTC()), batch))
    text = [tuple(torch.randint(9, (2, 4, 10)))]
    for cell in ("lstm", "gru", "sru"):
        lm = CharLM(9, 8, 2, cell)
        lm = compress(lm, Quantize("int4", "int2", calibration=text), Finetune(text, SPEQ(), 2, progress=False))
        assert torch.isfinite(lm(text[0][0])[0]).all()


def test_faults_are_said():
    with pytest.raises(ArgumentError, match=r"temperature 0, chance 0\.5; wanted above 0, and 0\.\.1"):
        SPEQ(temperature=0)
    with pytest.raises(ArgumentError, match=r"chance 1\.5"):
        SPEQ(chance=1.5)
    with pytest.raises(ArgumentError, match="no loss 'mse'; there are cosine, kl"):
        SPEQ(loss="mse")  # type: ignore[arg-type]
    with pytest.raises(SelectionError, match=r"named like head: nothing to draw; attach"):
        SPEQ(sites=["head"])(network(), BATCH, 0.0)
    with pytest.raises(SelectionError, match="no signal of fewer than 2 bits"):
        SPEQ(bits=2)(network(), BATCH, 0.0)


def carried_states(objective, block=one_update, updates=4):
    """The student's states after each update of streams that continue, without learning."""
    torch.manual_seed(0)
    model = CharLM(7, 6, 2, "lstm")
    text = [torch.randint(7, (3, 8), generator=torch.Generator().manual_seed(i)) for i in range(updates)]
    model = compress(model, Quantize("ternary", {"*.hidden": "int2"}, calibration=[(text[0], text[0])]))
    carried, states = TruncatedBPTT(model.train()), []
    for x in text:
        with block():
            objective(carried, (x, x), 0.0)
        states.append(carried._tracks[""].after)
    return states


@pytest.mark.parametrize("block", [one_update, nullcontext])  # in `fit`, and in a loop of one's own
@pytest.mark.parametrize("chance", [0.5, 1.0])
def test_the_trajectory_of_the_student_is_the_one_it_has_alone(chance, block):
    alone, taught = carried_states(CrossEntropy()), carried_states(SPEQ(chance=chance), block)
    for one, other in zip(alone, taught, strict=True):
        for (h, c), (hidden, cell) in zip(one[1:3], other[1:3], strict=True):
            assert torch.equal(h, hidden)
            assert torch.equal(c, cell)
            assert len(hidden.unique()) <= 3  # int2: the student's own levels


def test_the_teacher_carries_its_own_states_at_fine_signals():
    torch.manual_seed(0)
    x = torch.randint(7, (3, 8))
    model = compress(CharLM(7, 6, 1, "lstm"), Quantize("ternary", {"*.hidden": "int2"}, calibration=[(x, x)]))
    carried, alone = TruncatedBPTT(model.train()), TruncatedBPTT(model)
    seen = []
    objective = SPEQ(chance=1.0)
    objective.soft = lambda student, teacher, temperature: seen.append(teacher) or student.sum()
    for _ in range(3):
        with one_update():
            objective(carried, (x, x), 0.0)
    with torch.no_grad(), finer_signals(finer_sites(model, 8), 8):
        wanted = [alone(x) for _ in range(3)]
    assert all(torch.equal(a, b.flatten(0, -2)) for a, b in zip(seen, wanted, strict=True))
