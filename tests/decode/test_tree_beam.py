"""The tree beam search on streams whose answer is known, and what it refuses."""

import math
import re

import numpy as np
import pytest

from fewbit.decode import Final, GreedyCTC, NetworkScorer, Partial, TreeBeam, text_of
from fewbit.decode.tree_native import NativeSearch
from fewbit.decode.tree_search import Changed
from fewbit.errors import ArgumentError, DecodeError
from fewbit.formats import Int, PerTensor, default_layout, pack
from fewbit.native import beam
from fewbit.program import Program, ops
from fewbit.program.numerics import INT32, Q12, rescale_from
from fewbit.text import Alphabet

LETTERS = Alphabet(("a", "b", " "))
FRAME = 0.25
CODES, LAYOUT = (-127, 127), default_layout(Int(4))
needs_library = pytest.mark.skipif(not beam.functions(), reason="no native library")


@pytest.fixture(params=["reference", pytest.param("native", marks=needs_library)])
def kind(request, monkeypatch):
    if request.param == "reference":
        monkeypatch.setenv("FEWBIT_TARGET", "reference")
    else:
        monkeypatch.delenv("FEWBIT_TARGET", raising=False)
    return request.param


def spoken(path, sure=0.9):
    """Log-probabilities whose best classes are `path`."""
    y = np.full((len(path), 4), (1 - sure) / 3)
    y[np.arange(len(path)), path] = sure
    with np.errstate(divide="ignore"):
        return np.log(y)


def listen(decoder, scores):
    events, state = decoder.step(scores, decoder.init_state())
    return events + decoder.finish(state)


def finals(events):
    return [event for event in events if isinstance(event, Final)]


@pytest.mark.parametrize(
    ("path", "text"),
    [([1, 1, 0, 1], "aa"), ([1, 1, 1], "a"), ([1, 2, 1], "aba"), ([0, 0], ""), ([], ""), ([3, 1, 3, 2, 3], "a b")],
)
@pytest.mark.parametrize("width", [1, 2, 64])
@pytest.mark.parametrize("sure", [0.9, 1.0], ids=["likely", "only one possible"])
def test_doubled_letters_need_a_blank_between(kind, path, text, width, sure):
    assert text_of(listen(TreeBeam(LETTERS, FRAME, width=width), spoken(np.array(path, int), sure))) == text


def test_the_best_text_is_not_the_text_of_the_best_path(kind):
    scores = np.log([[0.6, 0.4, 1e-9, 1e-9]] * 2)  # blanks: 0.36, but a: 0.16 + 0.24 + 0.24
    assert text_of(listen(TreeBeam(LETTERS, FRAME), scores)) == "a"
    assert text_of(listen(GreedyCTC(LETTERS, FRAME), scores)) == ""


def test_partials_come_with_the_frame_and_final_with_times_and_posteriors(kind):
    decoder = TreeBeam(LETTERS, FRAME, depth=1, prune_interval=2, endpoint_seconds=0.75)
    events = listen(decoder, spoken([0, 1, 1, 0, 2, 2, 3, 0, 1, 0, 0, 0, 0, 2]))
    assert [(event.text, event.time, event.stable) for event in events if isinstance(event, Partial)] == [
        ("a", 0.5, 0),
        ("ab", 1.25, 0),
        ("ab", 1.5, 1),
        ("ab", 2.0, 2),
        ("ab a", 2.25, 2),
        ("b", 3.5, 0),
    ]
    first, second = finals(events)
    assert (first.text, first.start, first.end, first.score) == ("ab a", 0.25, 2.25, 0.9)
    assert [(label.name, label.start, label.end, label.prob) for label in first.labels] == [
        ("a", 0.25, 0.75, 0.9),
        ("b", 1.0, 1.5, 0.9),
        (" ", 1.5, 1.75, 0.9),
        ("a", 2.0, 2.25, 0.9),
    ]
    assert (second.text, second.start) == ("b", 3.25)


