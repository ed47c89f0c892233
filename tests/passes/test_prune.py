"""Pruning as passes: what is chosen, what is cut now or later, and recipes that prune."""

from copy import deepcopy

import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit import models
from fewbit.errors import ArgumentError, DataError, PruningError, SelectionError
from fewbit.passes import Compact, Finetune, PruneChannels, PruneKernels, PruneUnits, Quantize, Recipe, compress
from fewbit.prune import BestOfN, ParticleFilter, RandomMask, Taylor, kernels_of
from fewbit.train import CrossEntropy

X = torch.zeros(1, 1, 8, 8)


def convnet(seed=0):
    torch.manual_seed(seed)
    return models.convnet(1, 8, 10, 8)


def batches(count=4):
    random = torch.Generator().manual_seed(0)
    return [(torch.randn(6, 1, 8, 8, generator=random), torch.randint(0, 10, (6,), generator=random))] * count


def test_channels_of_the_named_layers_get_fewer():
    small = compress(convnet(), PruneChannels(0.25, X, layers=("4", "8")))
    assert [small[i].out_channels for i in (0, 4, 8)] == [8, 6, 12]
    kept = compress(convnet(), PruneChannels(0.25, X, keep=("13", "0")))
    assert [kept[i].out_channels for i in (0, 4, 8)] == [8, 6, 12]
    assert kept[13].out_features == 16


def test_masks_that_stay_are_cut_at_the_end_to_the_same_network():
    now = compress(convnet(), PruneChannels(0.5, X))
    later = compress(convnet(), PruneChannels(0.5, X, cut=False), Compact(X))
    assert all(torch.equal(a, b) for a, b in zip(now.parameters(), later.parameters(), strict=True))


def test_training_and_quantizers_leave_pruned_numbers_at_zero_and_packing_gives_the_same_integers():
    data = batches()
    whole = compress(
        convnet(),
        PruneChannels(0.5, X, cut=False),
        Quantize(weights="ternary", activations="int8", calibration=data),
        Finetune(data, CrossEntropy(), epochs=2, progress=False),
    )
    zeros = (whole[0].weight.flatten(1) == 0).all(1)
    assert int(zeros.sum()) >= 4
    small = compress(whole, Compact(X))
    assert small[0].out_channels == 4
    frames = data[0][0][0].numpy()
    example = data[0][0]
    assert (fb.pack(whole, example=example)(frames) == fb.pack(small, example=example)(frames)).all()


def test_units_are_rows_of_gates():
    small = compress(models.CharLM(9, 8, 2), PruneUnits(0.5, torch.zeros(1, 5, dtype=torch.long)))
    assert (small.rnn0.hidden_size, small.rnn1.inputs, small.rnn1.hidden_size) == (4, 4, 4)
    assert small.embedding.embedding_dim == 8  # channels, not units


def test_kernels_are_zero_from_then_on_and_maps_without_kernels_go():
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 6, 3), nn.ReLU(), nn.Conv1d(6, 2, 1))
    with torch.no_grad():
        model[2].weight[1] *= 1e-3  # all four kernels of this map are the smallest
    x = torch.zeros(1, 2, 20)
    small = compress(model, PruneKernels(0.25, x, layers=("2",)))
    assert small[2].out_channels == 5
    assert small[4].in_channels == 5
    live = (small[2].weight != 0).any(2)
    assert int(live.sum()) == 24 - 6
    trained = Finetune([(torch.randn(3, 2, 20), torch.zeros(3, 2, 16))] * 2, _Square(), 2, progress=False)(small)
    assert torch.equal((trained[2].weight != 0).any(2), live)


class _Square(CrossEntropy):
    def __call__(self, model, batch, progress):
        return (model(batch[0]) - batch[1]).square().mean()


def test_kernels_of_depthwise_convolutions_are_left_out():
    model = nn.Sequential(nn.Conv1d(4, 4, 3, groups=4), nn.Conv1d(4, 6, 1), nn.Conv1d(6, 6, 3, groups=2))
    assert [(each.name, each.size) for each in kernels_of(model)] == [("1", 24), ("2", 18)]
    with pytest.raises(PruningError, match="Linear has no convolution with kernels to prune"):
        kernels_of(nn.Linear(2, 2))


@pytest.mark.parametrize("kind", [PruneChannels, PruneUnits, PruneKernels])
@pytest.mark.parametrize("ratio", [-0.1, 1.0, 1.5, float("nan")])
def test_a_ratio_out_of_range_is_refused(kind, ratio):
    with pytest.raises(ArgumentError, match="wanted the share of elements to prune, from 0 to below 1"):
        kind(ratio, X)


