"""Intervention gives nothing away: after as many updates as without, inner signals are as near to the teacher's."""

import pytest
import torch
from torch import Tensor, nn

import fewbit as fb
from fewbit.distill import TeacherIntervention, inner_signals
from fewbit.distill.attention_pairs import seats_of
from fewbit.models import Decoder
from tests.distill.test_overfitting import SYMBOLS, loss, texts

UPDATES, STEP = 100, 24


def hidden_error(student: nn.Module, teacher: nn.Module, text: Tensor) -> float:
    """Mean over blocks of the squared difference of what they give."""
    signals = []
    for model in (student.eval(), teacher.eval()):
        places = {i: seat.place("last") for i, seat in enumerate(seats_of(model))}
        with torch.no_grad(), inner_signals(places) as seen:
            model(text)
        signals.append(seen)
    return sum(float((signals[0][i] - signals[1][i]).square().mean()) for i in signals[0]) / len(signals[0])


@pytest.mark.slow
def test_it_ends_as_near_to_the_teacher_as_the_same_loss_without_intervention():
    errors: dict[str, float] = {"intervention": 0.0, "none": 0.0}
    losses = dict.fromkeys(errors, 0.0)
    for seed in range(3):
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        chances = torch.distributions.Dirichlet(torch.full((SYMBOLS,) * 3, 0.15)).sample()
        train, other = texts(8 * UPDATES, chances, generator), texts(64, chances, generator)
        batches = [(part[:, :-1], part[:, 1:]) for part in train.split(8)]
        teacher = Decoder(SYMBOLS, 24, 2, 4, style="llama")
        fb.fit(teacher, batches, fb.CrossEntropy(), epochs=2, lr=5e-3, progress=False)
        for name, share in (("intervention", 1.0), ("none", 0.0)):
            student = fb.compress(
                teacher,
                fb.Quantize({"embedding": None, "*": "ternary+twn"}),
                fb.Finetune(batches[:STEP], TeacherIntervention(teacher, share), 1, lr=2e-3, progress=False),
                fb.Finetune(batches[STEP:], TeacherIntervention(teacher, 0.0), 1, lr=2e-3, progress=False),
            )
            errors[name] += hidden_error(student, teacher, other[:, :-1])
            losses[name] += loss(student, other)
    assert errors["intervention"] <= 1.05 * errors["none"]
    assert losses["intervention"] <= 1.02 * losses["none"]
