"""Weights, resampling, crossover and swaps, one by one."""

import math

import pytest
import torch

from fewbit.prune import Score
from fewbit.prune.particle_moves import crossed, effective_size, reweighted, swapped, systematic


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def some_masks(count, size, pruned, seed=0):
    order = torch.rand(count, size, generator=generator(seed)).argsort(1)
    return torch.ones(count, size, dtype=torch.bool).scatter(1, order[:, :pruned], False)


EQUAL = torch.full((4,), 0.25, dtype=torch.float64)


def test_weights_follow_the_equation_and_are_carried():
    errors = [0.1, 0.2, 0.3, 0.6]
    spread = torch.tensor(errors, dtype=torch.float64).std(correction=0)
    wanted = (-(torch.tensor(errors, dtype=torch.float64) - 0.1) / spread).exp()
    once = reweighted(EQUAL, [Score(error) for error in errors])
    torch.testing.assert_close(once, wanted / wanted.sum())
    torch.testing.assert_close(reweighted(once, [Score(error) for error in errors]), wanted**2 / (wanted**2).sum())


def test_equal_errors_change_no_weight():
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    torch.testing.assert_close(reweighted(weights, [Score(0.5)] * 4), weights)


def test_differences_below_the_coldest_temperature_count_less():
    weights = reweighted(EQUAL[:2] * 2, [Score(0.5), Score(0.5 + 1e-4)])
    assert float(weights[1] / weights[0]) == pytest.approx(math.exp(-0.1))


@pytest.mark.parametrize("bad", [Score(math.nan), Score(0.0, math.nan), Score(math.inf)])
def test_what_has_no_error_has_no_weight(bad):
    weights = reweighted(EQUAL, [Score(0.1), bad, Score(0.2), bad])
    assert weights[[1, 3]].tolist() == [0, 0]
    assert float(weights.sum()) == pytest.approx(1)
    assert reweighted(EQUAL, [bad] * 4).equal(EQUAL)
    alone = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)  # all weight was on one that breaks
    torch.testing.assert_close(
        reweighted(alone, [Score(0.1), bad, Score(0.1), bad]), EQUAL[[1, 1]].new_tensor([0.5, 0, 0.5, 0])
    )


def test_effective_size():
    assert effective_size(EQUAL) == pytest.approx(4)
    assert effective_size(torch.tensor([0.0, 1.0, 0.0])) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(20))
def test_each_index_is_drawn_as_often_as_its_weight_says(seed):
    weights = torch.rand(9, generator=generator(seed), dtype=torch.float64) ** 3
    weights[[0, 4, 8]] = 0
    weights /= weights.sum()
    drawn = systematic(weights, 50, generator(seed)).bincount(minlength=9)
    assert ((drawn - 50 * weights).abs() < 1 + 1e-9).all()
    assert drawn[[0, 4, 8]].tolist() == [0, 0, 0]


def test_a_mix_takes_its_bits_from_both_parents_and_keeps_the_count():
    masks = some_masks(40, 25, 10)
    weights = torch.zeros(40, dtype=torch.float64)
    weights[7] = 1  # the mate of all
    mixed = crossed({"a": masks}, weights, 3, 1.0, {"a": 10}, generator())["a"]
    assert ((~mixed).sum(1) == 10).all()
    assert mixed[:3].equal(masks[:3])
    moved = (mixed != masks)[3:]
    assert moved.any(1).sum() > 30
    agreed = (masks == masks[7])[3:]
    assert (moved & agreed).sum() < (moved & ~agreed).sum()  # where parents agree only repairs change anything
    far = torch.arange(40) != 7
    assert ((mixed != masks[7])[far][3:].sum() < (masks != masks[7])[far][3:].sum()) & mixed[7].equal(masks[7])


def test_without_crossover_nothing_is_mixed():
    masks = some_masks(6, 9, 4)
    assert crossed({"a": masks}, torch.full((6,), 1 / 6), 0, 0.0, {"a": 4}, generator())["a"].equal(masks)


def test_swaps_keep_the_count_and_come_as_often_as_asked():
    masks = some_masks(200, 30, 12)
    moved = swapped(masks, 5, 2 / 30, generator(1))
    assert ((~moved).sum(1) == 12).all()
    assert moved[:5].equal(masks[:5])
    distance = (moved != masks)[5:].sum(1).double()
    assert 3 < float(distance.mean()) < 4.2  # two swaps change four elements, less where they meet
    assert swapped(masks, 0, 0.0, generator()).equal(masks)


def test_nothing_to_swap_with_is_no_swap():
    masks = torch.ones(3, 4, dtype=torch.bool)
    assert swapped(masks, 0, 1.0, generator()).equal(masks)
