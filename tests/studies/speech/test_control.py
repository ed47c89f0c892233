"""Delays measured on scores of known times, and the control: scores that come later are shown as much later."""

import numpy as np
import pytest

from fewbit import Session
from fewbit.decode import Final, Keyword, KeywordList, KeywordSpotter, TreeBeam
from fewbit.errors import ArgumentError
from studies.speech.delayed_scores import DelayedScores
from studies.speech.reading_along import CHUNK_SECONDS, hear_all, hear_keywords, read_along
from studies.speech.word_delays import delay_quantiles, follow_keywords, follow_text
from tests.studies.speech.scripted import ALPHABET, FRAME, say, silence

TEXT = "go stop seven seven eleven go enter yes october"
WINDOW = 0.025


def beam():
    return TreeBeam(ALPHABET, FRAME, depth=4, prune_interval=20, endpoint_seconds=0.5)


def spotter(**options):
    return KeywordSpotter(KeywordList(ALPHABET, ["seven", "go", "yes"]), FRAME, threshold=0.5, **options)


def read(network, script):
    return read_along(Session(network, beam()), silence(script))


def told(network, script):
    return hear_keywords(Session(network, spotter()), silence(script))


def test_a_word_is_shown_with_the_chunk_that_brings_its_last_letter():
    script, said = say(TEXT)
    rows = follow_text(said, read(script, script).words)
    waits = [row.shown - row.end for row in rows]
    assert len(rows) == len(TEXT.split())
    assert all(-FRAME <= wait <= CHUNK_SECONDS + WINDOW + FRAME for wait in waits)
    # A word is committed when four letters follow, or half a second of silence.
    assert all(row.committed >= row.shown for row in rows)
    assert max(row.committed - row.end for row in rows) > 0.3


@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_text_of_late_scores_is_shown_as_much_later(seconds):
    script, said = say(TEXT)
    usual, late = (
        follow_text(said, read(network, script).words) for network in (script, DelayedScores(script, seconds))
    )
    for one, other in zip(usual, late, strict=True):
        assert other.shown - one.shown == pytest.approx(seconds, abs=1e-6)
        assert other.committed - one.committed == pytest.approx(seconds, abs=CHUNK_SECONDS + 20 * FRAME)
    more = delay_quantiles(late)["to_show_p50"] - delay_quantiles(usual)["to_show_p50"]
    assert more == pytest.approx(seconds, abs=CHUNK_SECONDS)


@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_keywords_of_late_scores_are_told_as_much_later(seconds):
    script, said = say(TEXT)
    said = [word for word in said if word.word in ("seven", "go", "yes")]
    usual, late = (follow_keywords(said, told(network, script)) for network in (script, DelayedScores(script, seconds)))
    assert [row.word for row in usual] == ["go", "seven", "seven", "go", "yes"]
    assert all(0 < row.shown - row.end < 1 for row in usual)
    assert [b.shown - a.shown for a, b in zip(usual, late, strict=True)] == pytest.approx([seconds] * 5)


def test_times_of_the_decoder_do_not_show_that_scores_are_late():
    """Why the end of a word must not come from the decoder: its labels are as late as the scores."""
    script, _ = say(TEXT)
    found = []
    for network in (script, DelayedScores(script, 1.0)):
        session = Session(network, spotter())
        found.append([e.time - e.end for _, e in hear_all(session, silence(script)) if isinstance(e, Keyword)])
    assert found[0] == pytest.approx(found[1])


def test_nothing_is_lost_and_nothing_is_added():
    script, said = say(TEXT)
    late = DelayedScores(script, 0.5)
    texts = []
    for network in (script, late):
        events = hear_all(Session(network, beam()), silence(script))
        texts.append(" ".join(event.text for _, event in events if isinstance(event, Final)))
        assert texts[-1].split() == [word.word for word in said]


def test_late_scores_are_those_of_the_network_behind_silence():
    script, _ = say("go")
    frames = np.zeros((40, 40), np.float32)
    late = DelayedScores(script, 5 * FRAME)
    whole, _ = script.step(frames, script.init_state())
    state, parts = late.init_state(), []
    for part in np.split(frames, (3, 4, 20)):
        scores, state = late.step(part, state)
        assert len(scores) == len(part)
        parts.append(scores)
    scores = np.concatenate(parts)
    assert np.array_equal(scores[5:], whole[:-5])
    assert (scores[:5].argmax(axis=1) == 0).all()
    assert np.array_equal(DelayedScores(script, 0.0).step(frames, DelayedScores(script, 0.0).init_state())[0], whole)


@pytest.mark.parametrize("seconds", [-0.1, 0.015])
def test_a_delay_is_a_whole_number_of_frames(seconds):
    with pytest.raises(ArgumentError, match="frames of scores; wanted a whole number, 0 or more"):
        DelayedScores(say("go")[0], seconds)
