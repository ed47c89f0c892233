"""A search inside a pass: the masks are those of the search, and what it saw is kept."""

import torch
from torch import nn

from fewbit.passes import PruneChannels, compress
from fewbit.prune import BestOfN, Score, structure_of
from studies.tasks.recorded_search import RecordedSearch


def test_masks_are_those_of_the_search_and_the_scores_are_kept_in_percent():
    network, x = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)), torch.zeros(1, 3)

    def score(model):
        return Score(float(model[0].weight.abs().mean()))

    search = BestOfN(score, tries=7)
    recorded = RecordedSearch(search)
    pruned = compress(network, PruneChannels(0.5, x, recorded))
    assert tuple(pruned[0].weight.shape) == (4, 3)

    elements = structure_of(network, x).elements
    plain = search.search(network, elements, 0.25)
    assert recorded(network, elements, 0.25)["0"].equal(plain.masks["0"])
    first, second = recorded.summary()
    assert first["masks"] == 7
    assert second["best"] == 100 * plain.best_errors[-1] != first["best"]
    assert second["best"] <= second["median"]
