"""The claim of token-scaled distillation, on a small made-up language of which there is little text."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.distill import TokenScaledKD
from fewbit.inference import inference_mode
from fewbit.models import Decoder

SYMBOLS = 12


def texts(rows: int, chances: Tensor, generator: torch.Generator) -> Tensor:
    """Each symbol depends on the two before it."""
    x = torch.zeros(rows, 33, dtype=torch.long)
    x[:, :2] = torch.randint(0, SYMBOLS, (rows, 2), generator=generator)
    for place in range(2, 33):
        x[:, place] = torch.multinomial(chances[x[:, place - 2], x[:, place - 1]], 1, generator=generator)[:, 0]
    return x


def loss(model: nn.Module, text: Tensor) -> float:
    with inference_mode(model):
        return float(functional.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()))


@pytest.mark.slow
def test_the_gap_to_other_text_is_smaller_than_with_labels_and_distillation_in_equal_parts():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    chances = torch.distributions.Dirichlet(torch.full((SYMBOLS,) * 3, 0.15)).sample()
    train, development = texts(48, chances, generator), texts(200, chances, generator)
    batches = [(part[:, :-1], part[:, 1:]) for part in train.split(4)]
    teacher = Decoder(SYMBOLS, 32, 4, 2, style="llama")
    found = []
    for epoch in range(6):  # its best state on development text teaches
        fb.fit(teacher, batches, fb.CrossEntropy(), epochs=1, lr=3e-3, seed=epoch, progress=False)
        found.append((loss(teacher, development), deepcopy(teacher.state_dict())))
    teacher.load_state_dict(min(found, key=lambda each: each[0])[1])
    losses = {}
    for name, objective in {
        "equal parts": fb.LogitKD(teacher, temperature=1.0, weight=0.5),
        "token-scaled": TokenScaledKD(teacher),
    }.items():
        finetune = fb.Finetune(batches, objective, epochs=15, lr=1e-3, progress=False)
        student = fb.compress(teacher, fb.Quantize({"embedding": None, "*": "ternary+twn"}), finetune)
        losses[name] = loss(student, train), loss(student, development)
    gaps = {name: other - own for name, (own, other) in losses.items()}
    assert gaps["token-scaled"] < 0.8 * gaps["equal parts"]
    assert losses["token-scaled"][1] <= losses["equal parts"][1] + 0.005