def test_a_state_is_never_changed(kind):
    decoder = TreeBeam(LETTERS, FRAME, width=8)
    _, state = decoder.step(spoken([1, 2]), decoder.init_state())
    saved, scores = decoder.save(state), spoken([0, 2, 1])
    assert decoder.step(scores, state)[0] == decoder.step(scores, state)[0]
    assert decoder.finish(state) == decoder.finish(state)
    for broken in (np.nan, np.inf):
        with pytest.raises(DecodeError, match="scores are NaN or infinite; the network or its input is broken"):
            decoder.step(np.concatenate([scores, np.full((1, 4), broken)]), state)
    assert decoder.save(state) == saved


@pytest.mark.parametrize(
    ("scores", "fault"),
    [
        (np.zeros((2, 3)), r"wanted scores \(frames, 4\), got \(2, 3\)"),
        (np.zeros(4), r"wanted scores \(frames, 4\), got \(4,\)"),
        (np.full((1, 4), -np.inf), "scores are NaN or infinite"),
    ],
)
def test_scores_that_mean_nothing_are_refused(kind, scores, fault):
    decoder = TreeBeam(LETTERS, FRAME)
    with pytest.raises(DecodeError, match=fault):
        decoder.step(scores, decoder.init_state())


@pytest.mark.filterwarnings("ignore:overflow")
def test_huge_scores_are_no_reason_to_overflow(kind):
    assert text_of(listen(TreeBeam(LETTERS, FRAME), np.array([[-1e300, 1e308, 0, -1e308]]))) == "a"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"width": 0}, "width must lie in 1..2**20, not 0"),
        ({"depth": 0}, "depth must lie in 1..2**20, not 0"),
        ({"insertion_bonus": math.nan}, "insertion_bonus must lie in -50..50, not nan"),
        ({"endpoint_seconds": 0}, "endpoint_seconds must be above 0, not 0"),
        ({"blank_skip": 2}, "blank_skip must be a probability, 0..1, not 2"),
        ({"label_floor": 1}, "label_floor must be a log-probability, at most 0, not 1"),
    ],
)
def test_arguments_out_of_range_are_refused(options, fault):
    with pytest.raises(ArgumentError, match=re.escape(fault)):
        TreeBeam(LETTERS, FRAME, **options)


def test_what_is_saved_is_checked(kind):
    decoder = TreeBeam(LETTERS, FRAME, width=8)
    _, state = decoder.step(spoken([1, 2]), decoder.init_state())
    saved = decoder.save(state)
    with pytest.raises(DecodeError, match="other options"):
        TreeBeam(LETTERS, FRAME, width=9).restore(saved)
    for damaged in (b"", saved[:10], saved[:-1], saved[:60] + b"?" + saved[61:], b"\xff" * 40):
        with pytest.raises(DecodeError, match="saved state"):
            decoder.restore(damaged)


def test_fewer_strings_on_frames_of_blanks_and_for_improbable_labels(kind):
    rng = np.random.default_rng(1)
    path = [k for _ in range(20) for k in (int(rng.integers(1, 4)), 0, 0, 0)]
    scores = spoken(path, 0.97) + rng.normal(0, 0.1, (80, 4))
    plain = TreeBeam(LETTERS, FRAME, width=16)
    for options in ({"blank_skip": 0.9}, {"label_floor": -2.5}):
        quick = TreeBeam(LETTERS, FRAME, width=16, **options)
        assert text_of(listen(quick, scores)) == text_of(listen(plain, scores))
        _, state = quick.step(scores[1:4], quick.init_state())
        assert quick.nodes(state) == 1 < plain.nodes(plain.step(scores[1:4], plain.init_state())[1])


def language_model(outputs=4, inputs=4):
    """A recurrent network with random weights that takes and scores the classes."""
    rng = np.random.default_rng(4)

    def matrix(rows, columns):
        codes = rng.integers(-7, 8, (rows, columns))
        return ops.Matrix(rows, columns, Int(4), LAYOUT, PerTensor(), pack(codes, Int(4), LAYOUT))

    gates = rescale_from(np.full(24, 30.0), -8 * Q12, 8 * Q12 - 1)
    skip = {"cell_multiplier": 1 << 15, "skip_multiplier": 1 << 15, "shift": 30, "low": -127, "high": 127}
    chain = (
        ops.Quantize("input", np.full(inputs, 127, np.float32), np.zeros(inputs, np.float32), *CODES),
        ops.Dense("embed", matrix(8, inputs), np.zeros(8, np.int64), rescale_from(0.1, *CODES)),
        ops.SRU("sru", 8, matrix(24, 8), np.zeros(24, np.int64), gates, **skip),
        ops.Dense("head", matrix(outputs, 8), np.zeros(outputs, np.int64), rescale_from(1.0, *INT32)),
    )
    return Program(chain, None, Alphabet(LETTERS.tokens[: outputs - 1]).to_dict())


