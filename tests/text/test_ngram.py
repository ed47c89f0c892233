"""N-gram models: their probabilities, and their two file forms."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import ArgumentError, DataError
from fewbit.text import kneser_ney, ngram_from_bytes, ngram_to_bytes, read_arpa, write_arpa
from fewbit.text.ngram import BEGIN, END, LN_NEVER, SPECIAL, Level, Ngram

calm = settings(max_examples=40, deadline=None)
texts = st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=6)
models = st.builds(
    lambda texts, order, least: kneser_ney(texts, order, symbols="abcd", least=[1, least]),
    texts,
    st.integers(1, 5),
    st.integers(1, 2),
)
strings = st.text("abcdé", max_size=10)


def contexts_of(model):
    return sorted({model.start, *model.context.tolist()})


def walked(model, text):
    """Oracle: ln P of each symbol and the end, one context after the other."""
    context, found = model.start, []
    for symbol in [*model.encode(text), model.numbers[END]]:
        found.append(model.ln_next(context)[symbol])
        context = model.after(context, symbol)
    return found


@given(models)
@calm
def test_the_probabilities_of_every_context_sum_to_1(model):
    for context in contexts_of(model):
        p = np.exp(model.ln_next(context))
        assert p.sum() == pytest.approx(1, abs=1e-5)
        assert p[model.numbers[BEGIN]] < 1e-90


@given(models, strings)
@calm
def test_text_at_once_is_text_step_by_step(model, text):
    np.testing.assert_allclose(model.ln_probabilities([text, ""]), walked(model, text) + walked(model, ""), atol=1e-4)


@given(models, strings)
@calm
def test_a_context_says_as_much_as_the_whole_text_before(model, text):
    """Contexts are the longest useful ends: one that is cut to `order - 1` symbols gives the same probabilities."""
    whole = model.start
    for symbol in model.encode(text):
        whole = model.after(whole, symbol)
    tail = model.encode(text)[-(model.order - 1) :] if model.order > 1 else []
    if len(tail) == model.order - 1:
        cut = 0
        for symbol in tail:
            cut = model.after(cut, symbol)
        np.testing.assert_allclose(model.ln_next(whole), model.ln_next(cut), atol=1e-5)


def test_bigrams_of_two_words_by_hand():
    """Texts "a a b" and "b a". Discounts are the fallback, for there are too few counts: 0.5, 1, 1.5.

    Left neighbours: a after <s>, a, b: 3. b after a, <s>: 2. </s> after b, a: 2. Sum 7; the rest 4.0 / 7 goes to the
    four symbols that are not <s>: a (3 - 1.5) / 7 + 1 / 7, b and </s> (2 - 1) / 7 + 1 / 7, <unk> 1 / 7 of 3.5 / 7 / 4.
    """
    model = kneser_ney([["a", "a", "b"], ["b", "a"]], 2)
    rest = (1.5 + 1 + 1) / 7 / 4
    one = {"a": 1.5 / 7 + rest, "b": 1 / 7 + rest, END: 1 / 7 + rest, "<unk>": rest}
    p = np.exp(model.ln_next(0))
    assert {name: p[model.numbers[name]] for name in one} == pytest.approx(one, abs=1e-6)
    # After a: a, b and </s> once each; a half of each count is left, the other halves go to the single symbols.
    after_a = np.exp(model.ln_next(model.after(0, model.numbers["a"])))
    wanted = {name: (0 if name == "<unk>" else 0.5) / 3 + 1.5 / 3 * one[name] for name in one}
    assert {name: after_a[model.numbers[name]] for name in one} == pytest.approx(wanted, abs=1e-6)


def test_discounts_are_those_of_chen_and_goodman():
    """Counts of counts 4, 2, 1, 1 of the longest grams: y = 4 / 8, D = 1 - 2 y 2 / 4, 2 - 3 y 1 / 2, 3 - 4 y 1 / 1."""
    counts = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 2, "f": 2, "g": 3, "h": 4}
    counts[END] = sum(counts.values())
    model = kneser_ney([symbol for symbol, count in counts.items() if symbol != END for _ in range(count)], 1)
    total = sum(counts.values())
    discount = {1: 0.5, 2: 1.25, 3: 1.0, 4: 1.0, 15: 1.0}
    rest = sum(discount[count] for count in counts.values()) / total / (len(counts) + 1)
    p = np.exp(model.ln_next(0))
    for symbol, count in counts.items():
        assert p[model.numbers[symbol]] == pytest.approx((count - discount[count]) / total + rest, abs=1e-6)


def test_what_was_never_seen_is_possible_and_unlikely():
    model = kneser_ney(["abab", "abba"], 3)
    assert model.encode("aé") == [model.numbers["a"], 0]
    seen, strange = model.ln_probabilities(["a"]), model.ln_probabilities(["é"])
    assert LN_NEVER < strange[0] < seen[0]


def test_a_longer_memory_and_more_text_help():
    pattern = "abcacb" * 60
    bits = [kneser_ney([pattern], order).bits_per_symbol([pattern[:120]]) for order in (1, 2, 3)]
    assert bits[0] > bits[1] > bits[2]
    assert kneser_ney([pattern], 2).perplexity([pattern[:120]]) == pytest.approx(2 ** bits[1])


@given(texts)
@calm
def test_pruned_models_are_part_of_the_whole(texts):
    whole, pruned = kneser_ney(texts, 4), kneser_ney(texts, 4, least=[1, 2])
    assert len(pruned.symbol) <= len(whole.symbol)
    assert pruned.symbols == whole.symbols


@given(models)
@calm
def test_arpa_files_hold_the_model(tmp_path_factory, model):
    path = write_arpa(model, tmp_path_factory.mktemp("arpa") / "model.arpa.gz")
    again = read_arpa(path)
    assert again.order == model.order
    assert sorted(again.symbols) == sorted(model.symbols)
    again = again.renumbered(model.symbols)
    assert (again.symbol == model.symbol).all()
    assert (again.shorter == model.shorter).all()
    np.testing.assert_allclose(again.ln_p, model.ln_p, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(again.ln_backoff, model.ln_backoff, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["m.arpa", "m.arpa.gz", "m.arpa.xz"])
def test_a_space_is_a_symbol_like_any_other(tmp_path, name):
    model = kneser_ney(["a b a", "b a b"], 3)
    again = read_arpa(write_arpa(model, tmp_path / name))
    np.testing.assert_allclose(again.ln_probabilities(["a ba"]), model.ln_probabilities(["a ba"]), atol=1e-5)


ARPA = """
\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-1.0\t<s>\t-0.5
-0.5\t</s>
-0.25\ta\t-0.125
-0.75\tb

