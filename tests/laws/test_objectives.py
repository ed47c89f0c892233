"""Laws of objectives."""

import pytest
import torch
from torch.nn import functional

from fewbit.distill import LogitKD
from fewbit.errors import ArgumentError, DataError
from fewbit.testing import check_objective
from fewbit.train import CTC, CrossEntropy, GuidedCTC, constant
from tests.laws.cases import OBJECTIVES, classifier, distilled, labelled, unaligned


@pytest.mark.parametrize("name", OBJECTIVES)
def test_laws(name):
    case = OBJECTIVES[name]()
    check_objective(case.objective, case.prepare(classifier()), case.batch, case.others)


@pytest.mark.parametrize("broken", ["mode", "statistics"])
def test_the_law_refuses_a_teacher_in_training_mode(broken):
    def objective(model, batch, progress):
        case.others[0](batch[0])  # as it is: in training mode
        return CrossEntropy()(model, batch, progress)

    case = distilled(labelled())
    if broken == "mode":  # nothing but the mode tells
        case.others[0].add_module("1", torch.nn.Identity())
    with pytest.raises(AssertionError, match="another network ran in training mode"):
        check_objective(objective, classifier(), case.batch, case.others)


def test_distillation_without_soft_part_is_cross_entropy():
    case = distilled(labelled(), weight=0.0)
    model = classifier()
    assert torch.equal(case.objective(model, case.batch, 0.0), CrossEntropy()(model, case.batch, 0.0))


def test_gradient_of_distillation_is_that_of_its_equation():
    batch, temperature, a = labelled(), 3.0, 0.4
    teacher, student = classifier(1), classifier(2)
    z = student(batch[0])[0].detach().requires_grad_()

    class Fixed(torch.nn.Module):
        def forward(self, x):
            return z

    LogitKD(teacher, temperature, a)(Fixed(), batch, 0.0).backward()
    one_hot = functional.one_hot(batch[1], 4)
    soft = torch.softmax(z / temperature, -1) - torch.softmax(teacher(batch[0])[0] / temperature, -1)
    wanted = ((1 - a) * (torch.softmax(z, -1) - one_hot) + a * temperature * soft) / batch[1].numel()
    assert torch.allclose(z.grad, wanted.detach(), atol=1e-7)


def test_ctc_equals_the_sum_over_all_alignments():
    batch = unaligned()
    x = torch.randn(1, 4, 3)
    small = batch._replace(
        inputs=x, input_lengths=torch.tensor([4]), targets=torch.tensor([1, 2]), target_lengths=torch.tensor([2])
    )
    log_probs = functional.log_softmax(x[0], -1)
    total = []
    for path in torch.cartesian_prod(*[torch.arange(3)] * 4):
        said = [int(c) for c in torch.unique_consecutive(path) if c]
        if said == [1, 2]:
            total.append(log_probs[torch.arange(4), path].sum())
    assert torch.allclose(CTC().loss(x, small), -torch.logsumexp(torch.stack(total), 0) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("error", "make", "message"),
    [
        (ArgumentError, lambda: LogitKD(classifier(), temperature=0), "temperature must be above 0, not 0"),
        (
            ArgumentError,
            lambda: LogitKD(classifier(), weight=1.5)(classifier(), labelled(), 0.0),
            "weight must lie in 0..1, not 1.5",
        ),
        (DataError, lambda: CTC()(classifier(), labelled(), 0.0), "CTC wants a CTCBatch, not a tuple"),
        (
            DataError,
            lambda: GuidedCTC(constant(0.5))(classifier(), unaligned()._replace(alignment=None), 0.0),
            "the batch has no alignment",
        ),
        (ArgumentError, lambda: LogitKD(classifier(), hard=GuidedCTC(constant(0.5))), "GuidedCTC has no loss method"),
        (
            DataError,
            lambda: CrossEntropy()(torch.nn.Identity(), (torch.zeros(2, 5, 4), torch.zeros(2, 4).long()), 0.0),
            r"outputs \(2, 5, 4\) need labels \(2, 5\), classes last; got \(2, 4\)",
        ),
        (
            ArgumentError,
            lambda: LogitKD(torch.nn.Linear(6, 9))(classifier(), labelled(), 0.0),
            r"the teacher gives \(3, 10, 9\), the student \(3, 10, 4\)",
        ),
    ],
)
def test_bad_input_is_refused(error, make, message):
    with pytest.raises(error, match=message):
        make()


def test_padding_does_not_count():
    torch.manual_seed(0)
    teacher, student = torch.nn.Linear(6, 4), torch.nn.Linear(6, 4)
    x, y = labelled()
    kd = LogitKD(teacher)
    alone = kd(student, (x[:, :7], y[:, :7]), 0.0)
    padded = y.clone()
    padded[:, 7:] = -100
    assert torch.allclose(kd(student, (x, padded), 0.0), alone)
    batch = unaligned()._replace(input_lengths=torch.tensor([7, 7, 7]), alignment=None)
    short = batch._replace(inputs=batch.inputs[:, :7])
    kd = LogitKD(teacher, hard=CTC())
    assert torch.allclose(kd(student, batch, 0.0), kd(student, short, 0.0))
