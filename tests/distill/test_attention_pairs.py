"""Teachers and students that differ: fewer heads, fewer layers, attention of other classes, and what does not fit."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from fewbit.distill import TeacherIntervention
from fewbit.distill.attention_pairs import seats_of
from fewbit.errors import ArgumentError
from fewbit.nn import Attention
from fewbit.train import CrossEntropy
from tests.distill.test_teacher_intervention import BATCH, CLASSES, MODES, OfScores, network


@pytest.mark.parametrize("mode", MODES)
def test_a_student_with_fewer_heads_gets_those_that_it_kept(mode):
    """A teacher whose other heads give nothing is the same network as the student."""
    teacher = network("llama").eval()
    student = deepcopy(teacher)
    kept = [(2, 3), (0, 1)]
    for seat, there, heads in zip(seats_of(student), seats_of(teacher), kept, strict=True):
        columns = [4 * head + i for head in heads for i in range(4)]
        gone = [i for i in range(16) if i not in columns]
        group = heads[0] // 2
        rows = range(4 * group, 4 * group + 4)
        part = seat.attention
        part.query.weight = nn.Parameter(part.query.weight[columns])
        for layer in (part.key, part.value):
            layer.weight = nn.Parameter(layer.weight[list(rows)])
        part.output.weight = nn.Parameter(part.output.weight[:, columns])
        part.heads, part.key_heads = 2, 1
        with torch.no_grad():
            there.attention.output.weight[:, gone] = 0
    soft = OfScores()
    loss = TeacherIntervention(teacher, 1.0, mode, soft=soft, heads=kept)(student, BATCH, 0.0)
    assert torch.allclose(*soft.seen[0], atol=1e-6)
    assert loss.detach() < 1e-10
    with pytest.raises(ArgumentError, match=r"blocks\.0\.attention: the teacher has 4 heads, the student 2; say with"):
        TeacherIntervention(teacher)(student, BATCH, 0.0)


def test_a_student_with_fewer_layers_learns_from_those_that_are_named():
    teacher = network()
    student = network()
    del student.blocks[1]
    with torch.no_grad():
        for parameter in teacher.blocks[1].parameters():
            parameter.zero_()  # gives what it reads
    soft = OfScores()
    loss = TeacherIntervention(teacher.eval(), 0.0, soft=soft, layers=(0, 2))(student.eval(), BATCH, 0.0)
    assert loss == 0
    assert torch.equal(*soft.seen[0])


class Other(nn.Module):
    """An attention of one's own with the parts of `Attention`, in a block of its own."""

    def __init__(self) -> None:
        super().__init__()
        inner = Attention(8, 2)
        for name in ("query", "key", "value", "output", "scores", "map", "context"):
            setattr(self, name, getattr(inner, name))
        self.heads, self.head_size, self.inner = 2, 4, [inner]

    def forward(self, x):
        return self.inner[0](x)


def test_attention_of_other_classes_is_found_by_its_name():
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(3, 8), nn.Sequential(Other()), nn.Linear(8, CLASSES))
    student = deepcopy(teacher)
    nn.init.normal_(student[1][0].query.weight)
    soft = OfScores()
    batch = torch.randn(4, 6, 3), torch.randint(0, CLASSES, (4, 6))
    TeacherIntervention(teacher, 1.0, "map", soft=soft, sites=("1.*0",))(student, batch, 0.0)
    assert torch.equal(*soft.seen[0])
    with pytest.raises(ArgumentError, match=r"Sequential has no attention of fewbit\.nn\.Attention"):
        TeacherIntervention(teacher)(student, batch, 0.0)
    with pytest.raises(ArgumentError, match="Sequential has no attention named like 9"):
        TeacherIntervention(teacher, sites=("9",))(student, batch, 0.0)
    with pytest.raises(ArgumentError, match=r"2 \(Linear\) has no query; wanted query, key"):
        TeacherIntervention(teacher, sites=("2",))(student, batch, 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TeacherIntervention(network(), share=1.5), "share=1.5, weight=1.0; wanted 0..1"),
        (
            lambda: TeacherIntervention(network(), soft=CrossEntropy()),
            "CrossEntropy compares no scores; use LogitKD or TokenScaledKD",
        ),
        (lambda: TeacherIntervention(network(), order="random"), "no order 'random'; there are gradual, inverted"),
        (lambda: TeacherIntervention(network(), taps=("map",)), r"taps=\('map',\), wanted some of hidden, scores, out"),
        (
            lambda: TeacherIntervention(network())(network("llama"), BATCH, 0.0),
            "the teacher has 3 layers of attention, the student 2; say with layers= which",
        ),
        (
            lambda: TeacherIntervention(network(), layers=(0, 3))(network("llama"), BATCH, 0.0),
            r"layers=\[0, 3\], wanted 2 numbers from 0 to 2",
        ),
        (
            lambda: TeacherIntervention(network(), layers=(0, 1))(network("llama"), BATCH, 0.0),
            r"blocks\.0\.attention: width is 8 for the teacher and 16 for the student; both need the same",
        ),
        (
            lambda: TeacherIntervention(network(), heads=[(0, 1), (0, 1)])(network(seed=2), BATCH, 0.0),
            "heads= names the kept heads of 2 layers, the student has 3",
        ),
        (
            lambda: TeacherIntervention(network(), heads=[(0, 1), (0, 2), (0, 1)])(network(seed=2), BATCH, 0.0),
            r"blocks\.1\.attention: heads=\[0, 2\], wanted 2 numbers from 0 to 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


def test_attention_in_no_block_of_its_own_has_no_hidden_signal():
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.attention = nn.Embedding(CLASSES, 8), Attention(8, 2)

        def forward(self, tokens):
            return self.attention(self.embedding(tokens))

    teacher, batch = Bare(), (BATCH[0], BATCH[1] % 8)
    with pytest.raises(ArgumentError, match=r"attention, hidden: .* \(int64\).* leave 'hidden' out of taps"):
        TeacherIntervention(teacher)(deepcopy(teacher), batch, 0.0)
    assert TeacherIntervention(teacher, taps=("scores",))(deepcopy(teacher), batch, 0.0).requires_grad
