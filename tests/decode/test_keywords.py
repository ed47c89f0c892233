"""Keyword scores against the enumeration of all CTC paths, and the events that are made of them."""

import os
from dataclasses import replace
from functools import cache
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.decode import Keyword, KeywordList, KeywordSpotter
from fewbit.decode.keyword_paths import Nodes, Paths, at_the_end, follow
from fewbit.errors import ArgumentError, DecodeError
from fewbit.testing import check_decoder
from fewbit.text import Alphabet

LETTERS = Alphabet((" ", "a", "b"))  # blank, space, a, b
ENGLISH = Alphabet(tuple(" abcdefghijklmnopqrstuvwxyz"))
DIGITS = Alphabet(("one", "two", "three"), joiner=" ")
FRAME = 0.1
SILENCE = 2
cuts = st.lists(st.integers(0, 40), max_size=5)


def said_in(path, word, space):
    """Oracle: whether the text of a path (classes of all frames) ends in `word`, by the runs of its classes."""
    runs = []  # (class, length), the start of the stream as an endless silence
    for symbol, members in groupby(path):
        runs.append((symbol, len(list(members))))
    letters, gaps = [], [SILENCE]  # gaps[i]: blanks before letter i
    waiting = SILENCE
    for symbol, length in runs:
        if symbol == 0:
            waiting += length
        else:
            letters.append(symbol)
            gaps[len(letters) - 1 :] = [waiting]
            waiting = 0
    gaps = [*gaps[: len(letters)], waiting]
    n = len(word)

    def opened(i):  # a boundary before letter i
        return i >= 0 and (gaps[i] >= SILENCE or (i > 0 and letters[i - 1] == space))

    end = len(letters)
    if space is None:
        return end >= n and tuple(letters[end - n :]) == word and gaps[end] < SILENCE
    closed = end >= n + 1 and letters[-1] == space and tuple(letters[end - 1 - n : -1]) == word and opened(end - 1 - n)
    silent = end >= n and tuple(letters[end - n :]) == word and gaps[end] >= SILENCE and opened(end - n)
    return closed or silent


@cache
def paths_that_say(word, space, frames, classes=4):
    """Paths of all frames that end in `word`, ``(paths, frames)``."""
    found = [path for path in product(range(classes), repeat=frames) if said_in(path, word, space)]
    return np.array(found, int).reshape(len(found), frames)


def enumerated(probs, word, space):
    """P(text ends in `word`) after each frame, over all paths."""
    lengths = range(1, len(probs) + 1)
    return [probs[np.arange(t), paths_that_say(word, space, t)].prod(axis=1).sum() for t in lengths]


def random_probs(seed, frames, classes):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (frames, classes))
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True)


