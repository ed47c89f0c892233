"""Laws of Programs: the integers do not depend on chunks or on storage, and follow the torch model."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fewbit import nn as layers
from fewbit.lower import pack
from fewbit.passes import Quantize, compress
from fewbit.program import Reference, load
from fewbit.testing import check_program
from tests.laws.cases import PROGRAMS

FEATURES = 9


def network(name, weights="ternary"):
    """A quantized network around the layer of a case, and frames that it was calibrated on."""
    torch.manual_seed(0)
    inner = PROGRAMS[name]()
    width = inner(torch.zeros(1, 1, 12))[0].shape[-1]
    model = layers.Chain(
        layers.Normalize(FEATURES),
        layers.CausalConv1d(FEATURES, 12, 4, 2),
        layers.BatchNorm(12),
        nn.ReLU(),
        nn.Dropout(0.5),
        inner,
        nn.Linear(width, 5),
    )
    x = torch.randn(4, 60, FEATURES) * 3 + 2
    model[0].fit(x)
    model.train()(x)
    student = compress(
        model, Quantize(weights={"6": "int8", "*": weights}, activations="int8", calibration=[(x,)])
    ).eval()
    return student, x


@pytest.mark.parametrize("name", PROGRAMS)
def test_any_split_gives_the_same_integers_after_loading_too(name, tmp_path):
    student, x = network(name)
    program = pack(student)
    loaded = load(program.save(tmp_path / "x.fewbit"))
    frames = x[0].numpy()

    @settings(max_examples=15, deadline=None)
    @given(cuts=st.lists(st.integers(0, 60), max_size=7))
    def laws(cuts):
        check_program(program, frames, cuts)
        check_program(loaded, frames, cuts)

    laws()
    a, _ = program.step(frames, program.init_state())
    b, _ = loaded.step(frames, loaded.init_state())
    assert np.array_equal(a, b)
    assert program.to_bytes() == loaded.to_bytes()


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("weights", ["ternary", "int4/5", "int3:row", "binary", "int8", "int6"])
def test_integers_follow_the_torch_model(name, weights):
    student, x = network(name, weights)
    program = pack(student)
    with torch.no_grad():
        wanted = student(x)[0].double().numpy()
    got = np.stack([program(frames) for frames in x.numpy()])
    assert np.abs(got - wanted).max() < 0.04 * np.abs(wanted).max() + 1e-3
    margin = np.sort(wanted, axis=-1)[..., -1] - np.sort(wanted, axis=-1)[..., -2]
    clear = margin > 0.02 * np.abs(wanted).max()
    assert (got.argmax(-1) == wanted.argmax(-1))[clear].all()


def test_a_batch_norm_with_gain_zero_leaves_its_bias():
    student, x = network("SRU")
    norm = student[2]
    with torch.no_grad():
        norm.weight[3], norm.bias[3] = 0.0, 0.7
        norm.weight[4] = -norm.weight[4]
        wanted = student(x)[0][0].double().numpy()
    assert np.abs(pack(student)(x[0].numpy()) - wanted).max() < 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize(("name", "cell"), [("SRU", lambda state: state), ("LSTM", lambda state: state[1])])
def test_a_cell_saturates_and_does_not_wrap(name, cell):
    student, _ = network(name)
    program = pack(student)
    place = next(i for i, op in enumerate(program.ops) if op.name == "5")
    op = program.ops[place]
    # Gate inputs that are far too large: every one of them at an end of its 16 bits.
    loud = replace(op, rescale=replace(op.rescale, multiplier=np.sign(op.rescale.multiplier) * (2**31 - 1), shift=8))
    program = Reference((*program.ops[:place], loud, *program.ops[place + 1 :]))
    frames = np.random.default_rng(0).normal(size=(400, FEATURES)).astype(np.float32) * 5
    state, extremes = program.init_state(), []
    for frame in frames:
        _, state = program.step(frame[None], state)
        extremes.append(cell(state[place]))
    assert np.max(extremes) == 2**15 - 1 or np.min(extremes) == -(2**15)
    assert np.max(np.abs(extremes)) <= 2**15
