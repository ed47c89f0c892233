"""What a teacher is sure of: the figures, their means, and the files and the picture made of them."""

import csv
import math

import pytest
import torch
from torch import nn

from fewbit.analysis import save_report, teacher_confidence
from fewbit.distill import TokenScaledKD, token_weights
from fewbit.errors import DataError
from fewbit.plot import plot_confidence


class Teacher(nn.Module):
    """Gives class 0 the probability 0.7 behind a 0, else all three the same."""

    def forward(self, x):
        assert not self.training
        sure = torch.tensor([0.7, 0.2, 0.1]).log()
        return torch.where((x == 0)[..., None], sure, torch.zeros(3))


BATCH = (torch.tensor([[0, 1, 0, 2], [0, 0, 1, 1]]), torch.tensor([[0, 1, 2, 0], [1, 0, -100, -100]]))


def test_each_position_is_judged():
    found = teacher_confidence(Teacher().train(), [BATCH, BATCH], tau=2.0)
    assert (found.sequences, len(found.tokens)) == (4, 12)
    third = math.log(3)
    assert [token.loss for token in found.tokens[:6]] == pytest.approx(
        [-math.log(0.7), third, -math.log(0.1), third, -math.log(0.2), -math.log(0.7)]
    )
    assert [token.largest for token in found.tokens[:6]] == pytest.approx([0.7, 1 / 3, 0.7, 1 / 3, 0.7, 0.7])
    assert [(t.sequence, t.position, t.label) for t in found.tokens[4:8]] == [
        (1, 0, 1),
        (1, 1, 0),
        (2, 0, 0),
        (2, 1, 1),
    ]
    weights = token_weights(torch.tensor([[t.loss for t in found.tokens[:4]]]), torch.ones(1, 4).bool(), 2.0)
    assert [token.share for token in found.tokens[:4]] == pytest.approx((4 * weights[0]).tolist())


def test_shares_are_those_of_the_objective():
    """The soft loss of a student is the mean of its soft terms, each times its share."""
    teacher, student = Teacher().eval(), nn.Sequential(nn.Embedding(3, 3))
    loss = TokenScaledKD(teacher, weight=1.0, hard_weight=0.0)(student, BATCH, 0.0)
    found = teacher_confidence(teacher, [BATCH])
    logs, p = torch.log_softmax(student(BATCH[0]), -1), torch.softmax(teacher(BATCH[0]), -1)
    terms = [-(p[t.sequence, t.position] * logs[t.sequence, t.position]).sum() for t in found.tokens]
    shares = [(t.sequence, t.share * term) for t, term in zip(found.tokens, terms, strict=True)]
    means = [torch.stack([each for sequence, each in shares if sequence == i]).mean() for i in range(2)]
    assert torch.allclose(loss, torch.stack(means).mean())


def test_tables_and_picture(tmp_path):
    found = teacher_confidence(Teacher().eval(), [BATCH])
    quantiles, labels, positions, everything = found.tables()
    losses = [token.loss for token in found.tokens]
    assert (quantiles.rows[0][1], quantiles.rows[-1][1]) == (min(losses), max(losses))
    assert [row[:2] for row in labels.rows] == [(0, 3), (1, 2), (2, 1)]
    assert labels.rows[2][2] == pytest.approx(-math.log(0.1))
    assert [row[:2] for row in positions.rows] == [(0, 2), (1, 2), (2, 1), (3, 1)]
    assert found.correlation == pytest.approx(
        torch.corrcoef(torch.tensor([[t.loss, t.largest] for t in found.tokens]).T)[0, 1].item(), abs=1e-5
    )
    files = save_report(found, tmp_path, "confidence")
    assert len(list(csv.reader(files[-1].read_text().splitlines()))) == 1 + len(everything.rows) == 7
    assert plot_confidence(found, tmp_path / "confidence.png").stat().st_size > 10_000


def test_batches_without_labels_are_refused():
    with pytest.raises(DataError, match="no position has a label"):
        teacher_confidence(Teacher(), [(BATCH[0], torch.full_like(BATCH[1], -100))])
