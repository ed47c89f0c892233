"""One recipe from a file: ternary weights with adaptive steps, distillation that fades, averaging, the packed file.

The network hears one recorded digit for 0.8 seconds and names it in every fourth frame of the second half.
"""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from fewbit.data import Clip, spoken_digits
from fewbit.data.digits import WORDS
from fewbit.demo.recipe import one_thread
from fewbit.features import LogMel
from fewbit.lower import pack
from fewbit.nn import SRU, BatchNorm, CausalConv1d, Chain, Normalize
from fewbit.passes import Recipe, compress, read_recipe
from fewbit.program import load
from fewbit.quant import quantizers
from fewbit.train import CrossEntropy, cosine, fit

RECIPE = """
[[pass]]
kind = "Quantize"
weights = { "head" = "int8", "*" = "ternary+adaptive" }
activations = "int8"

[[pass]]
kind = "SQWA"
warmup_epochs = 8
cycles = 3
cycle_epochs = 2
finetune_epochs = 4
lr = 3e-3
objective = { kind = "LogitKD", temperature = 2.0, weight = { from = 0.9, to = 0.0 } }
"""
FEATURES = LogMel(mels=20, sample_rate=8_000)
FRAMES, STRIDE, SKIP = 80, 4, -100


def batches_of(clips: tuple[Clip, ...], size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of clips, each filled or cut to 80 frames, and the digit in each output frame that counts."""
    order = np.random.default_rng(0).permutation(len(clips))
    samples = FRAMES * FEATURES.hop + FEATURES.window - FEATURES.hop
    sounds = [np.pad(clips[i].samples, (FEATURES.window, samples))[:samples] for i in order]
    x = torch.from_numpy(np.stack([FEATURES(sound) for sound in sounds]))
    y = torch.tensor([WORDS.index(clips[i].text) for i in order])[:, None].repeat(1, FRAMES // STRIDE)
    y[:, : FRAMES // STRIDE // 2] = SKIP
    return list(zip(x.split(size), y.split(size), strict=True))


def error(answers, batches) -> float:
    """Share of the frames that count with the wrong digit."""
    wrong = torch.cat([(answers(x) != y)[y != SKIP] for x, y in batches])
    return float(wrong.float().mean())


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    with one_thread():
        return run(tmp_path_factory.mktemp("recipe"))


def run(folder):
    """Networks (float, direct, retrained, packed), the recipe, and the test."""
    digits = spoken_digits()
    batches, test = batches_of(digits.train, 24), batches_of(digits.test, 50)
    torch.manual_seed(0)
    teacher = Chain(
        Normalize(20).fit(batches[0][0]),
        CausalConv1d(20, 32, 8, STRIDE),
        BatchNorm(32),
        nn.ReLU(),
        SRU(32, 32),
    )
    teacher.add_module("head", nn.Linear(32, len(WORDS)))
    fit(
        teacher,
        batches,
        CrossEntropy(),
        epochs=20,
        lr=1e-2,
        optimizer=torch.optim.AdamW,
        schedule=cosine(warmup=0.1),
        progress=False,
    )
    file = folder / "recipe.toml"
    file.write_text(RECIPE)
    recipe = read_recipe(file)
    given = {"batches": batches, "objective": CrossEntropy(), "teacher": teacher, "progress": False}
    student = compress(teacher, *recipe.passes(**given)).eval()
    direct = compress(teacher, *recipe.passes(**given)[:1]).eval()
    packed = load(pack(student, recipe=recipe.to_dict()).save(folder / "student.fewbit"))
    return teacher.eval(), direct, student, packed, recipe, test


@torch.no_grad()
def best(network, x):
    return network(x)[0].argmax(-1)


def best_packed(program, x):
    return torch.from_numpy(np.stack([program(frame).argmax(-1) for frame in x.numpy()]))


@pytest.mark.slow
def test_the_packed_network_keeps_what_the_recipe_won_back(compressed):
    teacher, direct, student, packed, _, test = compressed
    full, lost, kept = (error(partial(best, network), test) for network in (teacher, direct, student))
    shipped = error(partial(best_packed, packed), test)
    assert full < 0.05
    assert lost > 0.10  # there was something to win back
    assert kept < full + 0.03
    assert abs(shipped - kept) < 0.005
    agree = torch.cat([(best(student, x) == best_packed(packed, x)).flatten() for x, _ in test])
    assert float(agree.float().mean()) >= 0.99


@pytest.mark.slow
def test_weights_are_as_the_recipe_says_and_the_file_holds_it(compressed):
    *_, student, packed, recipe, _ = compressed
    specs = {name: quantizer.spec for name, quantizer in quantizers(student) if "weight" in name}
    assert specs == {"1.weight": "ternary+adaptive", "4.weight": "ternary+adaptive", "head.weight": "int8"}
    assert len(student[1].weight.unique()) == len(student[4].weight.unique()) == 3
    again = Recipe.from_dict(packed.recipe)
    assert again == recipe
    assert again.to_toml() == recipe.to_toml()
