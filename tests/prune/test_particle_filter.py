"""The particle filter: better than random masks at equal evaluations, and the same after an interruption."""

import math
import statistics

import pytest
import torch

from fewbit.errors import ArgumentError, FileFormatError
from fewbit.prune import BestOfN, ClassificationScore, ParticleFilter, Score
from fewbit.prune.particle_moves import effective_size, reweighted
from fewbit.prune.score import judge
from fewbit.train import read_tensors, write_tensors
from tests.prune.small_networks import channels, images, rows, trained, weighted, worth_lost


def layer(size=64, seed=0):
    return weighted(torch.rand(size, generator=torch.Generator().manual_seed(seed)) / size)


def small(score=worth_lost, **settings):
    return ParticleFilter(score, **({"particles": 8, "rounds": 6, "seed": 1} | settings))


def test_the_masks_are_the_best_of_the_log_and_all_evaluations_are_in_it():
    calls = []

    def score(model):
        calls.append(int((model.weight == 0).sum()))
        return worth_lost(model)

    search = small(score)
    result = search.search(layer(), rows(64), 0.3)
    assert len(calls) == len(result.log) == search.evaluations == 48
    assert set(calls) == {19}
    errors = [one.error for one in result.log]
    assert judge(layer(), rows(64), result.masks, worth_lost).error == pytest.approx(min(errors))
    assert result.best_errors == tuple(min(errors[: place + 1]) for place in range(48))


def test_it_begins_with_the_masks_of_best_of_n_and_goes_on_as_a_shorter_search():
    long = small().search(layer(), rows(64), 0.5)
    assert long.log[:8] == BestOfN(worth_lost, tries=8, seed=1).search(layer(), rows(64), 0.5).log
    assert long.log[:24] == small(rounds=3).search(layer(), rows(64), 0.5).log
    assert long.log[:8] != small(seed=2).search(layer(), rows(64), 0.5).log[:8]


def test_the_elite_stays():
    result = small(elite=3).search(layer(), rows(64), 0.5)
    for start in range(0, 40, 8):
        best = sorted(score.error for score in result.log[start : start + 8])[:3]
        assert [score.error for score in result.log[start + 8 : start + 11]] == best


def test_without_selection_and_moves_particles_stay_where_they_are():
    seen = []

    def score(model):
        seen.append(model.weight.detach().clone())
        return 0.5

    small(score, crossover=0.0, mutation=0.0).search(layer(), rows(64), 0.5)
    assert all(seen[place].equal(seen[place % 8]) for place in range(48))


def watched(error):
    """A score by the number of the evaluation, and the pruned rows of each evaluation."""
    seen = []

    def score(model):
        seen.append(model.weight.detach()[:, 0] == 0)
        return error(len(seen) - 1)

    return score, seen


def test_particles_of_little_weight_are_replaced(tmp_path):
    """One of eight is good: 1 / sum w^2 is 1.8, below 4."""
    score, seen = watched(lambda number: float(number != 5))
    small(score, rounds=2, crossover=0.0, mutation=0.0).search(layer(), rows(64), 0.5)
    assert sum(mask.equal(seen[5]) for mask in seen[8:]) >= 5
    first = small(watched(lambda number: float(number != 5))[0], rounds=1, checkpoint=tmp_path / "first")
    first.search(layer(), rows(64), 0.5)
    assert read_tensors(tmp_path / "first")[0]["weights"].tolist() == [1 / 8] * 8


def test_particles_of_like_weight_stay_and_carry_it(tmp_path):
    """A few thousandths between errors: weights differ, and 1 / sum w^2 is above 4. The elite comes first."""
    errors = [0.5 + 1e-4 * number for number in (3, 1, 2, 7, 0, 6, 5, 4)]
    score, seen = watched(lambda number: errors[number % 8])
    search = small(score, rounds=1, crossover=0.0, mutation=0.0, checkpoint=tmp_path / "state")
    search.search(layer(), rows(64), 0.5)
    tensors, _ = read_tensors(tmp_path / "state")
    order = [4, 1, 0, 2, 3, 5, 6, 7]
    equal = torch.full((8,), 1 / 8, dtype=torch.float64)
    weights = reweighted(equal, [Score(error) for error in errors])
    assert effective_size(weights) > 4
    assert tensors["weights"].equal(weights[order])
    assert tensors["particles/fc"].equal(~torch.stack(seen)[order])


@pytest.mark.parametrize(("mutation", "swaps"), [(None, 2), (6 / 64, 6)])
def test_elements_are_swapped_as_often_as_asked(mutation, swaps):
    score, seen = watched(lambda number: 0.5)
    search = small(score, particles=50, rounds=4, crossover=0.0, mutation=mutation)
    search.search(layer(), rows(64), 0.5)
    moved = [int((seen[place] != seen[place - 50]).sum()) for place in range(50, 200) if place % 50 >= 2]
    assert 0.75 * 2 * swaps < statistics.fmean(moved) < 1.1 * 2 * swaps  # two elements each, less where swaps meet


def test_broken_masks_rank_last_and_die_out():
    def score(model):
        return Score(math.nan) if model.weight[0] == 0 else worth_lost(model)

    result = small(score, particles=20).search(layer(), rows(64), 0.5)
    broken = [math.isnan(one.error) for one in result.log]
    assert any(broken[:20])
    assert sum(broken[-20:]) < sum(broken[:20])
    assert result.masks["fc"][0]


def test_a_second_score_decides_among_the_best():
    plain = small()(layer(), rows(64), 0.5)
    second = small(rescore=lambda model: -worth_lost(model))(layer(), rows(64), 0.5)
    assert judge(layer(), rows(64), plain, worth_lost).error < judge(layer(), rows(64), second, worth_lost).error


