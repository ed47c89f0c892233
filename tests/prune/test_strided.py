"""Strided patterns, the taps that have them, and searches whose masks are made of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fewbit.errors import ArgumentError, FileFormatError, PruningError
from fewbit.prune import (
    BestOfN,
    Magnitude,
    ParticleFilter,
    RandomMask,
    Taylor,
    add_masks,
    kernels_of,
    lowered,
    refused_taps,
    strided_patterns,
    taps_of,
)
from fewbit.prune.draws import counts_of, draw, with_count
from fewbit.prune.elements import pruned_count
from fewbit.prune.particle_moves import crossed, swapped
from fewbit.train import CrossEntropy


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, (2, 3)), nn.Flatten(), nn.LazyLinear(4))


def kept_weight(model):
    return float(model[0].weight.abs().sum() + model[2].weight.abs().sum())


@pytest.mark.parametrize("mode", ["keep", "drop"])
@pytest.mark.parametrize("taps", [2, 3, 6, 9, 25])
def test_patterns_are_lattices_of_a_stride_and_an_offset(taps, mode):
    found = strided_patterns(taps, mode)
    wanted = {(True,) * taps}
    for stride in range(2, taps + 1):
        for offset in range(stride):
            lattice = set(range(offset, taps, stride))
            wanted.add(tuple((tap in lattice) == (mode == "keep") for tap in range(taps)))
    assert set(found.choices) == wanted
    assert all(found.choices[0])


def test_the_largest_stride_is_that_of_the_kernel():
    assert strided_patterns(9, largest_stride=1).choices == ((True,) * 9,)
    for stride in (0, 10):
        with pytest.raises(PruningError, match=f"a stride of {stride} in kernels of 9 taps; wanted 1 to 9"):
            strided_patterns(9, largest_stride=stride)
    with pytest.raises(PruningError, match="a kernel of one tap has no strided patterns"):
        strided_patterns(1)
    with pytest.raises(PruningError, match="2: a stride of 7 in kernels of 6 taps; wanted 1 to 6"):
        taps_of(network(), largest_stride=7)


def test_taps_belong_to_input_maps_and_to_all_output_maps_at_once():
    model = network()
    elements = taps_of(model)
    assert [(each.name, each.kind, each.size, each.blocks) for each in elements] == [
        ("0", "taps", 27, 3),
        ("2", "taps", 36, 6),
    ]
    mask = torch.arange(27) != 9 + 5  # tap 5, the last of the second row, of input map 1
    masked = add_masks(model, elements, {"0": mask})
    assert (masked[0].weight == 0).nonzero().tolist() == [[output, 1, 1, 2] for output in range(6)]


def test_what_has_no_patterns_is_left_out_with_the_reason():
    model = nn.Sequential(nn.Conv1d(4, 4, 3, groups=4), nn.Conv1d(4, 6, 1), nn.Conv1d(6, 6, 3))
    assert [each.name for each in taps_of(model)] == ["2"]
    assert refused_taps(model) == {
        "0": "its 4 groups read input maps of their own, and would share no columns",
        "1": "its kernels have one tap",
    }
    with pytest.raises(PruningError, match=r"no convolution whose taps can be pruned \(1: its kernels have one tap\)"):
        taps_of(nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 1)))
    with pytest.raises(PruningError, match="Linear has no convolution whose taps can be pruned"):
        taps_of(nn.Linear(2, 2))


@given(
    maps=st.integers(1, 7),
    taps=st.integers(2, 10),
    ratio=st.floats(0, 1, exclude_max=True),
    mode=st.sampled_from(["keep", "drop"]),
)
def test_counts_are_the_nearest_that_patterns_meet(maps, taps, ratio, mode):
    elements = taps_of(nn.Conv1d(maps, 2, taps), mode)[0]
    count = pruned_count(elements, ratio)
    kept = {sum(choice) for choice in elements.patterns.choices}
    sums = {0}
    for _ in range(maps):
        sums = {total + each for total in sums for each in kept}
    wanted = elements.size - min(int(ratio * elements.size + 0.5), elements.size - 1)
    assert elements.size - count in sums
    assert abs(elements.size - count - wanted) == min(abs(total - wanted) for total in sums)
    mask = draw([elements], {elements.name: count}, generator())[elements.name]
    assert int((~mask).sum()) == count
    assert all(tuple(block) in elements.patterns.choices for block in mask.view(maps, taps).tolist())


def test_no_ratio_prunes_nothing_and_every_map_keeps_a_tap():
    elements = taps_of(network())
    assert counts_of(elements, 0.0) == {"0": 0, "2": 0}
    assert counts_of(elements, 0.999) == {"0": 24, "2": 30}


def importances():
    score = lambda model: -kept_weight(model)  # noqa: E731
    batches = [(torch.randn(4, 3, 8, 8, generator=generator()), torch.tensor([0, 1, 2, 3]))]
    return [
        Magnitude(),
        Taylor(batches, CrossEntropy()),
        RandomMask(3),
        BestOfN(score, 5),
        BestOfN(score, 5, scope="layer"),
        ParticleFilter(score, 6, 3),
    ]


@pytest.mark.parametrize("mode", ["keep", "drop"])
@pytest.mark.parametrize("place", range(6))
def test_every_importance_gives_masks_of_patterns_with_the_exact_count(place, mode):
    model = network()
    model(torch.zeros(1, 3, 8, 8))
    elements = taps_of(model, mode)
    masks = importances()[place](model, elements, 0.55)
    for each in elements:
        assert int((~masks[each.name]).sum()) == pruned_count(each, 0.55)
        blocks = masks[each.name].view(each.blocks, each.patterns.length).tolist()
        assert all(tuple(block) in each.patterns.choices for block in blocks)


def test_magnitude_keeps_the_largest_sum_of_all_masks():
    layer = nn.Conv1d(2, 2, 4)
    elements = taps_of(layer)[0]
    found = Magnitude(norm=1.0)(layer, [elements], 0.5)[elements.name]
    sizes = layer.weight.detach().double().abs().sum(0).flatten()
    best = max(float(sizes[mask].sum()) for mask in elements.patterns.every(2, 4))
    assert float(sizes[found].sum()) == pytest.approx(best)


def test_a_few_masks_are_all_tried_once():
    layer = nn.Conv1d(2, 3, 3)
    elements = taps_of(layer)
    many = int(elements[0].patterns.ways(2, 4))
    result = BestOfN(lambda model: float(model.weight.abs().sum()), tries=many).search(layer, elements, 1 / 3)
    assert len({score.error for score in result.log}) == len(result.log) == many


def test_moves_of_particles_change_patterns_and_keep_the_count():
    elements = taps_of(nn.Conv1d(8, 2, 9))[0]
    masks = torch.stack([draw([elements], {elements.name: 40}, generator(seed))[elements.name] for seed in range(30)])
    by_name = {"a": elements.patterns}
    mixed = crossed({"a": masks}, torch.full((30,), 1 / 30), 2, 1.0, {"a": 40}, generator(), by_name)["a"]
    moved = swapped(masks, 2, 0.3, generator(), elements.patterns)
    for found in (mixed, moved):
        assert ((~found).sum(1) == 40).all()
        assert elements.patterns.masks(elements.patterns.chosen(found)).equal(found)
        assert found[:2].equal(masks[:2])
        assert (found != masks).any(1).sum() > 20
    assert swapped(masks, 0, 0.0, generator(), elements.patterns).equal(masks)


def test_a_repair_changes_as_few_patterns_as_it_can():
    patterns = strided_patterns(9)
    dense = torch.ones(1, 4 * 9, dtype=torch.bool)
    assert (patterns.chosen(with_count(dense, 8, generator(), patterns)) != 0).sum() == 1
    assert (patterns.chosen(with_count(dense, 12, generator(), patterns)) != 0).sum() == 2
    assert with_count(dense, 0, generator(), patterns).equal(dense)


def test_a_search_goes_on_from_its_file_and_knows_its_patterns(tmp_path):
    model, file = network(), tmp_path / "search.safetensors"
    model(torch.zeros(1, 3, 8, 8))
    score = lambda model: -kept_weight(model)  # noqa: E731
    elements = taps_of(model)
    whole = ParticleFilter(score, 6, 4)(model, elements, 0.5)
    ParticleFilter(score, 6, 2, checkpoint=file)(model, elements, 0.5)
    resumed = ParticleFilter(score, 6, 4, checkpoint=file)(model, elements, 0.5)
    assert all(resumed[name].equal(mask) for name, mask in whole.items())
    with pytest.raises(FileFormatError, match="of another search: elements is"):
        ParticleFilter(score, 6, 4, checkpoint=file)(model, taps_of(model, "drop"), 0.5)


def test_the_lowered_matrix_multiplies_to_the_convolution():
    """K' and U' have R columns and rows, as predicted from the patterns, and give what the convolution gives."""
    model = network()
    elements = taps_of(model)[0]
    masks = RandomMask(1)(model, [elements], 0.5)
    predicted = sum(elements.patterns.kept[pattern] for pattern in elements.patterns.chosen(masks["0"][None])[0])
    layer = add_masks(model, [elements], masks)[0]
    found = lowered(nn.Sequential(layer))[0]
    x = torch.randn(1, 3, 7, 7, generator=generator())
    small = layer.weight.flatten(1)[:, found.needed]
    rows = nn.functional.unfold(x, 3)[0][found.needed]
    assert (tuple(small.shape), tuple(rows.shape)) == ((6, predicted), (predicted, 25))
    assert predicted == found.size == found.widest == 27 - pruned_count(elements, 0.5)
    torch.testing.assert_close((small @ rows + layer.bias[:, None]).view(6, 5, 5), layer(x)[0])


def test_kernels_with_patterns_of_their_own_need_more_columns():
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, 3)
    kernel = taps_of(nn.Conv2d(8, 1, 3))[0]
    own = torch.stack([draw([kernel], {kernel.name: 36}, generator(seed))[kernel.name] for seed in range(16)])
    with torch.no_grad():
        layer.weight *= own.view(16, 8, 3, 3)
    found = lowered(layer)[0]
    assert (found.is_shared, found.widest, found.size) == (False, 36, int(own.any(0).sum()))
    assert found.size > 60
    assert str(found) == (
        f"the network: {found.size} of 72 columns, though no output map keeps more than 36: the kernels of 8 input "
        "maps keep different taps"
    )


def test_one_kernel_that_breaks_the_constraint_is_found():
    model = nn.Sequential(nn.Conv2d(4, 6, 3))
    shared = add_masks(model, taps_of(model), RandomMask()(model, taps_of(model), 0.5))
    mask = shared[0].parametrizations.weight[0].keep
    before = lowered(shared)[0]
    gone = (~mask[0, 2]).nonzero()[0]
    mask[3, 2, gone[0], gone[1]] = True
    after = lowered(shared)[0]
    assert (before.is_shared, before.size, before.broken) == (True, 18, ())
    assert (after.is_shared, after.size, after.broken) == (False, 19, (2,))


def test_pruned_kernels_break_no_pattern():
    model = nn.Sequential(nn.Conv2d(4, 6, 3))
    kernels, taps = kernels_of(model), taps_of(model)
    both = add_masks(add_masks(model, kernels, RandomMask()(model, kernels, 0.5)), taps, RandomMask()(model, taps, 0.5))
    found = lowered(both)[0]
    assert (found.is_shared, found.size) == (True, 18)
    assert found.widest < 18


def test_networks_without_lowered_matrices_are_refused():
    with pytest.raises(PruningError, match="Linear has no convolution without groups"):
        lowered(nn.Linear(2, 2))


def test_a_ratio_out_of_range_is_refused():
    with pytest.raises(ArgumentError, match="wanted the share of elements to prune"):
        counts_of(taps_of(network()), 1.0)
