"""Saved pruned networks come back in their shapes."""

from copy import deepcopy

import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit import models
from fewbit.errors import FileFormatError
from fewbit.passes import PruneChannels, PruneKernels, PruneUnits, compress
from fewbit.prune import take_shapes
from fewbit.tasks import Task
from fewbit.tasks.network_file import load_network, save_network


def task(build):
    return Task("made up", lambda size: build(), lambda seed: [], lambda model: 0.0, size=1)


@pytest.mark.parametrize("quantized", [False, True])
def test_a_pruned_convnet_is_saved_and_loaded(tmp_path, quantized):
    def build():
        return models.convnet(1, 8, 10, 8)

    x = torch.randn(2, 1, 8, 8)
    passes = [PruneChannels(0.5, x), PruneKernels(0.5, x, layers=("4", "8"))]
    if quantized:
        passes.append(fb.Quantize(weights="ternary", activations="int8", calibration=[x]))
    small = compress(build(), *passes).eval()
    path = save_network(tmp_path / "small", small, 1)
    again = load_network(path, task(build)).model
    assert torch.equal(again(x), small(x))
    assert again[0].out_channels == small[0].out_channels == 4
    assert int((again[4].weight == 0).sum()) == int((small[4].weight == 0).sum())


def test_a_pruned_recurrent_network_and_a_new_bias_come_back():
    def build():
        return nn.Sequential(nn.Linear(3, 8), nn.Sigmoid(), nn.Linear(8, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))

    x = torch.randn(2, 3)
    small = compress(build(), PruneChannels(0.5, x))
    again = take_shapes(build(), small.state_dict())
    again.load_state_dict(small.state_dict())
    assert torch.equal(again(x), small(x))
    assert again[2].bias is not None

    symbols = torch.zeros(1, 5, dtype=torch.long)
    little = compress(models.CharLM(9, 8, 2), PruneUnits(0.5, symbols))
    same = take_shapes(models.CharLM(9, 8, 2), little.state_dict())
    same.load_state_dict(little.state_dict())
    assert torch.equal(same(symbols)[0], little(symbols)[0])


def test_a_file_of_another_network_is_still_refused(tmp_path):
    path = save_network(tmp_path / "one", nn.Linear(3, 2), 1)
    with pytest.raises(FileFormatError, match="the file does not fit the network that task 'made up' builds now"):
        load_network(path, task(lambda: nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))))


def test_a_network_in_its_own_shapes_stays_as_it_is():
    model = models.convnet(1, 4, 10, 8)
    before = deepcopy(model.state_dict())
    take_shapes(model, before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
