"""Counts of convolutions: by hand, and the closed form against networks that were pruned."""

import pytest
import torch
from torch import nn

from fewbit.passes import PruneChannels, PruneKernels, compress
from fewbit.prune import RandomMask
from studies.tasks.pruned_sizes import chain_of, convolutions_of
from studies.tasks.staged_pictures import staged_network


def test_live_kernels_count_with_their_taps_and_places():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Conv2d(2, 1, 2))
    with torch.no_grad():
        network[2].weight[0, 1] = 0
    found = convolutions_of(network, torch.zeros(1, 1, 8, 8))
    assert found.weights == 2 * 9 + 4
    assert found.macs == 2 * 9 * 36 + 4 * 4  # 6 x 6 places, then 2 x 2
    assert not network[0]._forward_hooks


@pytest.mark.parametrize("maps", [0.0, 0.4])
def test_the_closed_form_of_maps_is_what_pruned_networks_have(maps):
    network, picture = staged_network(3, 12, 10), torch.randn(1, 3, 16, 16)
    form = chain_of(network)
    assert 9 * form.kernels() == convolutions_of(network, picture).weights
    pruned = convolutions_of(compress(network, PruneChannels(maps, picture, RandomMask(1))), picture)
    assert pruned.weights == 9 * form.kernels(maps)
    assert form.sparsity(maps) == pytest.approx(1 - pruned.weights / (9 * form.kernels()))


@pytest.mark.parametrize("ratio", [0.5, 0.8])
def test_the_closed_form_of_kernels_is_the_mean_over_masks(ratio):
    network, picture = staged_network(3, 8, 10), torch.randn(1, 3, 16, 16)
    form = chain_of(network)
    masks = [PruneKernels(ratio, picture, RandomMask(seed), keep=("conv1a",)) for seed in range(8)]
    kernels = [convolutions_of(compress(network, holes), picture).weights / 9 for holes in masks]
    assert sum(kernels) / len(kernels) == pytest.approx(form.kernels(kernels=ratio), rel=0.02)


def test_ratios_are_found_again():
    form = chain_of(staged_network(3, 16, 10))
    assert form.sparsity(form.map_ratio(0.8)) == pytest.approx(0.8, abs=0.03)
    assert form.kernel_ratio(form.kernels(maps=0.3, kernels=0.6), maps=0.3) == pytest.approx(0.6)
