"""Token-scaled distillation: the weights, the loss and its gradient, padding, streams and networks without labels."""

import numpy as np
import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit.distill import LogitKD, TokenScaledKD, position_scores, soft_loss, token_weights
from fewbit.errors import ArgumentError, DataError
from fewbit.models import CharLM, Decoder
from fewbit.passes import Recipe
from fewbit.train import CTC, CrossEntropy, CTCBatch, GuidedCTC, TruncatedBPTT, constant

CLASSES = 9
TEXT = torch.randint(0, CLASSES, (4, 13), generator=torch.Generator().manual_seed(0))
BATCH = (TEXT[:, :-1], TEXT[:, 1:])
VALID = torch.ones(4, 12, dtype=torch.bool)


class Fixed(nn.Module):
    """Gives the same scores for any input of so many rows and positions."""

    def __init__(self, seed: int, rows: int = 4, time: int = 12, spread: float = 3.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.scores = nn.Parameter(spread * torch.randn(rows, time, CLASSES, generator=generator))

    def forward(self, x):
        return self.scores[: len(x), : x.shape[1]]


TEACHER, STUDENT = Fixed(1), Fixed(2)


def soft_only(teacher=TEACHER, **arguments):
    return TokenScaledKD(teacher, **{"weight": 1.0, "hard_weight": 0.0} | arguments)


def decoder(seed=0, **arguments):
    torch.manual_seed(seed)
    return Decoder(CLASSES, 8, 2, 1, **arguments)


def test_the_weights_of_a_sequence_sum_to_one():
    valid = VALID.clone()
    valid[1, 5:] = valid[2] = False
    weights = token_weights(position_scores(TEACHER.scores, BATCH, valid), valid, tau=10.0)
    assert torch.allclose(weights.sum(1), torch.tensor([1.0, 1, 0, 1]))
    assert (weights[~valid] == 0).all()
    assert (weights[valid] > 0).all()


def test_the_worse_the_teacher_the_more_a_token_counts():
    scores = position_scores(TEACHER.scores, BATCH, VALID)
    for tau in (0.5, 10.0):
        weights = token_weights(scores, VALID, tau)
        ratio = weights.amax(1) / weights.amin(1)
        assert torch.allclose(ratio.log(), (scores.amax(1) - scores.amin(1)) / tau, atol=1e-4)
        assert torch.equal(weights.argmax(1), scores.argmax(1))


def test_with_a_large_tau_it_is_plain_distillation():
    loss = soft_only(tau=1e6)(STUDENT, BATCH, 0.0)
    plain = LogitKD(TEACHER, temperature=1.0, weight=1.0)(STUDENT, BATCH, 0.0)
    assert torch.allclose(loss, plain, atol=1e-5)
    assert not torch.allclose(soft_only(tau=1.0)(STUDENT, BATCH, 0.0), plain, atol=1e-2)


def test_with_a_small_tau_the_worst_token_is_all():
    loss = soft_only(tau=1e-4)(STUDENT, BATCH, 0.0)
    worst = position_scores(TEACHER.scores, BATCH, VALID).argmax(1)
    rows = torch.arange(4)
    assert torch.allclose(loss, soft_loss(STUDENT.scores[rows, worst], TEACHER.scores[rows, worst], 1.0))


def test_the_gradient_is_the_weight_times_the_difference():
    student = Fixed(2)
    soft_only(weight=4.0)(student, BATCH, 0.0).backward()  # of a batch of 4: the sum, as the authors have it
    weights = token_weights(position_scores(TEACHER.scores, BATCH, VALID), VALID, 10.0)
    wanted = weights[..., None] * (torch.softmax(student.scores, -1) - torch.softmax(TEACHER.scores, -1))
    assert torch.allclose(student.scores.grad, wanted.detach(), atol=1e-7)
    assert TEACHER.scores.grad is None


def test_the_order_of_the_batch_does_not_matter():
    teacher, student = decoder(1), decoder(2)
    turned = tuple(part.flip(0) for part in BATCH)
    objective = TokenScaledKD(teacher)
    assert torch.allclose(objective(student, BATCH, 0.0), objective(student, turned, 0.0), atol=1e-6)


def test_padding_changes_nothing():
    """Two lengths in one batch give the mean of what each sequence gives alone."""
    teacher, student = decoder(1), decoder(2)
    lengths = (12, 5)
    alone = [soft_only(teacher)(student, tuple(part[i : i + 1, :n] for part in BATCH), 0.0) for i, n in
             enumerate(lengths)]  # fmt: skip
    labels = BATCH[1][:2].clone()
    labels[1, 5:] = -100
    for filler in (0, 7):
        inputs = BATCH[0][:2].clone()
        inputs[1, 5:] = filler
        loss = soft_only(teacher)(student, (inputs, labels), 0.0)
        assert torch.allclose(loss, torch.stack(alone).mean(), atol=1e-6)


def test_a_sequence_of_padding_only_counts_nothing():
    labels = BATCH[1].clone()
    labels[2] = -100
    student = Fixed(2)
    loss = TokenScaledKD(TEACHER)(student, (BATCH[0], labels), 0.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert (student.scores.grad[2] == 0).all()
    assert (student.scores.grad[[0, 1, 3]] != 0).any(-1).all()


def test_both_terms_are_told_apart():
    objective = TokenScaledKD(TEACHER, weight=lambda progress: 2 * progress, hard_weight=0.5)
    hard, soft = objective.parts(STUDENT, BATCH, 0.5)
    assert torch.allclose(hard, 0.5 * CrossEntropy()(STUDENT, BATCH, 0.5))
    assert torch.allclose(soft, soft_only()(STUDENT, BATCH, 0.0))
    assert torch.equal(objective(STUDENT, BATCH, 0.5), hard + soft)
    assert objective.parts(STUDENT, BATCH, 0.0).soft == 0


def test_temperature_keeps_the_size_of_the_gradient():
    sizes = []
    for temperature in (1.0, 8.0, 16.0):
        student = Fixed(2, spread=1.0)
        soft_only(Fixed(1, spread=1.0), temperature=temperature)(student, BATCH, 0.0).backward()
        sizes.append(float(student.scores.grad.norm()))
    assert 0.5 < sizes[1] / sizes[0] < 2
    assert sizes[2] == pytest.approx(sizes[1], rel=0.05)


def test_clipped_scores_weigh_the_same():
    scores = torch.arange(10.0)[None]
    valid = torch.ones(1, 10, dtype=torch.bool)
    weights = token_weights(scores, valid, 1.0, clip=0.5)[0]
    assert torch.equal(weights[5:], weights[5].expand(5))
    assert (weights[:5].diff() > 0).all()
    wrong = scores.clone()
    wrong[0, 9] = 1e4  # a wrong label
    assert torch.equal(token_weights(wrong, valid, 1.0, clip=0.5)[0], weights)


def test_networks_of_ctc_are_weighed_by_entropy():
    batch = CTCBatch(
        torch.zeros(4, 12, 3), torch.tensor([12, 12, 7, 12]), torch.tensor([1, 2, 3, 4]), torch.tensor([1, 1, 1, 1])
    )
    student = Fixed(2)
    loss = soft_only(score="entropy", hard=CTC())(student, batch, 0.0)
    valid = CTC().valid_mask(student.scores, batch)
    p = torch.softmax(TEACHER.scores, -1)
    weights = token_weights(-(p * p.log()).sum(-1), valid, 10.0)
    wanted = -(weights[..., None] * p * torch.log_softmax(student.scores, -1)).sum((1, 2)).mean()
    assert torch.allclose(loss, wanted)
    loss.backward()
    assert (student.scores.grad[2, 7:] == 0).all()
    with pytest.raises(DataError, match=r"labels \(4,\), wanted one for each of the \(4, 12\) positions; for CTC"):
        soft_only(hard=CTC())(student, batch, 0.0)


def test_students_that_carry_their_state_are_weighed_by_window():
    torch.manual_seed(0)
    networks = CharLM(CLASSES, 6, 1), CharLM(CLASSES, 6, 1)
    teacher, student = (TruncatedBPTT(network) for network in networks)
    halves = [tuple(part[:, span] for part in BATCH) for span in (slice(6), slice(6, None))]
    found = [soft_only(teacher)(student, half, 0.0) for half in halves]
    scores = [network(BATCH[0])[0][:, 6:].detach() for network in networks]
    weights = token_weights(position_scores(scores[0], halves[1], VALID[:, 6:]), VALID[:, 6:], 10.0)
    wanted = -(weights[..., None] * torch.softmax(scores[0], -1) * torch.log_softmax(scores[1], -1)).sum((1, 2)).mean()
    assert torch.allclose(found[1], wanted, atol=1e-6)


def test_a_recipe_makes_a_ternary_network_that_runs_as_integers():
    """Teacher, student and packed file in one recipe, as a file would say it."""
    torch.manual_seed(0)
    text = torch.arange(CLASSES).repeat(9)[torch.arange(13)[None] + torch.randint(0, CLASSES, (64, 1))]
    batches = [(part[:, :-1], part[:, 1:]) for part in text.split(8)]
    teacher = decoder(style="llama", window=4)
    fb.fit(teacher, batches, CrossEntropy(), epochs=8, lr=2e-2, progress=False)
    recipe = Recipe.from_dict({
        "passes": [
            {"kind": "Quantize", "weights": {"embedding": "int8", "*": "ternary+twn"}, "activations": "int8"},
            {"kind": "Finetune", "epochs": 8, "lr": 0.01, "objective": {"kind": "TokenScaledKD", "tau": 10}},
        ]
    })  # fmt: skip
    given = {"batches": batches, "objective": CrossEntropy(), "seed": 0, "progress": False}
    student = fb.compress(teacher, *recipe.passes(**given, teacher=teacher)).eval()
    levels = {name: len(module.weight.unique()) for name, module in student.named_modules() if "blocks" in name
              and isinstance(module, nn.Linear)}  # fmt: skip
    assert set(levels.values()) == {3}
    with torch.no_grad():
        fake = student(text[:, :-1])
    assert nn.functional.cross_entropy(fake.flatten(0, 1), text[:, 1:].flatten()) < 0.5 * np.log(CLASSES)
    program = fb.pack(student, example=batches)
    out = np.stack([program(row.numpy()) for row in text[:8, :-1]])
    assert np.abs(out - fake[:8].numpy()).mean() < 0.02 * fake.std().item()


@pytest.mark.parametrize(
    ("error", "make", "message"),
    [
        (ArgumentError, lambda: TokenScaledKD(TEACHER, tau=0.0), "tau=0.0, .*wanted above 0"),
        (ArgumentError, lambda: TokenScaledKD(TEACHER, clip=0.0), "clip=0.0, .* above 0 to 1"),
        (ArgumentError, lambda: TokenScaledKD(TEACHER, top=0), "top=0; .* and at least 1"),
        (ArgumentError, lambda: TokenScaledKD(TEACHER, hard_weight=-1.0), "hard_weight=-1.0, .* at least 0"),
        (
            ArgumentError,
            lambda: TokenScaledKD(TEACHER, hard=GuidedCTC(constant(0.5))),
            "TokenScaledKD: GuidedCTC has no loss method; use CrossEntropy",
        ),
        (
            ArgumentError,
            lambda: TokenScaledKD(TEACHER, score="labels"),
            "TokenScaledKD: no score 'labels'; there are label, entropy",
        ),
        (
            ArgumentError,
            lambda: TokenScaledKD(nn.Linear(3, 5))(nn.Linear(3, 4), (torch.zeros(2, 6, 3), None), 0.0),
            r"TokenScaledKD: the teacher gives \(2, 6, 5\), the student \(2, 6, 4\); both need the same classes",
        ),
        (
            DataError,
            lambda: TokenScaledKD(nn.Linear(3, 4))(nn.Linear(3, 4), (torch.zeros(2, 3), torch.zeros(2).long()), 0.0),
            r"the student gives \(2, 4\), wanted \(batch, time, classes\)",
        ),
    ],
)
def test_bad_input_is_refused(error, make, message):
    with pytest.raises(error, match=message):
        make()


def test_a_weight_may_fall():
    objective = TokenScaledKD(TEACHER, weight=fb.linear(4.0, 0.0))
    losses = [float(objective.parts(STUDENT, BATCH, progress).soft.detach()) for progress in (0.0, 0.5, 1.0)]
    assert losses[1] == pytest.approx(losses[0] / 2)
    assert losses[2] == 0
    assert TokenScaledKD(TEACHER, weight=constant(2.0)).weight(0.3) == 2.0
