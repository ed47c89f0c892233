"""What is seen of made-up events: since when a word stands there, when it is certain, what is taken back."""

from dataclasses import dataclass

import numpy as np

from fewbit import Session
from fewbit.decode import Final, Partial
from studies.speech.reading_along import Reading, hear_all, read_along
from studies.speech.word_delays import Shown
from tests.studies.speech.scripted import RATE, say


@dataclass(frozen=True)
class Told:
    """A decoder that says what it is told, chunk by chunk."""

    events: tuple

    def init_state(self):
        return 0

    def step(self, scores, state):
        return list(self.events[state : state + 1]), state + 1

    def finish(self, state):
        return []


def reading(*events):
    network, _ = say("go")
    return read_along(Session(network, Told(events)), np.zeros(RATE, np.float32))


def partial(text, stable=0):
    return Partial(text, 0.0, stable)


def final(text):
    return Final(text, 0.0, 0.0, 1.0)


def shown(*words):
    """Words with the numbers of the chunks that showed and committed them, from 1."""
    return tuple(Shown(word, 0.1 * a, 0.1 * b) for word, a, b in words)


def near(found, wanted):
    assert [word.word for word in found] == [word.word for word in wanted]
    times = [[(word.shown, word.committed) for word in words] for words in (found, wanted)]
    assert np.allclose(*times)


def test_a_word_is_shown_when_it_is_whole_and_committed_when_a_space_behind_it_is_stable():
    found = reading(
        partial("g"), partial("go"), partial("go "), partial("go on", 2), partial("go on", 3), final("go on")
    )
    near(found.words, shown(("go", 2, 5), ("on", 4, 6)))
    assert (found.shown, found.revoked) == (1, 0)


def test_a_word_that_was_another_in_between_is_shown_since_it_came_back():
    found = reading(partial("go "), partial("no "), partial("go "), final("go"))
    near(found.words, shown(("go", 3, 4)))
    assert (found.shown, found.revoked) == (3, 2)


def test_a_word_that_was_gone_in_between_is_shown_since_it_came_back():
    found = reading(partial("go on"), partial("go"), partial("go on"), final("go on"))
    near(found.words, shown(("go", 1, 4), ("on", 3, 4)))


def test_a_word_that_only_the_end_of_its_utterance_shows_is_shown_then():
    near(reading(partial("four"), final("fourteen")).words, shown(("fourteen", 2, 2)))


def test_places_begin_anew_with_each_utterance():
    found = reading(partial("go ", 3), final("go"), partial("go "), final("go"))
    near(found.words, shown(("go", 1, 1), ("go", 3, 4)))
    assert (found.shown, found.revoked) == (2, 0)


def test_nothing_said_is_nothing_shown():
    assert reading() == Reading((), 0, 0)


def test_time_passes_until_all_is_shown():
    """A stream ends with quiet, so that late words have a time, and not that of the end of the sound."""
    network, _ = say("go")
    times = [at for at, _ in hear_all(Session(network, Told((partial("go"),) * 100)), np.zeros(RATE, np.float32))]
    assert np.allclose((times[0], times[-1]), (0.1, 5.0))
    assert np.allclose(np.diff(times)[:-1], 0.1)  # the last event is that of the end
