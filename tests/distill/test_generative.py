"""Generated text: who writes it, what labels it, and what a student makes of it."""

import warnings
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from fewbit.distill import GeneratedText, SoftLabels, TextBatch, guided
from fewbit.distill.text_variety import degeneration_reason, distinct_grams
from fewbit.errors import ArgumentError, DataError
from fewbit.models import CharLM, HierarchicalLM
from fewbit.train import CrossEntropy, TruncatedBPTT, fit

CLASSES = 20
SMALL = {"streams": 4, "steps": 6, "count": 3}
STALE = pytest.mark.filterwarnings("ignore:GeneratedText. only")
"""For networks that say one thing only, so that all is known of what they write."""


class Table(nn.Module):
    """A Markov chain: the scores of the next symbol depend on the last one only."""

    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return self.scores[x], state


def chain(classes: int = CLASSES, seed: int = 0) -> Table:
    return Table(2 * torch.randn(classes, classes, generator=torch.Generator().manual_seed(seed)))


def network(seed: int = 0, classes: int = 5, cell: str = "lstm") -> nn.Module:
    torch.manual_seed(seed)
    model = HierarchicalLM(classes, 8) if cell == "hierarchical" else CharLM(classes, 8, 2, cell)
    with torch.no_grad():
        model.get_submodule("head").weight.mul_(8)  # type: ignore[operator,union-attr]
    return model


def joined(text: Any) -> tuple[Tensor, Tensor]:
    batches = list(text)
    return torch.cat([x for x, _, _ in batches], 1), torch.cat([q for _, q, _ in batches], 1)


def divergence(teacher: Table, student: Table) -> float:
    """KL(teacher || student) in nats a symbol, of the text that the teacher writes."""
    log_p, log_s = (functional.log_softmax(table.scores.detach().double(), -1) for table in (teacher, student))
    p = log_p.exp()
    often = torch.linalg.matrix_power(p, 200)[0]
    return float((often[:, None] * p * (log_p - log_s)).sum())


# Laws


