"""What a search remembers."""

import math
import warnings

import pytest
import torch

from fewbit.errors import PruningError
from fewbit.prune import Score, SearchResult, SearchWarning
from fewbit.prune.search_result import Memory
from tests.prune.small_networks import rows, weighted


def remembered(scores, keep=5, masks=None):
    """A memory of masks that differ, or of the given ones, with these scores."""
    memory, layer, elements = Memory(keep), weighted(torch.ones(8)), rows(8)
    for place, score in enumerate(scores):
        mask = torch.arange(8) != place if masks is None else masks[place]
        memory.evaluate(layer, elements, {"fc": mask}, lambda _, score=score: score)
    return memory, layer, elements


def best(scores, rescore=None, keep=5):
    memory, layer, elements = remembered(scores, keep)
    return int((~memory.best(layer, elements, rescore)["fc"]).nonzero())


def test_the_least_error_wins_then_the_loss_then_the_first():
    assert best([0.3, 0.2, 0.4]) == 1
    assert best([Score(0.2, 1.0), Score(0.2, 0.5), Score(0.3, 0.1), Score(0.2, 0.5)]) == 1
    assert best([Score(math.nan), Score(0.0, math.nan), 0.9, math.nan]) == 2


def test_a_second_score_decides_among_the_kept():
    def second(model):
        return 1.0 - float(model.weight[1] == 0) - 2 * float(model.weight[2] == 0)  # likes 2, then 1

    scores = [0.1, 0.2, 0.3, 0.4]
    assert best(scores, second, keep=3) == 2
    assert best(scores, second, keep=2) == 1
    assert best(scores, second, keep=1) == 0
    assert best(scores, lambda model: 0.5) == 0


def test_a_mask_that_comes_twice_takes_one_place():
    masks = [torch.arange(8) != place for place in (0, 0, 0, 1)]
    memory, *_ = remembered([0.1, 0.1, 0.1, 0.2], keep=2, masks=masks)
    assert [number for _, number, _ in memory.ranked] == [0, 3]
    assert len(memory.log) == 4


def test_nothing_but_nan_is_an_error():
    memory, layer, elements = remembered([math.nan] * 3)
    with pytest.raises(PruningError, match=r"^the scores of all 3 masks are NaN; look for NaN in data and weights"):
        memory.best(layer, elements, None)


def test_best_errors_are_of_the_best_score_so_far():
    log = tuple(map(Score, [math.nan, 0.5, 0.6, math.nan, 0.1]))
    errors = SearchResult({}, log).best_errors
    assert math.isnan(errors[0])
    assert errors[1:] == (0.5, 0.5, 0.5, 0.1)
    assert SearchResult({}, ()).best_errors == ()


def test_errors_within_chance_are_a_warning():
    near = [Score(0.50, count=100), Score(0.54, count=100), Score(0.46, count=100)]  # chance: 0.05
    with pytest.warns(SearchWarning) as caught:
        remembered(near)[0].warn_of_noise("BestOfN of fc")
    assert str(caught[0].message).startswith(
        "BestOfN of fc: the errors of 3 masks have a standard deviation of 0.0327, and the error on 100 examples has "
        "0.05 by chance; the choice is little better than a random one."
    )


@pytest.mark.parametrize(
    "scores",
    [
        [Score(0.5, count=100), Score(0.7, count=100)],
        [0.5, 0.5001],  # no share of examples: nothing is known of the noise
        [Score(0.5, count=100)],
        [Score(0.5, count=100), Score(math.nan, count=100)],
    ],
)
def test_other_errors_are_none(scores):
    memory = remembered(scores)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory.warn_of_noise("BestOfN")
