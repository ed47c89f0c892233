"""The best of N masks: nested draws, the whole of a small layer, and the quantile that theory says."""

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewbit.errors import ArgumentError
from fewbit.prune import BestOfN, ClassificationScore, RandomMask, SearchWarning, masks_needed
from fewbit.prune.draws import counts_of, every_mask
from fewbit.prune.score import judge
from tests.prune.small_networks import channels, images, rows, trained, weighted, worth_lost

WORTH = torch.rand(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64).float() / 12
LAYER = weighted(WORTH)
RATIO = 5 / 12


def lost(mask):
    return 1 - float(WORTH.double()[mask].sum())


def test_the_masks_are_the_best_of_the_log():
    result = BestOfN(worth_lost, tries=50, seed=4).search(LAYER, rows(12), RATIO)
    errors = [score.error for score in result.log]
    assert len(errors) == 50
    assert lost(result.masks["fc"]) == pytest.approx(min(errors), abs=1e-12)
    assert min(errors) < max(errors)
    assert BestOfN(worth_lost, tries=50, seed=4)(LAYER, rows(12), RATIO)["fc"].equal(result.masks["fc"])


def test_draws_are_nested_and_begin_with_the_random_mask():
    long = BestOfN(worth_lost, tries=100, seed=2).search(LAYER, rows(12), RATIO)
    for tries in (1, 10, 60):
        short = BestOfN(worth_lost, tries=tries, seed=2).search(LAYER, rows(12), RATIO)
        assert short.log == long.log[:tries]
        assert short.best_errors[-1] == long.best_errors[tries - 1] >= long.best_errors[-1]
    assert long.log[0].error == pytest.approx(lost(RandomMask(2)(LAYER, rows(12), RATIO)["fc"]), abs=1e-12)
    assert BestOfN(worth_lost, seed=3).search(LAYER, rows(12), RATIO).log[:10] != long.log[:10]


def test_a_small_layer_is_searched_as_a_whole():
    """12 choose 5 is 792."""
    result = BestOfN(worth_lost, tries=792).search(LAYER, rows(12), RATIO)
    assert len({score.error for score in result.log}) == 792
    assert sorted((~result.masks["fc"]).nonzero().flatten().tolist()) == sorted(WORTH.argsort()[:5].tolist())
    assert len(BestOfN(worth_lost, tries=5000).search(LAYER, rows(12), RATIO).log) == 792
    assert len(BestOfN(worth_lost, tries=5000).search(LAYER, rows(12), 0.0).log) == 1
    fewer = BestOfN(worth_lost, tries=791).search(LAYER, rows(12), RATIO)
    assert len({score.error for score in fewer.log}) < len(fewer.log) == 791  # drawn, so some come twice


@pytest.mark.parametrize("tries", [5, 20])
def test_the_quantile_of_the_best_agrees_with_the_formula(tries):
    """In a share 1 - (1 - q)^N of many searches the best is one of the best q of all masks."""
    elements, seeds, best = rows(12), 200, 79
    every = sorted(lost(mask["fc"]) for mask in every_mask(elements, counts_of(elements, RATIO)))
    found = sum(
        lost(BestOfN(worth_lost, tries, seed)(LAYER, elements, RATIO)["fc"]) < every[best] - 1e-12
        for seed in range(seeds)
    )
    expected = 1 - (1 - best / len(every)) ** tries
    assert abs(found / seeds - expected) < 3.5 * math.sqrt(expected * (1 - expected) / seeds)


def test_how_many_masks_are_needed():
    assert masks_needed(0.05, 0.994) == 100
    assert masks_needed(0.5, 0.75) == 2
    assert masks_needed(0.5, 0.0) == 1
    for share, confidence in [(0, 0.5), (1, 0.5), (0.5, 1), (0.5, -0.1), (math.nan, 0.5)]:
        with pytest.raises(ArgumentError, match=r"^masks_needed: share is .* wanted 0 < share < 1 and 0 <= confidence"):
            masks_needed(share, confidence)


@given(st.floats(1e-3, 0.99), st.floats(0, 0.999))
def test_so_many_masks_are_enough_and_one_less_is_not(share, confidence):
    needed = masks_needed(share, confidence)
    assert 1 - (1 - share) ** needed >= confidence - 1e-6
    assert needed == 1 or 1 - (1 - share) ** (needed - 1) < confidence


def test_layers_are_searched_with_all_others_dense():
    elements = channels()
    dense = []

    def score(model):
        alive = [int(model[place].bias.detach().ne(0).sum()) for place in (0, 3)]
        dense.append(alive)
        return float(model[0].weight.detach().abs().sum() + model[3].weight.detach().abs().sum())

    result = BestOfN(score, tries=30, scope="layer").search(trained(), elements, 0.5)
    assert dense == [[6, 15]] * 30 + [[12, 7]] * 30
    assert len(result.log) == 60
    assert {name: int(mask.sum()) for name, mask in result.masks.items()} == {"0": 6, "3": 7}
    for place, each in enumerate(elements):
        errors = [one.error for one in result.log[30 * place : 30 * place + 30]]
        assert judge(trained(), [each], {each.name: result.masks[each.name]}, score).error == min(errors) < errors[0]


def test_each_layer_has_draws_of_its_own():
    elements = [*rows(30, "a"), *rows(30, "b")]
    masks = BestOfN(worth_lost, tries=1, scope="layer")(weighted(torch.ones(30)), elements, 0.5)
    other = BestOfN(worth_lost, tries=1, scope="layer", seed=1)(weighted(torch.ones(30)), elements, 0.5)
    seen = {tuple(mask.tolist()) for mask in (*masks.values(), *other.values())}
    assert len(seen) == 4


def test_the_best_of_100_is_better_than_the_median_random_mask():
    """The claim of the paper, on a trained network at 40%: on data of the search, and on other data."""
    score = ClassificationScore([images(300, seed=2)])
    other = ClassificationScore([images(1000, seed=3)])
    result = BestOfN(score, seed=1).search(trained(), channels(), 0.4)
    assert result.best_errors[-1] < statistics.median(one.error for one in result.log) - 0.05
    random = [BestOfN(other, tries=1, seed=seed).search(trained(), channels(), 0.4).log[0].error for seed in range(20)]
    kept = BestOfN(score, seed=1, rescore=other)(trained(), channels(), 0.4)
    assert judge(trained(), channels(), result.masks, other).error < statistics.median(random)
    assert judge(trained(), channels(), kept, other).rank <= judge(trained(), channels(), result.masks, other).rank


def test_a_search_in_noise_is_a_warning():
    few = ClassificationScore([images(6, seed=2)])
    with pytest.warns(SearchWarning, match=r"^BestOfN of 0, 3: the errors of 20 masks have a standard deviation of"):
        BestOfN(few, tries=20)(trained(), channels(), 0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tries": 0}, r"^BestOfN: tries: saw 0 \(int\); wanted a whole number of at least 1$"),
        ({"tries": 2.5}, r"^BestOfN: tries: saw 2.5"),
        ({"keep": 0}, r"^BestOfN: keep: saw 0"),
        ({"scope": "net"}, r"^BestOfN: scope: saw 'net' \(str\); wanted one of global, layer"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ArgumentError, match=message):
        BestOfN(worth_lost, **settings)