WORDS = [(2,), (3, 2), (2, 2), (2, 3, 2)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("space", [1, None], ids=["space", "no space"])
def test_the_score_is_the_sum_over_all_paths(seed, space):
    probs = random_probs(seed, 6, 4)
    nodes = Nodes.build(WORDS, space)
    heard, _ = follow(nodes, Paths.start(nodes, SILENCE), probs)
    for w, word in enumerate(WORDS):
        np.testing.assert_allclose(heard.probability[:, w], enumerated(probs, word, space), rtol=1e-9, atol=1e-15)
    assert heard.probability.max() <= 1


def test_the_end_of_a_stream_is_a_boundary():
    probs = random_probs(5, 5, 4)
    nodes = Nodes.build(WORDS, 1)
    _, paths = follow(nodes, Paths.start(nodes, SILENCE), probs)
    space = np.tile(np.eye(4)[1], (1, 1))
    # A space after the end closes the word; paths that had a space already have it twice, which is a word all the same.
    heard, _ = follow(nodes, paths, space)
    blank, _ = follow(nodes, paths, np.tile(np.eye(4)[0], (SILENCE, 1)))
    np.testing.assert_allclose(at_the_end(nodes, paths).probability[0], blank.probability[-1])
    assert (at_the_end(nodes, paths).probability[0] >= heard.probability[0] - 1e-12).all()


def spell(text, alphabet=ENGLISH, height=9.0, gap=1):
    """Scores that say `text`: a peak for each letter and `gap` blanks after it."""
    path = [k for k in alphabet.encode(text) for k in (k, *[0] * gap)]
    return np.eye(alphabet.classes)[path] * height


def listen(spotter, scores):
    events, state = spotter.step(scores, spotter.init_state())
    return events + spotter.finish(state)


def heard(words, scores, alphabet=ENGLISH, **options):
    spotter = KeywordSpotter(KeywordList(alphabet, words), FRAME, **options)
    return [event.word for event in listen(spotter, scores)]


scores = st.builds(
    lambda seed, frames, width: np.random.default_rng(seed).normal(0, width, (frames, 4)),
    st.integers(0, 1 << 30),
    st.integers(0, 30),
    st.floats(0, 9),
)


@given(scores, cuts, st.sampled_from([0.0, 0.2]), st.booleans(), st.sampled_from([0.05, 0.5]))
@settings(max_examples=40, deadline=None)
def test_any_split_gives_the_same_events(scores, cuts, settle, boundaries, threshold):
    words = KeywordList(LETTERS, ["a", "ab", "aa", "b a 0.01", "bab"])
    spotter = KeywordSpotter(words, FRAME, threshold, silence=0.3, settle=settle, boundaries=boundaries)
    events = check_decoder(spotter, scores, cuts)
    assert all(0 <= e.start < e.end <= e.time <= (len(scores) + 1) * FRAME for e in events)
    assert [e.time for e in events] == sorted(e.time for e in events)
    assert all(e.score >= (0.01 if e.word == "b a" else threshold) - 1e-4 for e in events)


@given(st.lists(st.sampled_from(["cat", "cats", "at", "a"]), max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_clear_text_gives_its_words_in_order_and_nothing_else(text):
    found = heard(["cat", "at", "a"], spell(" ".join(text)))
    assert found == [word for word in text if word != "cats"]


def test_a_word_inside_another_is_heard_only_without_boundaries():
    scores = spell("the cats concat")
    assert heard(["cat"], scores) == []
    assert heard(["cat"], scores, boundaries=False) == ["cat", "cat"]
    assert heard(["cats", "the", "concat"], scores) == ["the", "cats", "concat"]


def test_doubled_letters_need_a_blank_between_them():
    path = ENGLISH.encode("hello")
    merged = np.eye(27 + 1)[path] * 9.0  # no blank: the text is "helo"
    assert heard(["hello", "helo"], merged) == ["helo"]
    assert heard(["hello", "helo"], spell("hello")) == ["hello"]


def test_a_phrase_has_its_space_inside():
    assert heard(["new york", "york"], spell("in new york now")) == ["new york", "york"]
    assert heard(["new york"], spell("new yorker")) == []


def test_a_word_is_said_before_the_stream_goes_on_and_once():
    (event,) = listen(KeywordSpotter(KeywordList(ENGLISH, ["cat"]), FRAME, settle=0), spell("the cat sat", gap=1))
    # t h e _ c a t _: the frame of the space after it is number 14, and ends at 1.5 s.
    assert (event.word, event.start, event.end, event.time) == ("cat", 0.8, 1.3, 1.5)
    assert event.score > 0.9


def test_silence_ends_a_word_as_a_space_does_and_begins_one():
    quiet = np.eye(28)[[0] * 6] * 9.0
    scores = np.concatenate([spell("x"), quiet, spell("cat"), quiet, quiet, quiet, spell("dog")])
    spotter = KeywordSpotter(KeywordList(ENGLISH, ["cat", "xcat", "dog"]), FRAME, silence=0.4, settle=0)
    events = listen(spotter, scores)
    # A silence may be a boundary and need not be one: the letters of the network spell "xcat" as well.
    assert [event.word for event in events] == ["cat", "xcat", "dog"]
    assert events[0].time == pytest.approx(events[0].end + 0.4)
    longer = replace(spotter, silence=3.0)
    assert [event.word for event in listen(longer, scores)] == []


def test_a_word_that_is_said_twice_is_two_events_and_a_wavering_one_is_one():
    assert heard(["cat"], spell("cat cat cat")) == ["cat"] * 3
    assert heard(["one", "two"], spell("one one two one", DIGITS, gap=5), DIGITS) == ["one", "one", "two", "one"]
    nodes = ENGLISH.encode("cat ")
    wavering = np.eye(28)[[k for k in nodes for k in (k, 0)]] * 9.0
    doubt = np.log(np.array([0.62] + [0.38 / 27] * 27))  # a blank that is less sure each time
    again = np.log(np.array([0.98] + [0.02 / 27] * 27))
    stream = np.concatenate([wavering, *[[doubt], [again]] * 2])
    bar = 0.8
    spotter = KeywordSpotter(KeywordList(ENGLISH, ["cat"]), FRAME, bar, settle=0, hysteresis=2.0)
    assert len(listen(spotter, stream)) == 1


def test_the_hysteresis_keeps_a_score_around_the_threshold_from_chattering():
    """P goes 0.9, then under the threshold but not far, then over it through another occurrence."""
    unsure = np.log(np.maximum(np.eye(4)[2] * 0.6 + np.eye(4)[0] * 0.4, 1e-9))  # an a, or not
    scores = np.concatenate([spell("a ", LETTERS), [unsure], spell(" a ", LETTERS)])
    words = KeywordList(LETTERS, ["a"])
    strict, loose = (KeywordSpotter(words, FRAME, 0.7, settle=0, hysteresis=hysteresis) for hysteresis in (4.0, 0.1))
    assert (len(listen(strict, scores)), len(listen(loose, scores))) == (2, 2)  # the second a takes P down to nothing
    wobble = np.concatenate([spell("a ", LETTERS), [unsure], np.eye(4)[[1]] * 9.0])
    assert len(listen(KeywordSpotter(words, FRAME, 0.3, settle=0, hysteresis=4.0), wobble)) == 1
    assert len(listen(KeywordSpotter(words, FRAME, 0.5, settle=0, hysteresis=0.0), wobble)) == 2


def test_an_early_word_has_the_score_of_its_first_frame_and_a_settled_one_its_best():
    rising = [np.log([0.5, 0.45, 0.03, 0.02]), np.log([0.03, 0.95, 0.01, 0.01])]
    scores = np.concatenate([spell(" a", LETTERS), rising])
    words = KeywordList(LETTERS, ["a"])
    early, settled = (KeywordSpotter(words, FRAME, 0.3, settle=settle, silence=1) for settle in (0, 0.1))
    (first,), (best,) = listen(early, scores), listen(settled, scores)
    assert first.score < 0.5 < 0.9 < best.score
    assert best.time == pytest.approx(first.time + 0.1)


def test_words_come_and_go_and_the_others_do_not_notice():
    words = KeywordList(ENGLISH, ["cat", "sat"])
    spotter = KeywordSpotter(words, FRAME)
    scores = spell("the cat sat on the mat with a cat ")
    alone = [event for event in listen(spotter, scores) if event.word == "cat"]
    state, events = spotter.init_state(), []
    for i, frame in enumerate(scores):
        if i == 11:  # within the first "cat"
            words.add("mat")
            words.add("the", threshold=0.9)
            words.remove("SAT")
        if i == 45:
            words.remove("the")
        new, state = spotter.step(frame[None], state)
        events += new
    events += spotter.finish(state)
    assert [event for event in events if event.word == "cat"] == alone
    assert [event.word for event in events] == ["cat", "the", "mat", "cat"]


def test_scores_of_words_that_stay_are_equal_to_the_last_bit_when_the_list_changes():
    random = np.random.default_rng(0)
    scores = random.normal(0, 3, (60, 28))
    words = KeywordList(ENGLISH, ["cat", "a", "sat"])
    spotter = KeywordSpotter(words, FRAME, 0.001)
    _, still = spotter.step(scores, spotter.init_state())
    _, state = spotter.step(scores[:30], spotter.init_state())
    words.remove("cat")
    words.add("dog")
    _, state = spotter.step(scores[30:], state)
    kept = [still.nodes.opening[1], state.nodes.opening[0]]
    for name in ("label", "blank"):
        old, new = (getattr(s.paths, name)[k : k + 3] for s, k in zip((still, state), kept, strict=True))
        assert (old == new).all()


def test_a_word_that_is_added_is_heard_if_it_begins_afterwards():
    scores = spell("cat cat ")
    words = KeywordList(ENGLISH)
    spotter = KeywordSpotter(words, FRAME)
    _, state = spotter.step(scores[:3], spotter.init_state())
    words.add("cat")
    events, state = spotter.step(scores[3:], state)
    assert len(events) == 1


def test_a_changed_threshold_holds_at_once():
    words = KeywordList(ENGLISH, ["cat"])
    spotter = KeywordSpotter(words, FRAME, 0.5)
    scores = spell("cat cat ", height=5.0)
    first, state = spotter.step(scores[:9], spotter.init_state())
    words.remove("cat")
    words.add("cat", threshold=0.99)
    second, _ = spotter.step(scores[9:], state)
    assert (len(first), len(second)) == (1, 0)


def test_memory_stays_bounded_and_no_number_breaks_on_a_long_stream():
    random = np.random.default_rng(3)
    spotter = KeywordSpotter(KeywordList(ENGLISH, ["cat", "incomprehensibilities"]), FRAME)
    state = spotter.init_state()
    sizes = set()
    for _ in range(40):
        _, state = spotter.step(random.normal(0, 4, (50, 28)), state)
        sizes.add(sum(value.nbytes for value in vars(state.paths).values() if isinstance(value, np.ndarray)))
    assert len(sizes) == 1
    assert np.isfinite(state.paths.label).all()
    assert state.paths.frame == 2000


def test_a_state_never_changes_and_no_words_are_no_events():
    spotter = KeywordSpotter(KeywordList(ENGLISH, ["cat"]), FRAME)
    _, state = spotter.step(spell("the c"), spotter.init_state())
    rest = spell("at now")
    assert spotter.step(rest, state)[0] == spotter.step(rest, state)[0] != []
    assert spotter.finish(state) == spotter.finish(state) == []
    assert heard([], spell("cat")) == []


@pytest.mark.parametrize(
    ("scores", "fault"),
    [
        (np.zeros((2, 3)), r"wanted scores \(frames, 28\), got \(2, 3\)"),
        (np.full((1, 28), np.nan), "scores are NaN or infinite"),
    ],
)
def test_scores_that_mean_nothing_are_refused_and_the_state_is_as_before(scores, fault):
    spotter = KeywordSpotter(KeywordList(ENGLISH, ["cat"]), FRAME)
    _, state = spotter.step(spell("ca"), spotter.init_state())
    with pytest.raises(DecodeError, match=fault):
        spotter.step(scores, state)
    assert [event.word for event in spotter.step(spell("t "), state)[0]] == ["cat"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"frame_seconds": 0}, "frame_seconds must lie above 0"),
        ({"threshold": 1.0}, r"threshold must lie in 1e-06..1 \(1 excluded\), not 1.0"),
        ({"threshold": float("nan")}, "threshold must lie"),
        ({"silence": -1}, "silence must lie in 0..10"),
        ({"settle": 11}, "settle must lie in 0..10"),
        ({"hysteresis": -1}, "hysteresis must be 0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(options, fault):
    with pytest.raises(ArgumentError, match=fault):
        KeywordSpotter(KeywordList(ENGLISH), **{"frame_seconds": FRAME} | options)


def test_the_list_is_written_in_the_letters_of_the_alphabet():
    upper = Alphabet(tuple(" ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    words = KeywordList(upper, ["  new   york 0.25", "\ufb01x", "# nothing", "", "enter # a comment"])
    assert [(w.word, w.threshold) for w in words.words] == [("NEW YORK", 0.25), ("FIX", None), ("ENTER", None)]
    assert KeywordList(DIGITS, ["One TWO\t0.5"]).words[0].word == "one two"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("caf\u00e9", "line 2: keyword 'caf\u00e9': the alphabet lacks '\u00e9'"),
        ("route 66b", "keyword 'route 66b': the alphabet lacks '6'"),
        ("route 66", "a threshold must lie in 1e-06..1"),
        ("Cat", "line 2: keyword 'cat' is in the list twice"),
    ],
)
def test_words_that_cannot_be_are_named(line, fault):
    with pytest.raises(DecodeError, match=fault):
        KeywordList(ENGLISH, ["cat", line])


def test_a_wrong_word_leaves_the_list_as_it_was():
    words = KeywordList(ENGLISH, ["cat"])
    for change in (lambda: words.add("x1"), lambda: words.add(" "), lambda: words.remove("dog")):
        with pytest.raises(DecodeError):
            change()
    assert [w.word for w in words.words] == ["cat"]


def test_a_file_is_read_again_when_it_changes_and_a_mistake_changes_nothing(tmp_path):
    path = tmp_path / "words.txt"

    def write(text, time):
        path.write_text(text)
        os.utime(path, ns=(time, time))

    write("cat # one\nnew york 0.3\n", 1)
    words = KeywordList.read(path, ENGLISH)
    assert [(w.word, w.threshold) for w in words.words] == [("cat", None), ("new york", 0.3)]
    assert not words.refresh()
    write("cat\nd0g\n", 2)
    with pytest.raises(DecodeError, match=r"words.txt, line 2: keyword 'd0g': the alphabet lacks '0'"):
        words.refresh()
    assert len(words.words) == 2
    assert not words.refresh()  # said once
    write("dog\n", 3)
    assert words.refresh()
    assert [w.word for w in words.words] == ["dog"]
    assert not KeywordList(ENGLISH).refresh()
    path.write_bytes(b"\xff\xfe\x00d")
    with pytest.raises(DecodeError, match="not a text file in UTF-8"):
        words.refresh()


def test_the_event_is_the_public_one():
    assert heard(["cat"], spell("cat")) == ["cat"]
    assert isinstance(listen(KeywordSpotter(KeywordList(ENGLISH, ["cat"]), FRAME), spell("cat"))[0], Keyword)
