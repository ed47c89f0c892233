"""Byte pairs: the merges by their definition, text that comes in parts, and descriptions that do not fit."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import ArgumentError, DecodeError
from fewbit.text import Alphabet, BytePairs, read_alphabet, read_vocabulary
from fewbit.text.byte_pairs import KIND, LETTERS, MOST_SPECIAL
from fewbit.text.word_splits import DIGITS, SPLITS, words_of

BYTES = tuple(LETTERS[byte] for byte in range(256))
SPACE = LETTERS[ord(" ")]
MADE = ("th", "the", SPACE + "the", "ab", "aba", "ba", "aa", "aaaa", "".join(LETTERS[b] for b in "é".encode()))
PIECES = (*BYTES, *MADE, "<end>", "<end>>", "")


def number(piece: str) -> int:
    return PIECES.index(piece)


MERGES = [("t", "h"), ("th", "e"), (SPACE, "the"), ("b", "a"), ("a", "b"), ("ab", "a"), ("a", "a"), ("aa", "aa")]
MERGES += [tuple(LETTERS[b] for b in "é".encode())]
PAIRS = BytePairs(
    PIECES,
    tuple((number(left), number(right)) for left, right in MERGES),
    special={number("<end>"), number("<end>>")},
    begin=number("<end>"),
    ends={number("<end>")},
)
TEXTS = st.text(st.one_of(st.sampled_from("abthe <end>é'1 \n"), st.characters(codec="utf-8")), max_size=40)


def by_definition(word: str) -> list[int]:
    """The first of the earliest merge, again and again."""
    symbols = [number(LETTERS[byte]) for byte in word.encode()]
    while True:
        found = [
            (rank, i)
            for i in range(len(symbols) - 1)
            for rank, pair in enumerate(PAIRS.merges)
            if (symbols[i], symbols[i + 1]) == pair
        ]
        if not found:
            return symbols
        _, i = min(found)
        symbols[i : i + 2] = [number(PIECES[symbols[i]] + PIECES[symbols[i + 1]])]


@settings(max_examples=200)
@given(st.text("abthe", max_size=30))
def test_a_word_is_merged_as_the_definition_says(word) -> None:
    assert PAIRS.encode(word) == [i for part in words_of(word, "gpt-2") for i in by_definition(part)]


@given(TEXTS)
def test_decoded_is_encoded(text) -> None:
    assert PAIRS.decode(PAIRS.encode(text)) == text


def test_special_pieces_are_found_the_longest_first() -> None:
    assert PAIRS.encode("the<end>> <end>the") == [number(p) for p in ("the", "<end>>", SPACE, "<end>", "the")]
    assert PAIRS.encode("") == []


@settings(max_examples=200)
@given(st.lists(st.integers(0, len(PIECES) - 1), max_size=30))
def test_a_writer_gives_whole_characters_and_all_of_them(classes) -> None:
    spell = PAIRS.writer()
    pieces = [spell(i) for i in classes]
    text, said = PAIRS.decode(classes), "".join(pieces)
    assert text.startswith(said)
    assert text[len(said) :] in ("", "\ufffd", "\ufffd\ufffd", "\ufffd\ufffd\ufffd")
    whole = list("naïve 😀€")
    spelled = PAIRS.writer()
    found = [spelled(i) for i in PAIRS.encode("".join(whole))]
    assert [letter for piece in found for letter in piece] == whole
    assert "" in found


def test_the_words_of_a_text_are_the_text() -> None:
    text = "It's 1234, o'clock…\n\n  x\u2028\u00a0²½ Ⅷ ١٢ \x1c'S 'ſ y\r\n\r\n z   "
    for split in SPLITS:
        for digits in DIGITS:
            found = list(words_of(text, split, digits))
            assert "".join(found) == text
            assert all(found)
    assert list(words_of("a  12 b", "gpt-2", "each")) == ["a", "  ", "1", "2", " b"]
    assert list(words_of("a1", "gpt-2", "runs", prefix_space=True)) == [" a", " 1"]
    assert list(words_of("I'LL", "gpt-2")) == ["I", "'", "LL"]
    assert list(words_of("I'LL 1234", "llama-3")) == ["I", "'LL", " ", "123", "4"]


def test_long_words_take_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        begin = time.perf_counter()
        PAIRS.encode("aab" * count)
        return time.perf_counter() - begin

    seconds(1000)
    assert min(seconds(40_000) for _ in range(3)) < 40 * min(seconds(4_000) for _ in range(3))  # squares: 100 times


def test_a_whole_word_may_need_no_merges() -> None:
    plain = BytePairs(("a", "b", "c", "ab", "abc"), ((0, 1),))
    assert plain.encode("abc") == [3, 2]
    assert BytePairs(plain.pieces, plain.merges, whole_words=True).encode("abc") == [4]


def test_accents_are_joined_where_that_is_asked_for() -> None:
    joined = BytePairs(PIECES, PAIRS.merges, nfc=True)
    assert joined.encode("e\u0301") == PAIRS.encode("\u00e9") != PAIRS.encode("e\u0301")


def test_bytes_without_a_piece_are_named() -> None:
    with pytest.raises(DecodeError, match=r"no piece for the bytes \[122\] of the text"):
        BytePairs(("a", "b"), ()).encode("abz")
    with pytest.raises(DecodeError, match=r"classes must lie in 0\.\.1, got 0\.\.2"):
        BytePairs(("a", "b"), ()).decode([0, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pieces": ()}, "at least one piece"),
        ({"pieces": ("a", "a")}, "two of the pieces are the same"),
        ({"pieces": ("a", "b c")}, "piece 1, 'b c', is not written in the letters of bytes"),
        ({"merges": ((0, 7),)}, r"merge 0: \[7\], wanted classes from 0 to 2"),
        ({"merges": ((1, 0),)}, "merge 0 makes 'ba', no piece"),
        ({"special": {5}}, r"special: \[5\], wanted classes"),
        ({"pieces": ("a", "b", ""), "special": {2}}, "none of them empty"),
        ({"begin": -1}, r"begin: \[-1\]"),
        ({"ends": {True}}, r"ends: \[True\]"),
        ({"split": "words"}, "split='words'"),
        ({"digits": "some"}, "digits='some'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message) -> None:
    with pytest.raises(ArgumentError, match=message):
        BytePairs(**{"pieces": ("a", "b", "ab"), "merges": ()} | change)


def test_too_many_special_pieces_are_refused() -> None:
    pieces = tuple(f"<{i}>" for i in range(MOST_SPECIAL + 1))
    with pytest.raises(ArgumentError, match=f"at most {MOST_SPECIAL}"):
        BytePairs(pieces, (), special=range(len(pieces)))


def test_a_description_is_read_again() -> None:
    description = json.loads(json.dumps(PAIRS.to_dict()))
    assert read_vocabulary(description) == PAIRS
    assert read_vocabulary(description | {"later": 1}) == PAIRS
    with pytest.raises(DecodeError, match="classes are byte pairs, which are for generating text"):
        read_alphabet(description)
    with pytest.raises(DecodeError, match="of the kind 'unigrams', which this fewbit does not know"):
        read_vocabulary(description | {"kind": "unigrams"})
    letters = Alphabet(("a", "b"))
    assert read_alphabet(letters.to_dict()) == letters


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 400) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.data())
def test_wrong_descriptions_are_errors_of_one_kind(data) -> None:
    description = {"kind": KIND} | BytePairs(("a", "b", "ab"), ((0, 1),)).to_dict()
    key = data.draw(st.sampled_from(sorted(description)))
    if data.draw(st.booleans()):
        del description[key]
    else:
        description[key] = data.draw(JSON)
    try:
        found = read_vocabulary(description)
    except DecodeError:
        return
    assert isinstance(found, BytePairs)
    assert found.decode(found.encode("ab")) == "ab"