@settings(max_examples=8, deadline=None)
@given(
    cell=st.sampled_from(["lstm", "gru", "sru", "qrnn", "hierarchical"]),
    teachers=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_labels_are_what_teachers_expect_of_the_very_text_that_is_read(cell, teachers, seed):
    models = [network(i, cell=cell) for i in range(teachers)]
    x, q = joined(GeneratedText(models, **SMALL, seed=seed))
    assert torch.equal(x[:, 0], torch.zeros(4, dtype=torch.long))
    with torch.no_grad():
        wanted = torch.stack([torch.softmax(model(x)[0], -1) for model in models]).mean(0)
    torch.testing.assert_close(q, wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(q.sum(-1), torch.ones(4, 18))


@settings(max_examples=8, deadline=None)
@given(steps=st.sampled_from([1, 2, 3, 4, 6, 12]), writes=st.booleans(), one_each=st.booleans())
def test_any_split_gives_the_same_text(steps, writes, one_each):
    def text(steps):
        student = network(7) if writes else None
        cut = {"streams": 4, "steps": steps, "count": 12 // steps}
        return joined(GeneratedText([network(1), network(2)], student=student, mix=0.0, one_each=one_each, **cut))

    (x, q), (whole, labels) = text(steps), text(12)
    assert torch.equal(x, whole)
    torch.testing.assert_close(q, labels, atol=1e-5, rtol=1e-4)


def test_the_same_seed_gives_the_same_text_and_another_another():
    first, again, other = (joined(GeneratedText(network(), **SMALL, seed=seed))[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    text = GeneratedText(network(), **SMALL)
    assert not torch.equal(joined(text)[0], joined(text)[0])  # a second pass is new text


@pytest.mark.parametrize("arguments", [{}, {"student": network(9), "mix": 0.5}, {"hard": 1.0}, {"one_each": True}])
def test_a_generator_put_back_goes_on_with_the_same_text(arguments):
    text = GeneratedText([network(), network(1)], **SMALL, **arguments)
    list(text)
    kept = text.generator.get_state()
    wanted = joined(text)[0]
    later = GeneratedText([network(), network(1)], **SMALL, **arguments)
    later.generator.set_state(kept)
    assert torch.equal(joined(later)[0], wanted)


def test_streams_begin_again():
    text = GeneratedText(network(), streams=3, steps=4, count=5, restart=8, warmup=5)
    batches = list(text)
    assert [batch.begins for batch in batches] == [True, False, True, False, True]
    for before, batch in pairwise(batches):
        if batch.begins:
            assert not batch.inputs[:, 0].any()
            whole = torch.softmax(network()(batch.inputs)[0], -1)
            assert torch.equal(batch.labels[:, :4], torch.zeros(3, 4, 5))
        else:
            both = torch.cat([before.inputs, batch.inputs], 1)
            whole = torch.softmax(network()(both)[0], -1)[:, 4:]
            assert not batch.labels[:, 0].any()
            torch.testing.assert_close(batch.labels[:, 1:], whole[:, 1:], atol=1e-5, rtol=1e-4)


@STALE  # cold text does repeat itself
def test_symbols_are_drawn_as_often_as_the_distribution_says():
    teacher = chain(6)
    for temperature in (1.0, 0.5, 2.0):
        text = GeneratedText(teacher, streams=500, steps=50, count=2, temperature=temperature)
        x, _ = joined(text)
        counts = torch.zeros(6, 6).index_put_((x[:, :-1].flatten(), x[:, 1:].flatten()), torch.ones(1), True)
        seen, wanted = counts.sum(-1, keepdim=True), torch.softmax(teacher.scores.detach() / temperature, -1)
        assert ((counts / seen - wanted).abs() < 5 * (wanted * (1 - wanted) / seen).sqrt()).all()


def test_what_has_no_chance_is_never_drawn():
    scores = torch.zeros(4, 4)
    scores[:, ::2] = -torch.inf
    x, q = joined(GeneratedText(Table(scores), streams=50, steps=20, count=1))
    assert not (x[:, 1:] % 2 == 0).any()
    outputs = torch.randn(50, 20, 4)
    assert torch.isfinite(SoftLabels().loss(outputs, (x, q)))


def test_networks_stay_as_they_were():
    teacher, student = network().train(), network(1).train()
    teacher.get_submodule("rnn0").eval()
    before = [m.training for m in (*teacher.modules(), *student.modules())]
    for batch in GeneratedText(teacher, student=student, **SMALL):
        assert [m.training for m in (*teacher.modules(), *student.modules())] == before
        assert not batch.labels.requires_grad
    with pytest.raises(ArgumentError):
        list(GeneratedText([teacher, network(0, 6)], **SMALL))
    assert [m.training for m in (*teacher.modules(), *student.modules())] == before


@STALE
def test_the_student_writes_with_the_weights_of_the_moment():
    student = Table(torch.full((3, 3), -50.0))
    with torch.no_grad():
        student.scores[:, 1] = 50.0
    written = []
    for batch in GeneratedText(chain(3), student=student, mix=0.0, streams=2, steps=4, count=2):
        written.append(batch.inputs)
        with torch.no_grad():
            student.scores[:, 1], student.scores[:, 2] = -50.0, 50.0
    assert written[0].tolist() == [[0, 1, 1, 1]] * 2
    assert written[1].tolist() == [[1, 2, 2, 2]] * 2  # the last symbol was drawn before


@STALE
def test_the_share_of_streams_that_teachers_write():
    loud, quiet = torch.full((3, 3), -50.0), torch.full((3, 3), -50.0)
    loud[:, 1], quiet[:, 2] = 50.0, 50.0
    text = GeneratedText(Table(loud), student=TruncatedBPTT(Table(quiet)), streams=400, steps=2, count=20)
    shares = [float((batch.inputs[:, 1] == 1).float().mean()) for batch in text]
    assert shares[0] == 1
    assert 0.4 < shares[1] < 0.6
    assert shares[2:] == [0] * 18
    assert (guided(0.0), guided(0.05), guided(0.5)) == (1.0, 0.5, 0.0)


@STALE
def test_one_teacher_for_each_stream_or_their_mean():
    one, two = torch.full((3, 3), -50.0), torch.full((3, 3), -50.0)
    one[:, 1], two[:, 2] = 50.0, 50.0
    for one_each in (True, False):
        x, q = joined(GeneratedText([Table(one), Table(two)], streams=200, steps=12, count=1, one_each=one_each))
        constant = (x[:, 1:] == x[:, 1:2]).all(1)
        assert bool(constant.all()) == one_each
        assert 0.4 < (x[:, 1] == 1).float().mean() < 0.6
        torch.testing.assert_close(q, torch.tensor([0.0, 0.5, 0.5]).expand(200, 12, 3))


def test_hard_labels_are_the_symbols_that_follow():
    soft = GeneratedText(network(), **SMALL)
    for hard in (0.25, 1.0):
        x, labels = joined(GeneratedText(network(), **SMALL, hard=hard))
        _, q = joined(GeneratedText(network(), **SMALL))
        followed = functional.one_hot(x[:, 1:], 5)
        torch.testing.assert_close(labels[:, :-1], (1 - hard) * q[:, :-1] + hard * followed)
    batch = next(iter(GeneratedText(network(), **SMALL, hard=1.0)))
    outputs = torch.randn(4, 6, 5)
    wanted = CrossEntropy().loss(outputs, (batch.inputs, batch.labels.argmax(-1)))
    torch.testing.assert_close(SoftLabels().loss(outputs, batch), wanted)
    assert len(soft) == 3


# What a student learns


def learn(text: GeneratedText, student: Table, lr: float = 0.2) -> None:
    fit(
        TruncatedBPTT(student),
        text,
        SoftLabels(),
        epochs=1,
        lr=lr,
        optimizer=torch.optim.Adam,
        schedule=lambda done: 1 - done,
        progress=False,
    )


@pytest.mark.parametrize("writes", [False, True], ids=["teacher writes", "student writes"])
def test_a_student_comes_to_equal_a_markov_chain(writes):
    teacher, student = chain(), Table(torch.zeros(CLASSES, CLASSES))
    learn(GeneratedText(teacher, student=student if writes else None, streams=96, steps=8, count=80), student)
    assert divergence(teacher, student) < 0.01


def test_soft_labels_need_fewer_samples_than_hard_ones():
    teacher = chain()
    found = {}
    for hard in (0.0, 1.0):
        for count in (40, 160):
            student = Table(torch.zeros(CLASSES, CLASSES))
            learn(GeneratedText(teacher, streams=16, steps=8, count=count, hard=hard), student)
            found[hard, count] = divergence(teacher, student)
    assert found[0.0, 40] < 0.5 * found[1.0, 40]
    assert found[0.0, 40] < found[1.0, 160]  # not even four times as many suffice


def test_a_student_learns_from_two_teachers_what_their_mean_says():
    one, two = chain(seed=1), chain(seed=2)
    student = Table(torch.zeros(CLASSES, CLASSES))
    learn(GeneratedText([one, two], streams=96, steps=8, count=80), student)
    mean = (torch.softmax(one.scores, -1) + torch.softmax(two.scores, -1)).detach() / 2
    assert divergence(Table(mean.log()), student) < 0.01


def test_training_goes_on_from_a_checkpoint_with_the_same_text(tmp_path):
    def trained(epochs, path=None):
        torch.manual_seed(0)
        model = CharLM(5, 8, 1)
        text = GeneratedText(network(), student=model, streams=4, steps=6, count=4, restart=12, warmup=3, seed=5)
        arguments = {"optimizer": torch.optim.Adam, "progress": False, "checkpoint": path}
        losses = fit(TruncatedBPTT(model), text, SoftLabels(), epochs=epochs, **arguments).losses
        return losses, model.state_dict()

    path = tmp_path / "half"
    wanted, weights = trained(4)
    trained(2, path)
    losses, resumed = trained(4, path)
    assert losses == wanted
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)


def test_a_student_that_carries_its_state_forgets_where_streams_begin():
    model = TruncatedBPTT(network())
    x = torch.randint(5, (2, 6))
    q = torch.softmax(torch.randn(2, 6, 5), -1)
    fresh = SoftLabels()(model, TextBatch(x, q, True), 0.0)
    later = SoftLabels()(model, TextBatch(x.clone(), q), 0.0)
    again = SoftLabels()(model, TextBatch(x.clone(), q, True), 0.0)
    assert torch.equal(fresh, again)
    assert not torch.equal(fresh, later)


def test_rows_without_label_do_not_count():
    outputs, q = torch.randn(2, 6, 5), torch.softmax(torch.randn(2, 6, 5), -1)
    q[:, :4] = 0
    alone = SoftLabels().loss(outputs[:, 4:], (None, q[:, 4:]))
    torch.testing.assert_close(SoftLabels().loss(outputs, (None, q)), alone)
    assert SoftLabels().loss(outputs, (None, torch.zeros(2, 6, 5))) == 0


# Faults


def test_stale_text_is_reported():
    stuck = torch.full((3, 3), -50.0)
    stuck[:, 1] = 50.0
    with pytest.warns(RuntimeWarning, match="are different: it repeats itself"):
        list(GeneratedText(Table(stuck), streams=4, steps=50, count=2))
    endless = torch.zeros(12, 12)
    endless[:, 0] = -torch.inf
    with pytest.warns(RuntimeWarning, match="class 0, the end of a paragraph, does not occur in 20,480 symbols"):
        list(GeneratedText(Table(endless), streams=64, steps=64, count=5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(GeneratedText(chain(), streams=64, steps=64, count=6))


def test_variety():
    assert distinct_grams(torch.arange(20)[None], 256) == 1
    assert distinct_grams(torch.zeros(2, 20, dtype=torch.long), 29) == 1 / 26
    assert distinct_grams(torch.zeros(2, 5, dtype=torch.long), 29) == 1
    assert distinct_grams(torch.randint(2, (4, 4000), generator=torch.Generator().manual_seed(0)), 2) == 1
    assert degeneration_reason(torch.randint(1, 29, (4, 4000)), 29) is None  # too little to miss an end of a paragraph


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeneratedText([]), "there is no teacher"),
        (lambda: GeneratedText(network(), steps=0), "steps=0.*wanted at least 1 of each"),
        (lambda: GeneratedText(network(), restart=10, warmup=10), "warmup=10; wanted .* from 0 to below restart"),
        (lambda: GeneratedText(network(), temperature=0.0), "temperature=0.0"),
        (lambda: GeneratedText(network(), hard=1.5), "hard=1.5; wanted above 0, and 0..1"),
        (
            lambda: GeneratedText([network()] * 2, symbols=["abcde", "abdce"]),
            "class 2 is 'd' for teacher 1 and 'c' for teacher 0",
        ),
        (lambda: GeneratedText([network()] * 2, symbols=["abc", "ab"]), "class 2 is None for teacher 1 and 'c' for"),
        (
            lambda: list(GeneratedText([network(), network(0, 6)], **SMALL)),
            "teacher 1 has 6 classes and another network 5",
        ),
        (
            lambda: list(GeneratedText(network(), student=network(1, 6), mix=0.5, **SMALL)),
            "the student has 6 classes and another network 5",
        ),
        (
            lambda: list(GeneratedText(network(), student=network(1), mix=2.0, **SMALL)),
            r"mix must lie in 0..1, not 2.0 at progress 0.000",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: list(GeneratedText(Table(torch.full((3, 3), torch.nan)), **SMALL)),
            "no finite probabilities to draw from",
        ),
        (
            lambda: SoftLabels().loss(torch.zeros(2, 3, 4), (None, torch.zeros(2, 3, 5))),
            r"outputs \(2, 3, 4\) need labels of the same shape.*got \(2, 3, 5\)",
        ),
    ],
)
def test_bad_data_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()
