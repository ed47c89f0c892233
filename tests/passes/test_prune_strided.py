"""Strided pruning as a pass: masks before quantizers, training, recipes, and what is refused."""

import pytest
import torch
from torch import nn

from fewbit.errors import ArgumentError, DataError, PruningError, SelectionError
from fewbit.passes import Finetune, PruneKernels, PruneStrided, Quantize, compress, read_recipe
from fewbit.prune import RandomMask, lowered
from fewbit.quant import quantizer_of
from fewbit.testing import check_pass
from fewbit.train import CrossEntropy


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(64, 4)
    )


def batches():
    random = torch.Generator().manual_seed(0)
    return [(torch.randn(6, 3, 8, 8, generator=random), torch.randint(0, 4, (6,), generator=random))] * 3


def test_columns_are_zero_through_training_and_quantization():
    data = batches()
    pruned = compress(network(), PruneStrided(0.5))
    needed = [found.needed for found in lowered(pruned)]
    assert [int(each.sum()) for each in needed] == [13, 36, 8]
    trained = compress(
        pruned,
        Finetune(data, CrossEntropy(), epochs=1, progress=False),
        Quantize(weights="int4", activations="int8", calibration=data),
        Finetune(data, CrossEntropy(), epochs=1, progress=False),
    )
    for place, columns in zip((0, 2), needed, strict=False):
        alive = (trained[place].weight.flatten(1) != 0).any(0)
        assert not alive[~columns].any()
        assert alive[columns].float().mean() > 0.8


@pytest.mark.parametrize("mode", ["keep", "drop"])
def test_laws(mode):
    check_pass(lambda: PruneStrided(0.5, mode=mode), network(), torch.zeros(2, 3, 8, 8))


def test_steps_are_those_of_the_surviving_weights():
    """Zeros are codes without an error, so that the best step of a tensor does not see them."""
    quantized = compress(network(), PruneStrided(0.75, RandomMask()), Quantize(weights="int4"))
    layer = quantized[2]
    columns = lowered(quantized)[1].needed
    master = layer.parametrizations.weight.original.detach().flatten(1)[:, columns]
    alone = nn.Linear(master.shape[1], 8)
    with torch.no_grad():
        alone.weight.copy_(master)
    alone = compress(nn.Sequential(alone), Quantize(weights="int4"))[0]
    codes, wanted = (
        quantizer_of(each, "weight").codes(each.parametrizations.weight.original.detach() * mask)
        for each, mask in ((layer, layer.parametrizations.weight[0].keep), (alone, 1))
    )
    torch.testing.assert_close(codes.scale.flatten(), wanted.scale.flatten())
    assert codes.values.flatten(1)[:, columns].equal(wanted.values)


def test_named_layers_only_and_kernels_before():
    kept = compress(network(), PruneStrided(0.5, keep=("0",)))
    assert [found.size for found in lowered(kept)] == [27, 36, 8]
    both = compress(network(), PruneKernels(0.5, torch.zeros(1, 3, 8, 8), layers=("2",)), PruneStrided(0.5))
    assert [found.size for found in lowered(both)][1:] == [36, 8]
    assert int((both[2].weight != 0).sum()) < 36 * 8 * 0.7


def test_drop_prunes_the_lattice_and_a_largest_stride_bounds_it():
    dropped = compress(network(), PruneStrided(0.5, mode="drop", largest_stride=2))
    taps = lowered(dropped)[1].needed.view(8, 9)
    lattices = {(True,) * 9, tuple(tap % 2 == 0 for tap in range(9)), tuple(tap % 2 == 1 for tap in range(9))}
    assert {tuple(map_taps) for map_taps in taps.tolist()} <= lattices
    assert int(taps.sum()) == 36


def test_what_is_not_there_or_cannot_be_pruned_is_refused_by_name():
    with pytest.raises(SelectionError, match=r"no taps match 'conv9'; there are those of \['0', '2'\]"):
        compress(network(), PruneStrided(0.5, layers=("conv9",)))
    with pytest.raises(PruningError, match="4 has no taps to prune: its kernels have one tap"):
        compress(network(), PruneStrided(0.5, layers=("4",)))
    with pytest.raises(PruningError, match="0 has no taps to prune: its 2 groups read input maps of their own"):
        compress(nn.Sequential(nn.Conv1d(4, 4, 3, groups=2)), PruneStrided(0.5, layers=("0",)))
    with pytest.raises(PruningError, match="0: a stride of 10 in kernels of 9 taps"):
        compress(network(), PruneStrided(0.5, largest_stride=10))


@pytest.mark.parametrize("ratio", [-0.1, 1.0, float("nan")])
def test_a_ratio_out_of_range_is_refused(ratio):
    with pytest.raises(ArgumentError, match="wanted the share of elements to prune, from 0 to below 1"):
        PruneStrided(ratio)


RECIPE = """
[[pass]]
kind = "PruneStrided"
ratio = 0.5
mode = "drop"
largest_stride = 4
layers = ["2"]
importance = { kind = "BestOfN", tries = 3 }
"""


def test_a_recipe_prunes_as_the_pass_does(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE, "utf-8")
    made = read_recipe(path).passes(
        batches=batches(), objective=CrossEntropy(), score=lambda model: 0.5, progress=False
    )
    assert (made[0].ratio, made[0].mode, made[0].largest_stride, made[0].layers) == (0.5, "drop", 4, ("2",))
    assert [found.size for found in lowered(compress(network(), *made))] == [27, 36, 8]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('mode = "leave"', "mode.*'leave'"),
        ("largest_stride = 0", "a whole number of at least 1"),
    ],
)
def test_wrong_settings_of_a_recipe_are_named(line, fault, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(f'[[pass]]\nkind = "PruneStrided"\nratio = 0.5\n{line}\n', "utf-8")
    with pytest.raises(DataError, match=fault):
        read_recipe(path)