\\2-grams:
-0.1\t<s> a
-0.2\ta b

\\end\\
"""


def arpa(tmp_path, text=ARPA):
    path = tmp_path / "model.arpa"
    path.write_text(text)
    return path


def test_a_foreign_file_without_unknown_words(tmp_path):
    model = read_arpa(arpa(tmp_path))
    log10 = model.ln_probabilities([["a", "b"], ["b", "b"], ["new"]]) / np.log(10)
    assert log10 == pytest.approx([-0.1, -0.2, -0.5, -1.25, -0.75, -0.5, -99.5, -0.5], abs=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("-0.2\ta b\n", "-0.2\ta c\n", "line 14: 'c' is not among the 1-grams"),
        ("-0.2\ta b\n", "-0.1\t<s> a\n", "line 14: the gram '<s> a' occurs twice"),
        ("-0.2\ta b\n", "x\ta b\n", "line 14: not a number"),
        ("-0.2\ta b\n", "0.2\ta b\n", "line 14: log10 P is at most 0"),
        ("-0.2\ta b\n", "-0.2\ta\n", "line 14: wanted log10 P, 2 symbols"),
        ("-0.2\ta b\n", "", r"line 15: wanted log10 P, 2 symbols and perhaps log10 of a back-off weight, got '\\\\end"),
        ("\\2-grams:\n", "\\3-grams:\n", r"line 12: wanted \\2-grams:, got"),
        ("ngram 2=2\n", "ngram 3=2\n", "line 4: wanted the count of 2-grams, got that of 3-grams"),
        ("ngram 1=4\n", "grams 4\n", "line 3: wanted 'ngram 1=count'"),
        ("\\end\\\n", "", "the file ends too early"),
        ("\\data\\\n", "", "the file ends too early"),
        ("ngram 2=2", "ngram 2=1", r"line 14: wanted \\end\\"),
    ],
)
def test_broken_files_are_refused_with_the_line(tmp_path, old, new, fault):
    assert old in ARPA
    with pytest.raises(DataError, match=fault):
        read_arpa(arpa(tmp_path, ARPA.replace(old, new)))


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read as an ARPA file"):
        read_arpa(tmp_path / "none.arpa")
    (tmp_path / "cut.arpa.gz").write_bytes(gzip.compress(ARPA.encode())[:40])
    with pytest.raises(DataError, match="cannot be read as an ARPA file"):
        read_arpa(tmp_path / "cut.arpa.gz")


@given(models, strings)
@calm
def test_bytes_hold_the_model_to_16_bits(model, text):
    data = ngram_to_bytes(model)
    again = ngram_from_bytes(data)
    assert again.symbols == model.symbols
    assert (again.shorter == model.shorter).all()
    np.testing.assert_allclose(again.ln_probabilities([text]), model.ln_probabilities([text]), atol=2e-3)
    assert ngram_to_bytes(model) == data


@given(models, st.data())
@calm
def test_damaged_bytes_are_refused_or_give_a_model(model, data):
    held = bytearray(ngram_to_bytes(model))
    place = data.draw(st.integers(0, len(held) - 1))
    held[place] ^= data.draw(st.integers(1, 255))
    try:
        again = ngram_from_bytes(bytes(held))
    except DataError:
        return
    assert again.ln_next(again.start).shape == (len(again.symbols),)


def test_symbols_can_be_renumbered():
    model = kneser_ney([["b", "a", "c"], ["a", "b"]], 3)
    other = model.renumbered([*SPECIAL, "c", "b", "a"])
    for text in (["a"], ["c", "b", "a"], ["b", "z", "a"]):
        np.testing.assert_allclose(other.ln_probabilities([text]), model.ln_probabilities([text]))
    with pytest.raises(ArgumentError, match="renumbered: wanted <unk>, <s>, </s> and all other symbols"):
        model.renumbered(["a", "b", "c", *SPECIAL])


def test_gaps_in_foreign_tries_are_jumped():
    """``a b c`` without ``b c``: its longest end is ``c``."""
    zeros = np.zeros(6)
    one = Level(np.zeros(6, int), np.arange(6), np.log(np.full(6, 0.1)), zeros)
    two = Level(np.array([3]), np.array([4]), np.array([-1.0]), np.array([-2.0]))
    three = Level(np.array([0]), np.array([5]), np.array([-0.5]), np.zeros(1))
    model = Ngram.build([*SPECIAL, "a", "b", "c"], [one, two, three])
    assert model.shorter.tolist()[7:] == [5, 6]
    ln = model.ln_probabilities([["a", "b", "c"]])
    assert ln[1:3] == pytest.approx([-1.0, -0.5])


@pytest.mark.parametrize(
    ("texts", "more", "fault"),
    [
        (["ab"], {"order": 0}, r"order must lie in 1\.\.10, not 0"),
        (["ab"], {"order": 11}, r"order must lie in 1\.\.10, not 11"),
        (["ab"], {"least": [1, 3, 2]}, "least must not fall"),
    ],
)
def test_models_of_impossible_orders_are_refused(texts, more, fault):
    with pytest.raises(ArgumentError, match=fault):
        kneser_ney(texts, **{"order": 3, **more})


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_models_of_nothing_are_refused(texts):
    with pytest.raises(DataError, match="there is no text"):
        kneser_ney(texts, 3)
    with pytest.raises(DataError, match="no text was given"):
        kneser_ney(["ab"], 2).bits_per_symbol([])
