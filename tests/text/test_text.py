"""Alphabets and error rates."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.errors import ArgumentError, DecodeError
from fewbit.text import Alphabet, cer, edit_distance, wer

LETTERS = Alphabet(("a", "b", " "))
WORDS = Alphabet(("zero", "one", "two"), joiner=" ")
alphabets = pytest.mark.parametrize("alphabet", [LETTERS, WORDS], ids=["letters", "words"])
tiny = st.text("abc", max_size=6)


def slow_distance(a: str, b: str) -> int:
    @cache
    def rest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        return min(rest(i + 1, j) + 1, rest(i, j + 1) + 1, rest(i + 1, j + 1) + (a[i] != b[j]))

    return rest(0, 0)


@alphabets
@given(st.data())
def test_what_is_decoded_encodes_again(alphabet, data):
    classes = data.draw(st.lists(st.integers(1, alphabet.classes - 1)))
    assert alphabet.encode(alphabet.decode(classes)) == classes


@alphabets
@given(st.data())
def test_blanks_say_nothing(alphabet, data):
    classes = data.draw(st.lists(st.integers(0, alphabet.classes - 1)))
    assert alphabet.decode(classes) == alphabet.decode([i for i in classes if i])


def test_class_0_is_the_blank_and_tokens_follow_in_order():
    assert LETTERS.classes == 4
    assert LETTERS.encode("ab a") == [1, 2, 3, 1]
    assert WORDS.encode("  two zero ") == [3, 1]
    assert WORDS.decode(iter([3, 0, 1])) == "two zero"


@alphabets
def test_a_plain_description_makes_an_equal_alphabet(alphabet):
    described = alphabet.to_dict()
    assert isinstance(described["tokens"], list)
    assert Alphabet(**described) == alphabet


@pytest.mark.parametrize(("text", "fault"), [("one six", r"not in the alphabet: \['six'\]"), ("One", r"\['One'\]")])
def test_a_strange_token_is_refused_by_name(text, fault):
    with pytest.raises(DecodeError, match=fault):
        WORDS.encode(text)


@pytest.mark.parametrize("classes", [[4], [-1], [1, 99]])
def test_a_class_outside_the_alphabet_is_refused(classes):
    with pytest.raises(DecodeError, match=r"classes must lie in 0\.\.3"):
        WORDS.decode(classes)


@pytest.mark.parametrize("tokens", [(), ("a", "a"), ("a", "")])
def test_an_alphabet_needs_different_tokens(tokens):
    with pytest.raises(ArgumentError, match="at least one token, all different and none empty"):
        Alphabet(tokens)


@pytest.mark.parametrize("wrong", [{"tokens": (1, 2)}, {"tokens": (["a"],)}, {"tokens": ("a",), "joiner": None}])
def test_tokens_are_text(wrong):
    with pytest.raises(ArgumentError, match="tokens and joiner are text, not"):
        Alphabet(**wrong)


@given(tiny, tiny)
def test_edit_distance_is_that_of_the_definition(a, b):
    assert edit_distance(a, b) == slow_distance(a, b)


@given(tiny, tiny, tiny)
def test_edit_distance_is_a_metric(a, b, c):
    assert (edit_distance(a, b) == 0) == (a == b)
    assert edit_distance(a, b) == edit_distance(b, a)
    assert edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c)


@pytest.mark.parametrize(
    ("references", "heard", "rate"),
    [
        (["one two"], ["one two"], 0.0),
        (["one two three"], ["one too three"], 1 / 3),
        (["one two", "six"], ["one two", "nine six"], 1 / 3),
        (["one"], [""], 1.0),
        (["one"], ["one one one"], 2.0),  # more errors than words
        (["  one   two "], ["one two"], 0.0),  # spaces do not count
        (["", "one"], ["two", "one"], 1.0),  # an empty reference still counts its errors
        ([""], [""], 0.0),
        ([""], ["one"], 1.0),
        ([], [], 0.0),
    ],
)
def test_word_error_rates(references, heard, rate):
    assert wer(references, heard) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("references", "heard", "rate"),
    [(["abcd"], ["abxd"], 0.25), (["a b"], ["ab"], 1 / 3), (["ab", "cd"], ["ab", ""], 0.5), ([""], [""], 0.0)],
)
def test_character_error_rates(references, heard, rate):
    assert cer(references, heard) == pytest.approx(rate)


@pytest.mark.parametrize("rate", [wer, cer])
def test_texts_without_a_partner_are_refused(rate):
    with pytest.raises(ValueError, match="shorter"):
        rate(["a", "b"], ["a"])
