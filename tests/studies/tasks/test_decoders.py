"""Decoders of characters, and what is measured along their training."""

import math

import pytest
import torch
from torch import nn

from fewbit import CrossEntropy, compress
from fewbit.data import Windows
from fewbit.errors import DataError
from fewbit.models import Decoder
from fewbit.train import fit
from studies.tasks.decoders import Watched, bits_of_windows, decoder_task, few_bits, text_of
from tests.studies.made_up_text import TINY, text_setting


@pytest.fixture
def setting(tmp_path):
    return text_setting(tmp_path)


def test_seeds_share_no_training_text(setting):
    text = text_of(setting, TINY, 0)
    assert len(text.train) == 600
    assert text.train.data_ptr() != text_of(setting, TINY, 1).train.data_ptr()
    with pytest.raises(DataError, match="seed 9"):
        decoder_task(setting, TINY, seed=9)


def test_depths_have_names_of_their_own(setting):
    names = {decoder_task(setting, TINY, 0, depth).name for depth in (1, 2)}
    assert len(names) == 2
    assert len(decoder_task(setting, TINY, 0, 2).new(0).blocks) == 2


def test_a_uniform_network_costs_the_logarithm_of_the_classes():
    class Uniform(nn.Module):
        def forward(self, x):
            return torch.zeros(*x.shape, 8)

    assert bits_of_windows(torch.arange(50) % 8, 7, Uniform()) == pytest.approx(3.0)


def test_measuring_along_a_training_changes_nothing():
    stream = torch.arange(200) % 5
    ends = []
    for places in ([], [(0.0, "0"), (0.5, "half")]):
        torch.manual_seed(0)
        model = Decoder(5, 8, 2, 1, dropout=0.5)
        watched = Watched(CrossEntropy(), {"bits": lambda model: bits_of_windows(stream, 8, model)}, places)
        fit(model, Windows(stream, 2, 8, 6), watched, epochs=1, lr=1e-2, progress=False)
        watched.measure(model, "1")
        ends.append((model.head.weight.detach().clone(), watched.found))
    assert torch.equal(ends[0][0], ends[1][0])
    assert list(ends[1][1]) == ["bits 0", "bits half", "bits 1"]
    assert ends[1][1]["bits 1"] == ends[0][1]["bits 1"] < ends[1][1]["bits 0"] < math.log2(5) + 1


def test_blocks_become_ternary_and_the_ends_keep_eight_bits(setting):
    text = text_of(setting, TINY, 0)
    student = compress(decoder_task(setting, TINY, 0).new(0), few_bits(text, TINY.steps))
    first = student.blocks[0].attention.query.weight
    assert max(len(row.unique()) for row in first) <= 3
    assert len(student.head.weight.unique()) > 3