@needs_library
def test_a_network_as_language_model_gives_the_same_text_natively(monkeypatch):
    monkeypatch.delenv("FEWBIT_TARGET", raising=False)
    scorer = NetworkScorer(language_model(), 0.8)
    scores = np.random.default_rng(2).normal(0, 2, (120, 4))
    fast = TreeBeam(
        LETTERS, FRAME, scorer, width=12, depth=5, prune_interval=4, insertion_bonus=1.0, endpoint_seconds=1e9
    )
    assert isinstance(fast._search, NativeSearch)
    events, state = fast.step(scores, fast.init_state())
    monkeypatch.setenv("FEWBIT_TARGET", "reference")
    slow = TreeBeam(
        LETTERS, FRAME, scorer, width=12, depth=5, prune_interval=4, insertion_bonus=1.0, endpoint_seconds=1e9
    )
    wanted, other = slow.step(scores, slow.init_state())
    assert events == wanted
    assert fast.finish(state) == slow.finish(other)
    for ours, theirs in zip(fast.nbest(state, 12), slow.nbest(other, 12), strict=True):
        assert ours.text == theirs.text
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
    monkeypatch.delenv("FEWBIT_TARGET")
    restored = fast.restore(fast.save(state))
    assert fast.step(scores, restored)[0] == fast.step(scores, state)[0]


def test_a_network_scorer_is_a_distribution_over_labels_that_depends_on_the_text():
    scorer = NetworkScorer(language_model(), 2.0)
    state, ln = scorer.start()
    assert ln[0] == 0
    assert np.exp(ln[1:] / 2).sum() == pytest.approx(1, abs=1e-6)
    states, rows = scorer.step([state, state], [1, 2])
    (_,), again = scorer.step([state], [2])
    np.testing.assert_array_equal(rows[1], again[0])
    assert not np.array_equal(*scorer.step(states, [1, 1])[1])


def test_networks_that_are_no_language_models_are_refused():
    with pytest.raises(ArgumentError, match="as many classes as it scores, one frame for each, not 5 for 4"):
        NetworkScorer(language_model(inputs=5))
    with pytest.raises(ArgumentError, match="without an alphabet"):
        NetworkScorer(Program(language_model().ops))
    with pytest.raises(ArgumentError, match=r"the scorer's tokens are \['a', 'b'\]"):
        TreeBeam(LETTERS, FRAME, NetworkScorer(language_model(outputs=3, inputs=3)))


def test_the_language_model_goes_on_after_an_utterance(kind):
    scorer = NetworkScorer(language_model(), 1.0)
    decoder = TreeBeam(LETTERS, FRAME, scorer, width=1, endpoint_seconds=0.5)
    sure = spoken([1, 0, 0, 0, 2], 1.0)
    events, state = decoder.step(sure, decoder.init_state())
    assert [event.text for event in finals(events)] == ["a"]
    assert decoder.nbest(state)[0].text == "b"
    memory, first = scorer.start()
    _, second = scorer.step([memory], [1])
    assert decoder.nbest(state)[0].score == pytest.approx(first[1] + second[0][2], abs=1e-5)


def test_a_committed_space_is_stable_once_something_follows_it():
    """The space after "a" is committed, then what follows it is taken back: the stable text stays the beginning."""
    decoder = TreeBeam(Alphabet(("a", "b", " ")), 0.02)
    first = decoder._shown(Changed(1, 2, np.array([1, 3, 2])))
    taken_back = decoder._shown(Changed(2, 2, np.array([1, 3])))
    more = decoder._shown(Changed(3, 3, np.array([1, 3, 2])))
    assert (first, taken_back, more) == (("a b", 1), ("a", 1), ("a b", 3))
    assert taken_back[0].startswith(first[0][: first[1]])
