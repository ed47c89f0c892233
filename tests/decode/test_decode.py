"""Decoders against a slow oracle that sees all scores at once."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fewbit.decode import Final, Framewise, GreedyCTC, Label, Partial, text_of, to_dict
from fewbit.errors import DecodeError
from fewbit.testing import check_decoder
from fewbit.text import Alphabet

LETTERS = Alphabet(("a", "b", "c"))
NAMES = ("rest", "walk", "run", "jump")
FRAME = 0.25
classes = st.lists(st.integers(0, 3), max_size=40)
scores = st.integers(0, 30).flatmap(lambda n: arrays(np.float64, (n, 4), elements=st.floats(-50, 50)))
cuts = st.lists(st.integers(0, 40), max_size=5)


def spoken(path):
    """Scores whose best classes are `path`."""
    return np.eye(4)[np.array(path, int)] * 9.0


def runs(scores):
    """Oracle: ``(class, first frame, frame after the last)`` of each run of the best class."""
    found, frame = [], 0
    for symbol, members in groupby(int(np.argmax(row)) for row in scores):
        length = len(list(members))
        found.append((symbol, frame, frame + length))
        frame += length
    return found


def listen(decoder, scores):
    events, state = decoder.step(scores, decoder.init_state())
    return events + decoder.finish(state)


def finals(events):
    return [event for event in events if isinstance(event, Final)]


@given(scores, cuts)
def test_greedy_ctc_says_the_best_path_without_repeats_and_blanks(scores, cuts):
    events = check_decoder(GreedyCTC(LETTERS, FRAME, silence=1e9, longest=1e9), scores, cuts)
    wanted = [run for run in runs(scores) if run[0]]
    text = "".join("_abc"[symbol] for symbol, _, _ in wanted)
    assert [event.text for event in finals(events)] == ([text] if text else [])
    partial = [event for event in events if isinstance(event, Partial)]
    assert [event.text for event in partial] == [text[: i + 1] for i in range(len(text))]
    assert [event.time for event in partial] == [(first + 1) * FRAME for _, first, _ in wanted]


@given(scores, cuts, st.sampled_from([0.0, 0.25, 0.75]), st.sampled_from([0.0, 0.5, 2.0]))
def test_endpoints_cut_the_text_and_lose_nothing(scores, cuts, silence, longest):
    events = check_decoder(GreedyCTC(LETTERS, FRAME, silence, longest), scores, cuts)
    labels = [label for event in finals(events) for label in event.labels]
    wanted = [("_abc"[symbol], first * FRAME, end * FRAME) for symbol, first, end in runs(scores) if symbol]
    assert [(label.name, label.start, label.end) for label in labels] == wanted
    assert text_of(events, "") == "".join(name for name, _, _ in wanted)
    assert all(0.25 <= label.prob <= 1 for label in labels)  # the best of four is at least a quarter


def test_an_utterance_carries_its_times_and_the_best_probability_of_each_symbol():
    weak, strong = np.log([0.2, 0.6, 0.1, 0.1]), np.log([0.05, 0.9, 0.04, 0.01])
    (blank,) = spoken([0])
    scores = np.stack([blank, weak, strong, weak, blank, np.log([0.1, 0.05, 0.8, 0.05])])
    (final,) = finals(listen(GreedyCTC(LETTERS, FRAME), scores))
    assert final == Final("ab", 0.25, 1.5, 0.85, (Label("a", 0.25, 1.0, 0.9), Label("b", 1.25, 1.5, 0.8)))


def test_an_utterance_ends_in_the_frame_that_completes_its_silence():
    decoder = GreedyCTC(LETTERS, FRAME, silence=0.75)
    said = [len(decoder.step(spoken([1, 1, *[0] * n]), decoder.init_state())[0]) for n in range(5)]
    assert said == [1, 1, 1, 2, 2]
    texts = [event.text for event in finals(listen(decoder, spoken([1, 0, 0, 2, 0, 0, 0, 0, 0, 3])))]
    assert texts == ["ab", "c"]


def test_an_utterance_is_cut_at_the_first_new_symbol_after_the_longest_time():
    decoder = GreedyCTC(LETTERS, FRAME, longest=1.0)
    texts = [event.text for event in finals(listen(decoder, spoken([1, 2, 3, 3, 3, 3, 3, 1, 2])))]
    assert texts == ["abc", "ab"]  # not within the run of c


@pytest.mark.parametrize("path", [[1, 2], [1], [1, 0]], ids=["new symbols", "one long symbol", "no long silence"])
def test_memory_stays_bounded_on_an_endless_stream(path):
    decoder = GreedyCTC(LETTERS, FRAME, longest=5.0)
    state = decoder.init_state()
    for _ in range(40):
        _, state = decoder.step(spoken(path * 5), state)
        assert len(state.runs) <= 5.0 / FRAME
    assert state.frame == 200 * len(path)


def test_finishing_says_what_is_left_and_changes_nothing():
    decoder = GreedyCTC(LETTERS, FRAME)
    _, state = decoder.step(spoken([1, 2]), decoder.init_state())
    assert [event.text for event in decoder.finish(state)] == ["ab"]
    assert decoder.finish(state) == decoder.finish(state)
    assert decoder.finish(decoder.init_state()) == []


@given(scores, cuts)
def test_framewise_labels_are_the_runs_of_the_best_class(scores, cuts):
    labels = check_decoder(Framewise(NAMES, FRAME), scores, cuts)
    wanted = [(NAMES[symbol], first * FRAME, end * FRAME) for symbol, first, end in runs(scores)]
    assert [(label.name, label.start, label.end) for label in labels] == wanted
    assert all(0.25 <= label.prob <= 1 for label in labels)


def test_framewise_labels_carry_the_mean_probability():
    scores = np.log([[0.6, 0.2, 0.1, 0.1], [0.8, 0.1, 0.05, 0.05], [0.1, 0.7, 0.1, 0.1]])
    assert listen(Framewise(NAMES, FRAME), scores) == [Label("rest", 0.0, 0.5, 0.7), Label("walk", 0.5, 0.75, 0.7)]


@pytest.mark.parametrize("decoder", [GreedyCTC(LETTERS, FRAME), Framewise(NAMES, FRAME)], ids=["greedy", "framewise"])
@pytest.mark.parametrize(
    ("scores", "fault"),
    [
        (np.zeros((2, 3)), r"wanted scores \(frames, 4\), got \(2, 3\)"),
        (np.zeros(4), r"wanted scores \(frames, 4\), got \(4,\)"),
        (np.full((1, 4), np.nan), "scores are NaN or infinite; the network or its input is broken"),
        (np.full((1, 4), np.inf), "scores are NaN or infinite"),
    ],
)
def test_scores_that_mean_nothing_are_refused(decoder, scores, fault):
    with pytest.raises(DecodeError, match=fault):
        decoder.step(scores, decoder.init_state())


def test_huge_scores_are_no_reason_to_overflow():
    (final,) = finals(listen(GreedyCTC(LETTERS, FRAME), np.array([[-1e300, 1e300, 0, 0]])))
    assert (final.text, final.score) == ("a", 1.0)


def test_events_become_plain_values_with_their_kind():
    label = Label("a", 0.0, 0.25, 1.0)
    assert to_dict(label) == {"event": "label", "name": "a", "start": 0.0, "end": 0.25, "prob": 1.0}
    assert to_dict(Partial("a", 0.25)) == {"event": "partial", "text": "a", "time": 0.25, "stable": 0}
    assert to_dict(Final("a", 0.0, 0.25, 1.0, (label,)))["labels"][0]["name"] == "a"
    assert text_of([Final("one", 0, 1, 1), Partial("x", 1), Final("", 1, 1, 1), Final("two", 1, 2, 1)]) == "one two"
