"""Delays of made-up words: which shown word stands for which said one, and what is made of their times."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.text import Timed
from fewbit.text.metrics import edit_distance
from studies.speech.word_delays import LATEST, Shown, WordDelay, delay_quantiles, follow_keywords, follow_text

WORDS = st.lists(st.sampled_from("abc"), max_size=8)


def said(text):
    return [Timed(word, float(i), i + 0.5) for i, word in enumerate(text)]


def shown(text):
    return [Shown(word, i + 0.7, i + 2.0) for i, word in enumerate(text)]


def test_a_right_word_has_the_times_of_its_display():
    assert follow_text(said("ab"), shown("ab")) == [WordDelay("a", 0.5, 0.7, 2.0), WordDelay("b", 1.5, 1.7, 3.0)]


def test_wrong_and_missing_words_have_none():
    rows = follow_text(said("abcab"), shown("abxb"))  # c became x or is missing, and so is the second a
    assert [row.word for row in rows] == list("abcab")
    assert [row.shown for row in rows] == [0.7, 1.7, None, None, 3.7]


def test_a_word_too_many_moves_no_other():
    assert [row.shown for row in follow_text(said("ab"), shown("axb"))] == [0.7, 2.7]


@given(WORDS, WORDS)
def test_the_match_is_one_of_fewest_errors(one, other):
    rows = follow_text(said(one), shown(other))
    assert [(row.word, row.end) for row in rows] == [(word.word, word.end) for word in said(one)]
    pairs = [(i, round(row.shown - 0.7)) for i, row in enumerate(rows) if row.shown is not None]
    assert all(one[i] == other[j] for i, j in pairs)
    # What lies between two pairs costs as many errors as its longer side has words.
    ends = [(-1, -1), *pairs, (len(one), len(other))]
    gaps = [max(b[0] - a[0], b[1] - a[1]) - 1 for a, b in pairwise(ends)]
    assert all(a[1] < b[1] for a, b in pairwise(ends))
    assert sum(gaps) == edit_distance(one, other)


def test_an_event_is_about_the_first_word_that_it_can_be_about():
    words = [Timed("yes", 0.0, 0.5), Timed("yes", 1.0, 1.5), Timed("no", 1.6, 2.0)]
    rows = follow_keywords(words, [("yes", 0.9), ("yes", 1.8), ("no", 1.59), ("no", 2.2)])
    assert [row.shown for row in rows] == [0.9, 1.8, 2.2]


def test_events_before_a_word_or_long_after_it_are_not_about_it():
    word = [Timed("yes", 1.0, 1.5)]
    assert follow_keywords(word, [("yes", 1.0), ("no", 1.6), ("yes", 1.5 + LATEST)]) == [WordDelay("yes", 1.5)]
    assert follow_keywords(word, [("yes", 1.4 + LATEST)]) == [WordDelay("yes", 1.5, 1.4 + LATEST, 1.4 + LATEST)]


def test_an_event_is_about_one_word_only():
    words = [Timed("yes", 0.0, 0.5), Timed("yes", 0.6, 1.0)]
    assert [row.shown for row in follow_keywords(words, [("yes", 1.1)])] == [1.1, None]


def test_quantiles_are_of_the_words_that_were_shown():
    rows = [WordDelay("a", 1.0, 1.0 + wait, 2.0 + wait) for wait in (-0.1, 0.2, 0.3)] + [WordDelay("b", 5.0)]
    found = delay_quantiles(rows)
    assert found["matched"] == 3
    assert (found["to_show_p50"], found["to_commit_p50"]) == (0.2, 1.2)
    assert found["to_show_p95"] == pytest.approx(0.29)
    assert delay_quantiles([WordDelay("b", 5.0)]) == {"matched": 0}