@pytest.mark.parametrize("ratio", [0.5, 0.7])
def test_it_beats_the_best_of_as_many_random_masks_where_elements_add_up(ratio):
    """Wanted in at least 7 of 10 seeds."""
    wins = 0
    for seed in range(10):
        model = layer(48, seed)
        random = BestOfN(worth_lost, tries=500, seed=seed).search(model, rows(48), ratio)
        found = ParticleFilter(worth_lost, seed=seed).search(model, rows(48), ratio)
        wins += found.best_errors[499] <= random.best_errors[499]
    assert wins >= 7


@pytest.mark.slow
def test_it_beats_the_best_of_as_many_random_masks_of_a_trained_network():
    """Wanted in at least 7 of 10 seeds, and far from the mean random mask; also on data that the search never saw."""
    model, elements = trained(), channels()
    score, other = ClassificationScore([images(200, seed=2)]), ClassificationScore([images(2000, seed=3)])
    wins, fresh, random_errors = 0, [], []
    for seed in range(10):
        random = BestOfN(score, tries=500, seed=seed).search(model, elements, 0.5)
        found = ParticleFilter(score, seed=seed).search(model, elements, 0.5)
        wins += found.best_errors[499] <= random.best_errors[499]
        assert found.best_errors[-1] < statistics.fmean(one.error for one in random.log) - 0.1
        fresh.append(judge(model, elements, found.masks, other).error)
        random_errors.append(statistics.fmean(one.error for one in random.log))
    assert wins >= 7
    assert max(fresh) < min(random_errors)


class Stopped(Exception):
    """What a killed search is in these tests."""


def stopping(after):
    """The score of all other tests, for so many evaluations."""
    left = [after]

    def score(model):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        return worth_lost(model)

    return score


@pytest.mark.parametrize("after", [3, 8, 30, 47])
def test_an_interrupted_search_ends_as_an_unbroken_one(after, tmp_path):
    file = tmp_path / "search" / "state.safetensors"
    whole = small().search(layer(), rows(64), 0.5)
    with pytest.raises(Stopped):
        small(stopping(after), checkpoint=file).search(layer(), rows(64), 0.5)
    assert file.exists() == (after >= 8)
    resumed = small(stopping(48 - after // 8 * 8), checkpoint=file).search(layer(), rows(64), 0.5)
    assert resumed.log == whole.log
    assert resumed.masks["fc"].equal(whole.masks["fc"])
    again = small(stopping(0), checkpoint=file).search(layer(), rows(64), 0.5)  # done: nothing is judged
    assert again.masks["fc"].equal(whole.masks["fc"])


def test_a_resumed_search_of_many_layers_has_the_masks_of_all(tmp_path):
    def score(model):
        return float(model[0].weight.detach().abs().sum() + model[3].weight.detach().abs().sum())

    whole = small(score).search(trained(), channels(), 0.5)
    small(score, rounds=2, checkpoint=tmp_path / "state").search(trained(), channels(), 0.5)
    longer = small(score, checkpoint=tmp_path / "state").search(trained(), channels(), 0.5)
    assert longer.log == whole.log
    assert all(mask.equal(whole.masks[name]) for name, mask in longer.masks.items())


@pytest.mark.parametrize(
    ("settings", "model", "ratio", "message"),
    [
        ({"seed": 2}, layer(), 0.5, "seed is 1 there and 2 here; give another checkpoint"),
        ({"mutation": 0.5}, layer(), 0.5, "mutation is None there and 0.5 here"),
        ({"particles": 9}, layer(), 0.5, "particles is 8 there and 9 here"),
        ({}, layer(), 0.4, "ratio is 0.5 there and 0.4 here"),
        ({}, layer(63), 0.5, r"elements is \[\['fc', 64\]\] there and \[\['fc', 63\]\] here"),
        ({}, layer(seed=1), 0.5, "network is [0-9a-f]+ there and [0-9a-f]+ here"),
    ],
)
def test_the_file_of_another_search_is_refused(settings, model, ratio, message, tmp_path):
    file = tmp_path / "state"
    small(rounds=1, checkpoint=file)(layer(), rows(64), 0.5)
    with pytest.raises(FileFormatError, match=rf"state: is of another search: {message}"):
        small(checkpoint=file, **settings)(model, rows(len(model.weight)), ratio)


def test_other_files_and_longer_searches_are_refused(tmp_path):
    (tmp_path / "text").write_text("nothing")
    write_tensors(tmp_path / "tensors", {"x": torch.ones(1)}, {})
    small(rounds=3, checkpoint=tmp_path / "long")(layer(), rows(64), 0.5)
    for name, message in [
        ("text", "cannot be read as safetensors"),
        ("tensors", "not the state of a ParticleFilter"),
        ("long", "has 3 rounds behind it; wanted at most 2"),
    ]:
        with pytest.raises(FileFormatError, match=f"{name}: {message}"):
            small(rounds=2, checkpoint=tmp_path / name)(layer(), rows(64), 0.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"particles": 1}, r"particles: saw 1 \(int\); wanted a whole number of at least 2"),
        ({"rounds": 0}, "rounds: saw 0"),
        ({"crossover": 1.5}, "crossover: saw 1.5"),
        ({"mutation": -0.1}, "mutation: saw -0.1"),
        ({"elite": 8}, "8 of 8 particles are elite; wanted some that move"),
        ({"elite": -1}, "elite: saw -1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ArgumentError, match=f"^ParticleFilter: {message}"):
        small(**settings)
