"""N-gram models as scorers: against their definitions, and native against reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.decode import CharNgram, OpenVocabularyLM, WordNgram
from fewbit.errors import ArgumentError
from fewbit.text import Alphabet, kneser_ney
from fewbit.text.ngram import END, UNKNOWN

calm = settings(max_examples=25, deadline=None)
ALPHABET = Alphabet((" ", "a", "b", "c", "'"))
TEXT = ["ab abc ba ab c ab abc", "ba c ab abc cab ab", "a b' ab ba ab abc abc ab"]
CHARS = kneser_ney(TEXT, 4)
WORDS = kneser_ney([[*text.split(), "zebra"] for text in TEXT], 3)
ENDLESS = kneser_ney([" ".join(TEXT * 3)], 4)
SCORERS = {
    "chars": CharNgram(CHARS, ALPHABET, 0.7),
    "words": WordNgram(WORDS, ALPHABET, 0.5, 0.1, 0.25),
    "open vocabulary": OpenVocabularyLM(CharNgram(CHARS, ALPHABET), WordNgram(WORDS, ALPHABET, 0.8, 0.2, -0.3)),
    "plain words": WordNgram(WORDS, ALPHABET),
    "plain open vocabulary": OpenVocabularyLM(CharNgram(CHARS, ALPHABET), WordNgram(WORDS, ALPHABET)),
}
every_scorer = pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS.keys())
labels = st.lists(st.integers(1, ALPHABET.classes - 1), max_size=25)


def read(scorer, labels):
    """State after a string, and log-probabilities (labels + 1, classes) before each label and at the end."""
    state, ln = scorer.start()
    rows = [ln]
    for label in labels:
        (state,), more = scorer.step([state], [label])
        rows.append(more[0])
    return state, np.stack(rows)


def read_native(scorer, labels):
    native = (scorer._alone if isinstance(scorer, WordNgram) else scorer)._native
    state, ln = native.start()
    rows = [ln]
    for label in labels:
        state, ln = native.step(state, np.array([label]))
        rows.append(ln)
    return np.concatenate(rows)


@every_scorer
@given(labels=labels)
@calm
def test_the_native_scorer_equals_the_reference(scorer, labels):
    if scorer.native() is None:
        pytest.skip("no native library, an older one, or the reference is asked for")
    np.testing.assert_allclose(read_native(scorer, labels), read(scorer, labels)[1], atol=1e-4)


@every_scorer
@given(first=labels, second=labels)
@calm
def test_texts_side_by_side_are_texts_alone(scorer, first, second):
    length = min(len(first), len(second))
    first, second = first[:length], second[:length]
    start, _ = scorer.start()
    states, rows = [start, start], []
    for pair in zip(first, second, strict=True):
        states, ln = scorer.step(states, pair)
        rows.append(ln)
    for i, text in enumerate((first, second)):
        alone = read(scorer, text)[1][1:]
        assert (np.array([ln[i] for ln in rows]).reshape(alone.shape) == alone).all()


@every_scorer
def test_states_never_change_and_the_blank_costs_nothing(scorer):
    state, ln = scorer.start()
    one = scorer.step([state, state], [2, 3])[1]
    two = scorer.step([state, state], [2, 3])[1]
    assert (one == two).all()
    assert ln.dtype == np.float32
    assert ln[0] == 0
    assert (one[:, 0] == 0).all()
    states, none = scorer.step([], [])
    assert (states, none.shape) == ([], (0, ALPHABET.classes))


@given(labels)
@calm
def test_characters_have_the_probabilities_of_their_model(labels):
    rows = read(CharNgram(CHARS, ALPHABET, 0.7), labels)[1]
    said = sum(rows[i, label] for i, label in enumerate(labels))
    wanted = 0.7 * CHARS.ln_probabilities([ALPHABET.decode(labels)])[:-1].sum()
    assert said == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("name", ["plain words", "plain open vocabulary"])
@given(labels=labels)
@calm
def test_letters_of_words_have_probabilities_that_sum_to_at_most_1(name, labels):
    """What is missing is the end of the text and strange symbols, of which the character model thinks."""
    p = np.exp(read(SCORERS[name], labels)[1][:, 1:].astype(float)).sum(axis=1)
    assert (p < 1 + 1e-4).all()
    if name == "plain words":
        # Equal letters: all 5 labels are possible, so nothing is missing.
        assert p == pytest.approx(np.ones(len(p)), abs=1e-4)


def word_by_definition(words, chars, text, u):
    """ln P of a text of words, each ended by a space: known or spelled, both counted."""
    model, total = words.model, 0.0
    history, before = model.start, ""
    spellable = [model.numbers[word] for word in words.vocabulary]
    for word in text.split(" ")[:-1]:
        p = np.exp(model.ln_next(history))
        known = (1 - u) * p[model.numbers[word]] / p[spellable].sum() if word in words.vocabulary else 0.0
        letters = np.array(ALPHABET.encode(before + word + " "))
        ln = read(chars, letters)[1][np.arange(len(letters)), letters]
        total += np.log(known + u * np.exp(ln[len(before) :].sum()))
        before += word + " "
        history = model.after(history, model.numbers[word if word in words.vocabulary else UNKNOWN])
    return total


@given(st.lists(st.sampled_from(["ab", "abc", "ba", "a", "b'", "cab", "caab", "bb", "abcab"]), min_size=1, max_size=6))
@calm
def test_a_text_has_the_probability_of_its_words_known_or_spelled(words):
    text = " ".join([*words, ""])
    labels = ALPHABET.encode(text)
    chars, u = CharNgram(CHARS, ALPHABET), 0.2
    known = WordNgram(WORDS, ALPHABET, 1.0, u)
    rows = read(OpenVocabularyLM(chars, known), labels)[1]
    said = sum(rows[i, label] for i, label in enumerate(labels))
    assert said == pytest.approx(word_by_definition(known, chars, text, u), abs=1e-3)


def test_words_guide_from_the_first_letter_and_strange_ones_are_spelled():
    model = OpenVocabularyLM(CharNgram(ENDLESS, ALPHABET), WordNgram(WORDS, ALPHABET, 1.0, 0.01))
    rows = read(model, ALPHABET.encode("ba ab ab"))[1]
    a, c = ALPHABET.encode("ac")
    assert rows[0, a] > rows[0, c]
    chars = read(CharNgram(ENDLESS, ALPHABET), ALPHABET.encode("ba bb"))[1]
    strange = read(model, ALPHABET.encode("ba bb"))[1]
    np.testing.assert_array_equal(strange[-1], chars[-1])  # "bb" begins no word


def test_a_bonus_is_paid_for_words_and_not_for_spaces():
    plain, paid = WordNgram(WORDS, ALPHABET), WordNgram(WORDS, ALPHABET, word_bonus=2.0)
    labels = ALPHABET.encode(" ab  cc ")
    difference = read(paid, labels)[1] - read(plain, labels)[1]
    space = ALPHABET.encode(" ")[0]
    np.testing.assert_allclose(difference[:, space], [0, 0, 2, 2, 0, 0, 2, 2, 0], atol=1e-5)
    assert (np.delete(difference, space, axis=1) == 0).all()


def test_words_that_cannot_be_spelled_are_left_out():
    words = SCORERS["words"]
    assert "zebra" in WORDS.symbols
    assert "zebra" not in words.vocabulary
    assert set(words.vocabulary) == {"ab", "abc", "ba", "c", "cab", "a", "b'"}
    trie = words.trie
    ends = [i for i in range(len(trie.label)) if trie.word[i]]
    assert sorted(trie.low[ends].tolist()) == list(range(len(words.vocabulary)))
    assert [ALPHABET.tokens[trie.label[i] - 1] for i in trie.children(0)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: CharNgram(CHARS, ALPHABET, 0.0), "the weight of a language model must be above 0, not 0.0"),
        (lambda: CharNgram(WORDS, Alphabet(("x", "y"))), "the n-gram model has none of the tokens"),
        (lambda: WordNgram(WORDS, ALPHABET, unknown=0.0), "unknown must be a probability above 0 and below 1, not 0.0"),
        (lambda: WordNgram(WORDS, ALPHABET, word_bonus=np.inf), "word_bonus must be a finite number"),
        (lambda: WordNgram(WORDS, Alphabet(("a", "b"))), "the alphabet needs the token ' '"),
        (lambda: WordNgram(WORDS, Alphabet((" ", "x"))), "cannot spell a single word"),
        (
            lambda: OpenVocabularyLM(CharNgram(CHARS, ALPHABET, 0.5), WordNgram(WORDS, ALPHABET)),
            "probabilities that sum to .*; give it weight 1",
        ),
        (
            lambda: OpenVocabularyLM(CharNgram(CHARS, Alphabet((" ", "a"))), WordNgram(WORDS, ALPHABET)),
            "different alphabets",
        ),
    ],
)
def test_scorers_that_make_no_sense_are_refused(make, fault):
    with pytest.raises(ArgumentError, match=fault):
        make()


def test_tokens_the_model_lacks_share_what_unknown_symbols_have():
    scorer = CharNgram(kneser_ney(["abab"], 2), ALPHABET)
    _, rows = read(scorer, ALPHABET.encode("ab"))
    space, c = ALPHABET.encode(" c")
    assert (rows[:, space] == rows[:, c]).all()
    assert END in scorer.model.symbols
    ln = scorer.model.ln_next(scorer.model.start)
    assert np.exp(rows[0, 1:].astype(float)).sum() + np.exp(ln[2]) == pytest.approx(1, abs=1e-5)  # </s> is no label
    if scorer.native() is not None:
        np.testing.assert_allclose(read_native(scorer, ALPHABET.encode("ab")), rows, atol=1e-4)
