"""What masks are judged by: the share of errors, ties, NaN, and a network that is left as it was."""

import math

import pytest
import torch
from torch import nn

from fewbit.errors import DataError
from fewbit.prune import ClassificationScore, Score
from fewbit.prune.score import judge
from tests.prune.small_networks import channels, images, network, rows, trained, weighted


def test_the_error_is_the_share_of_wrong_examples_whatever_the_batches():
    model, (x, y) = trained(), images(90, seed=7)
    whole = ClassificationScore([(x, y)])(model)
    parts = ClassificationScore([(x[:7], y[:7]), (x[7:], y[7:])])(model)
    model.eval()
    with torch.no_grad():
        outputs = model(x)
    model.train()
    assert whole.error == parts.error == int((outputs.argmax(1) != y).sum()) / 90
    assert 0 < whole.error < 0.5
    assert whole.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, y)), rel=1e-5)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    assert whole.count == parts.count == 90


def test_padding_counts_nowhere():
    outputs = torch.eye(3)[None].repeat(2, 1, 1) * 5
    labels = torch.tensor([[0, 2, -100], [0, -100, -100]])
    score = ClassificationScore([(outputs, labels), (outputs[:1], torch.full((1, 3), -100))])(nn.Identity())
    assert (score.error, score.count) == (1 / 3, 3)
    assert math.isfinite(score.loss)


def test_batches_are_read_once():
    data = [images(10, seed=1)]
    score = ClassificationScore(iter(data))
    first = score(trained())
    data.clear()
    assert score(trained()) == first


@pytest.mark.parametrize(
    "batches", [[], [(torch.zeros(0, 3), torch.zeros(0).long())], [(torch.zeros(1), -torch.full((1,), 100))]]
)
def test_no_data_is_refused(batches):
    with pytest.raises(DataError, match=r"no label in \d batches; wanted one at least that is not -100$"):
        ClassificationScore(batches)


def test_nan_outputs_have_no_error():
    score = ClassificationScore([(torch.tensor([[0.0, float("nan")], [1.0, 0.0]]), torch.tensor([0, 0]))])(
        nn.Identity()
    )
    assert math.isnan(score.error)
    assert score.rank > Score(1.0, loss=1e9).rank


def test_scores_rank_by_error_then_loss_and_nan_is_last():
    scores = [Score(0.1, 2.0), Score(0.1, 3.0), Score(0.2, 0.0), Score(math.inf), Score(math.nan), Score(0.0, math.nan)]
    assert [score.rank for score in scores] == sorted(score.rank for score in reversed(scores))
    assert scores[3].rank < scores[4].rank == scores[5].rank


def test_noise_of_a_share():
    assert Score(0.2, count=400).noise == pytest.approx(0.02)
    assert Score(0.2).noise is Score(1.2, count=9).noise is None


def test_a_mask_is_judged_in_evaluation_mode_and_nothing_stays():
    model = network().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    keep = {"0": torch.arange(12) < 3}
    x = images(20, seed=3)[0]

    def score(pruned):
        assert pruned is model
        assert not pruned.training
        assert not pruned(x).requires_grad
        assert int(pruned[0].weight.flatten(1).any(1).sum()) == 3
        pruned.train()
        pruned(x)  # moves the statistics of the norm
        pruned[1].running_var = torch.zeros(12)
        return 0.25

    assert judge(model, channels(), keep, score) == Score(0.25)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_gradients_of_a_score_do_not_mix_with_those_that_are_there():
    layer = weighted(torch.tensor([1.0, 2.0]))
    layer.weight.sum().backward()

    def score(model):
        with torch.enable_grad():
            model.weight.square().sum().backward()
        return float(model.weight.grad.sum())

    assert judge(layer, rows(2), {"fc": torch.tensor([True, False])}, score).error == 2.0
    assert layer.weight.grad.tolist() == [[1.0], [1.0]]
