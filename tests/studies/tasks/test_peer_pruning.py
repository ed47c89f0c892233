"""Importances of Torch-Pruning: as many channels as ours, and the network is left as it was."""

import pytest
import torch

from fewbit.passes import PruneChannels, compress
from fewbit.prune import structure_of
from fewbit.train import CrossEntropy
from studies.tasks.peer_pruning import PEERS, PeerImportance
from studies.tasks.staged_pictures import staged_network

pytest.importorskip("torch_pruning", reason="Torch-Pruning is an optional part of study 26: pip install torch-pruning")


@pytest.mark.parametrize("kind", PEERS)
def test_the_least_channels_go_and_the_network_is_left_as_it_was(kind):
    network = staged_network(1, 4, 3)
    with torch.no_grad():
        network.conv2a.weight[1] = 0  # what a map without weights, norm and readers is worth
        network.norm2a.weight[1] = 0
        network.conv2b.weight[:, 1] = 0
    batches = [(torch.randn(6, 1, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2]))]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    elements = structure_of(network, batches[0][0]).elements
    masks = PeerImportance(kind, batches, CrossEntropy())(network, elements, 0.25)
    assert masks["conv2a"].tolist() == [True, False, True, True]
    assert [int((~mask).sum()) for mask in masks.values()] == [1, 1, 1, 2, 2]
    assert all(value.equal(before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    smaller = compress(network, PruneChannels(0.25, batches[0][0], PeerImportance(kind, batches, CrossEntropy())))
    assert smaller.conv3b.out_channels == 6
