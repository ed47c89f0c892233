"""Layer intervention: what goes on when, what learns from it, and what is refused."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional

import fewbit as fb
from fewbit.distill import LayerIntervention, LogitKD, TokenScaledKD, inner_signals
from fewbit.distill.signal_hooks import Place
from fewbit.errors import ArgumentError
from fewbit.models import CharLM
from tests.distill.test_overfitting import SYMBOLS, texts

CLASSES = 9
TEXT = torch.randint(0, CLASSES, (4, 13), generator=torch.Generator().manual_seed(0))
BATCH = (TEXT[:, :-1], TEXT[:, 1:])


def network(layers=3, cell="lstm", seed=1, hidden=8):
    torch.manual_seed(seed)
    return CharLM(CLASSES, hidden, layers, cell)


@pytest.mark.parametrize(
    ("layers", "progress", "wanted"),
    [
        (4, 0.0, ("rnn2", "rnn3")),
        (4, 0.249, ("rnn2", "rnn3")),
        (4, 0.25, ("rnn3",)),
        (4, 0.499, ("rnn3",)),
        (4, 0.5, ()),
        (4, 1.0, ()),
        (3, 0.0, ("rnn1", "rnn2")),
        (1, 0.49, ("rnn0",)),
    ],
)
def test_fewer_and_fewer_of_the_upper_half_are_replaced(layers, progress, wanted):
    assert LayerIntervention(network(layers), share=0.5).replaced(progress) == wanted


def test_no_share_is_the_same_loss_without_intervention():
    assert LayerIntervention(network(), share=0.0).replaced(0.0) == ()


@pytest.mark.parametrize("cell", ["lstm", "gru", "sru", "qrnn"])
@pytest.mark.parametrize("progress", [0.0, 0.6, 1.0])
def test_a_student_that_is_the_teacher_costs_what_its_scores_cost(cell, progress):
    teacher = network(cell=cell)
    objective = LayerIntervention(teacher, share=0.9)
    plain = LogitKD(teacher, temperature=1.0, weight=1.0)
    student = deepcopy(teacher).train()
    found, wanted = (each(student, BATCH, progress).detach() for each in (objective, plain))
    assert float(found) == pytest.approx(float(wanted), abs=1e-6)


def test_the_next_layer_reads_the_teacher_and_the_layer_below_learns_by_its_own_output_alone():
    teacher, student = network(2), network(2, seed=2)
    objective = LayerIntervention(teacher, share=1.0, weight=0.0)
    with inner_signals({"read": Place(student.head, "input")}) as seen:
        objective(student, BATCH, 0.0).backward()
    with torch.no_grad():
        wanted = teacher.rnn1(teacher.rnn0(teacher.embedding(BATCH[0]))[0])[0]
    assert torch.allclose(seen["read"], wanted)
    # Scores come from the teacher's signal, and nothing else is learned with weight 0.
    below = [*student.rnn0.parameters(), *student.rnn1.parameters(), *student.embedding.parameters()]
    assert all(part.grad is None or not part.grad.any() for part in below)
    assert student.head.weight.grad.any()
    student.zero_grad()
    LayerIntervention(teacher, share=1.0)(student, BATCH, 0.0).backward()
    assert all(part.grad.any() for part in student.rnn0.parameters())


def test_layers_are_named_by_patterns_where_wanted():
    objective = LayerIntervention(network(), share=1.0, layers=("embedding", "rnn[01]"))
    assert objective.names == ("embedding", "rnn0", "rnn1")


def test_layers_of_torch_are_found_and_keep_their_state():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(4, 6, batch_first=True)
            self.head = nn.Linear(6, CLASSES)

        def forward(self, x):
            y, (hidden, _) = self.rnn(x)
            return self.head(y) + 0 * hidden.sum()

    torch.manual_seed(3)
    teacher, student = Tagger(), Tagger()
    batch = (torch.randn(4, 12, 4), BATCH[1])
    objective = LayerIntervention(teacher, share=1.0)
    assert objective.names == ("rnn",)
    assert objective(student, batch, 0.0).isfinite()


def test_the_soft_loss_is_exchanged():
    teacher = network()
    scaled = LayerIntervention(teacher, share=0.0, weight=0.0, soft=TokenScaledKD(teacher))
    student = network(seed=2)
    assert torch.equal(scaled(student, BATCH, 0.5), TokenScaledKD(teacher)(student, BATCH, 0.5))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: LayerIntervention(network(), share=1.5), "share=1.5"),
        (lambda: LayerIntervention(network(), weight=-1.0), "weight=-1.0"),
        (lambda: LayerIntervention(network(), layers=("conv*",)).names, r"no layer named like conv\*"),
        (lambda: LayerIntervention(nn.Linear(2, 2)).names, "Linear has no layer that is recurrent"),
        (lambda: LayerIntervention(network(), soft=fb.CrossEntropy()), "CrossEntropy compares no scores"),
        (
            lambda: LayerIntervention(network(3), share=1.0)(network(2), BATCH, 0.0),
            "the teacher has layers rnn0, rnn1, rnn2, the student rnn0, rnn1",
        ),
        (lambda: LayerIntervention(network(), share=1.0)(network(hidden=6), BATCH, 0.0), r"'rnn1' is to be replaced"),
    ],
)
def test_what_does_not_fit_is_refused(make, told):
    with pytest.raises(ArgumentError, match=told):
        make()


@pytest.mark.slow
def test_it_ends_as_well_as_the_same_loss_without_intervention():
    losses = {"intervention": 0.0, "none": 0.0}
    for seed in range(3):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        chances = torch.distributions.Dirichlet(torch.full((SYMBOLS,) * 3, 0.15)).sample()
        train, other = texts(800, chances, generator), texts(64, chances, generator)
        batches = [(part[:, :-1], part[:, 1:]) for part in train.split(8)]
        teacher = CharLM(SYMBOLS, 24, 3)
        fb.fit(teacher, batches, fb.CrossEntropy(), epochs=2, lr=5e-3, progress=False)
        for name, share in (("intervention", 0.24), ("none", 0.0)):
            student = fb.compress(
                teacher,
                fb.Quantize({"embedding": None, "*": "ternary"}),
                fb.Finetune(batches, LayerIntervention(teacher, share), 1, lr=5e-3, progress=False),
            )
            with torch.no_grad():
                scores, _ = student(other[:, :-1])
            losses[name] += float(functional.cross_entropy(scores.flatten(0, 1), other[:, 1:].flatten()))
    assert losses["intervention"] <= 1.02 * losses["none"]