def test_what_is_not_there_or_cannot_be_pruned_is_refused_by_name():
    with pytest.raises(SelectionError, match=r"no channels match 'conv9'; there are those of \['0', '4', '8', '13'\]"):
        compress(convnet(), PruneChannels(0.5, X, layers=("conv9",)))
    with pytest.raises(SelectionError, match="leaves none of"):
        compress(convnet(), PruneChannels(0.5, X, keep=("*",)))
    with pytest.raises(PruningError, match=r"has no units to prune \(15: it is a result of the network\)"):
        compress(convnet(), PruneUnits(0.5, X))
    one = nn.Sequential(nn.Linear(3, 1), nn.ReLU(), nn.Linear(1, 2))
    with pytest.raises(PruningError, match="0 has one of its channels, which cannot be pruned"):
        compress(one, PruneChannels(0.5, torch.zeros(1, 3), layers=("0",)))
    with pytest.raises(SelectionError, match="leaves none of"):
        compress(one, PruneChannels(0.5, torch.zeros(1, 3)))


def test_ratio_zero_changes_nothing():
    model = convnet()
    same = compress(model, PruneChannels(0.0, X))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))


RECIPE = """
[[pass]]
kind = "PruneChannels"
ratio = 0.25
importance = { kind = "BestOfN", tries = 5 }

[[pass]]
kind = "Finetune"
epochs = 1

[[pass]]
kind = "PruneKernels"
ratio = 0.25
importance = "Taylor"
keep = ["0"]

[[pass]]
kind = "gradual"
specs = ["sparse8,8", "sparse8,4", "sparse8,2"]
epochs = 3

[[pass]]
kind = "Quantize"
activations = "int8"

[[pass]]
kind = "SQWA"
warmup_epochs = 1
cycles = 2
cycle_epochs = 1
finetune_epochs = 1
objective = { kind = "LogitKD", temperature = 2.0 }
"""


def test_one_recipe_prunes_tightens_averages_distils_and_packs(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    recipe = fb.passes.read_recipe(path)
    again = tmp_path / "again.toml"
    again.write_text(recipe.to_toml())
    assert fb.passes.read_recipe(again) == recipe
    model, data = convnet(), batches()
    given = {"batches": data, "objective": CrossEntropy(), "teacher": deepcopy(model), "score": _score}
    first, second = (compress(model, *recipe.passes(**given, progress=False)) for _ in range(2))
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert first[4].out_channels == 6
    program = fb.pack(first, example=data[0][0])
    assert program(data[0][0][0].numpy()).shape == (10,)
    assert any("sparse8,2" in str(op.weight.format) for op in program.ops if hasattr(op, "weight"))


def _score(model):
    return float(sum(parameter.abs().sum() for parameter in model.parameters()))


def test_a_search_in_a_recipe_needs_a_score():
    recipe = Recipe.from_dict({"passes": [{"kind": "PruneChannels", "ratio": 0.5, "importance": "ParticleFilter"}]})
    with pytest.raises(DataError, match="ParticleFilter judges masks on development data"):
        recipe.passes(batches=batches(), objective=CrossEntropy())
    [step] = recipe.passes(batches=batches(), objective=CrossEntropy(), score=_score, seed=3)
    assert step.importance == ParticleFilter(_score, seed=3)
    assert torch.equal(step.example[0], batches()[0][0])


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("Taylor", Taylor), ("RandomMask", RandomMask), ({"kind": "BestOfN", "tries": 7, "scope": "layer"}, BestOfN)],
)
def test_importances_by_name(setting, kind):
    recipe = Recipe.from_dict({"passes": [{"kind": "PruneUnits", "ratio": 0.5, "importance": setting}]})
    [step] = recipe.passes(batches=batches(), objective=CrossEntropy(), score=_score)
    assert isinstance(step.importance, kind)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ratio": 1.0}, "wanted the share of elements to prune"),
        ({"ratio": 1.2}, "ratio: saw 1.2"),
        ({}, "'ratio' is missing"),
        ({"ratio": 0.5, "importance": {"kind": "BestOfN", "tries": 0}}, "tries: saw 0"),
        ({"ratio": 0.5, "importance": "Best"}, "importance.kind: saw 'Best'"),
        ({"ratio": 0.5, "layers": []}, "layers: saw"),
    ],
)
def test_faults_of_a_recipe_are_found_when_it_is_read(values, message):
    with pytest.raises(DataError, match=message.replace("(", r"\(")):
        Recipe.from_dict({"passes": [{"kind": "PruneChannels", **values}]})
