"""Random masks: their counts are exact, all of them are equally likely, and the enumeration has each once."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fewbit.errors import ArgumentError, PruningError
from fewbit.prune.draws import counts_of, distinct, draw, every_mask, with_count
from fewbit.prune.elements import pruned_count
from tests.prune.small_networks import rows


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(sizes=st.lists(st.integers(2, 40), min_size=1, max_size=4), ratio=st.floats(0, 1, exclude_max=True))
def test_each_mask_has_the_exact_count(sizes, ratio):
    elements = [rows(size, f"layer{place}")[0] for place, size in enumerate(sizes)]
    masks = draw(elements, counts_of(elements, ratio), generator())
    assert {name: int((~mask).sum()) for name, mask in masks.items()} == {
        each.name: pruned_count(each, ratio) for each in elements
    }


@given(size=st.integers(1, 20), data=st.data())
def test_a_repair_changes_no_more_than_it_must(size, data):
    pruned = data.draw(st.integers(0, size))
    given_masks = torch.tensor(data.draw(st.lists(st.lists(st.booleans(), min_size=size, max_size=size), min_size=1)))
    repaired = with_count(given_masks, pruned, generator())
    before = (~given_masks).sum(1)
    assert ((~repaired).sum(1) == pruned).all()
    assert ((repaired != given_masks).sum(1) == (before - pruned).abs()).all()


def test_all_masks_are_equally_likely():
    elements, source = rows(5), generator()
    counts = counts_of(elements, 0.4)
    seen = Counter(tuple(draw(elements, counts, source)["fc"].tolist()) for _ in range(3000))
    assert len(seen) == 10
    assert max(abs(count - 300) for count in seen.values()) < 5 * 300**0.5


@pytest.mark.parametrize(("pruned", "wanted"), [(1, [0, 1, 2]), (4, [3, 4, 5])])
def test_a_repair_is_random_among_what_it_may_change(pruned, wanted):
    """Too many pruned: one of them stays pruned. Too few: one more goes."""
    masks = torch.tensor([[False] * 3 + [True] * 3]).expand(900, 6)
    gone = ~with_count(masks, pruned, generator())
    times = gone.sum(0)[wanted]
    assert gone[:, :3].all() if pruned == 4 else not gone[:, 3:].any()
    assert int(times.sum()) == 900
    assert ((times - 300).abs() < 5 * 300**0.5).all()


def test_the_enumeration_has_every_mask_once():
    elements = [*rows(5, "a"), *rows(4, "b")]
    counts = counts_of(elements, 0.5)
    masks = [tuple(torch.cat([one["a"], one["b"]]).tolist()) for one in every_mask(elements, counts)]
    assert counts == {"a": 3, "b": 2}
    assert len(masks) == len(set(masks)) == distinct(elements, counts) == 60
    assert all(sum(mask[:5]) == 2 and sum(mask[5:]) == 2 for mask in masks)


@pytest.mark.parametrize(
    ("elements", "ratio", "error", "message"),
    [
        (rows(4), 1.0, ArgumentError, "ratio is 1.0; wanted the share of elements to prune, from 0 to below 1"),
        (rows(4), -0.1, ArgumentError, "ratio is -0.1; wanted"),
        (rows(4), float("nan"), ArgumentError, "ratio is nan; wanted"),
        (rows(1), 0.5, PruningError, "fc has one of its units, which cannot be pruned"),
        ([], 0.5, ArgumentError, r"elements are \[\]; wanted some, each with its own name"),
        (rows(4) * 2, 0.5, ArgumentError, r"elements are \['fc', 'fc'\]; wanted some, each with its own name"),
    ],
)
def test_what_cannot_be_pruned_is_refused(elements, ratio, error, message):
    with pytest.raises(error, match=message):
        counts_of(elements, ratio)
