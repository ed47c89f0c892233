"""Masks made of patterns: counts that can be met, all masks, uniform draws and the cheapest, by enumeration."""

from collections import Counter
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewbit.errors import ArgumentError
from fewbit.prune import strided_patterns
from fewbit.prune.patterns import Patterns

THREE = strided_patterns(3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def enumerated(patterns, blocks):
    """All masks of so many blocks by what they keep, without the tables."""
    found = {}
    for chosen in product(patterns.choices, repeat=blocks):
        found.setdefault(sum(map(sum, chosen)), []).append(tuple(kept for choice in chosen for kept in choice))
    return found


@st.composite
def some_patterns(draw):
    length = draw(st.integers(1, 4))
    choices = draw(st.lists(st.tuples(*[st.booleans()] * length).filter(any), min_size=1, max_size=5, unique=True))
    return Patterns(tuple(choices)), draw(st.integers(1, 3))


@given(some_patterns())
def test_counts_and_masks_are_those_of_the_enumeration(made):
    patterns, blocks = made
    masks = enumerated(patterns, blocks)
    for total, wanted in masks.items():
        found = [tuple(mask.tolist()) for mask in patterns.every(blocks, total)]
        assert sorted(found) == sorted(wanted)
        assert patterns.ways(blocks, total) == len(wanted)
    for wanted in range(blocks * patterns.length + 2):
        nearest = min(abs(total - wanted) for total in masks)
        assert patterns.nearest_count(blocks, wanted) == min(t for t in masks if abs(t - wanted) == nearest)


@given(some_patterns(), st.integers(0, 1000))
def test_the_cheapest_mask_is_the_cheapest_of_all(made, seed):
    patterns, blocks = made
    costs = torch.rand(2, blocks, len(patterns.choices), generator=generator(seed), dtype=torch.float64)
    of_mask = dict(zip(patterns.choices, range(len(patterns.choices)), strict=True))
    for total, masks in enumerated(patterns, blocks).items():
        for row, chosen in zip(costs, patterns.cheapest(costs, total), strict=True):
            found = float(row[range(blocks), chosen].sum())
            cut = [[of_mask[m[i : i + patterns.length]] for i in range(0, len(m), patterns.length)] for m in masks]
            assert found == pytest.approx(min(float(row[range(blocks), each].sum()) for each in cut))
            assert int(patterns.masks(chosen[None]).sum()) == total


def test_large_tables_are_done_in_parts(monkeypatch):
    costs = torch.rand(7, 6, len(THREE.choices), generator=generator())
    whole = THREE.cheapest(costs, 9)
    monkeypatch.setattr("fewbit.prune.patterns._TABLE_BYTES", 1)
    assert THREE.cheapest(costs, 9).equal(whole)


def test_every_mask_is_drawn_equally_often():
    source, many = generator(), int(THREE.ways(3, 5))
    seen = Counter(tuple(THREE.draw(3, 5, source).tolist()) for _ in range(100 * many))
    assert len(seen) == many == len(enumerated(THREE, 3)[5])
    assert max(abs(count - 100) for count in seen.values()) < 5 * 100**0.5


def test_hundreds_of_blocks_have_more_masks_than_a_number_holds():
    nine = strided_patterns(9)
    assert nine.ways(700, 3150) == float("inf")
    assert int(nine.draw(700, 3150, generator()).sum()) == 3150
    assert nine.draw(700, 700, generator()).view(700, 9).sum(1).tolist() == [1] * 700


def test_patterns_and_masks_are_two_forms_of_one():
    chosen = torch.randint(len(THREE.choices), (4, 5), generator=generator())
    assert THREE.chosen(THREE.masks(chosen)).equal(chosen)


@pytest.mark.parametrize(
    ("choices", "fault"),
    [
        ((), "wanted one length"),
        (((True,), (True, False)), r"patterns of \[1, 2\] elements"),
        (((True, False), (False, False)), "each keeps an element"),
        (((True, False), (True, False)), "hold one of them twice"),
    ],
)
def test_patterns_that_make_no_masks_are_refused(choices, fault):
    with pytest.raises(ArgumentError, match=fault):
        Patterns(choices)
