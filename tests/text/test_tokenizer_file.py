"""Tokenizers of the library `tokenizers`: the same pieces, and refusals of what byte pairs do not know."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import DataError
from fewbit.text import BytePairs, byte_pairs_from_json
from fewbit.text.tokenizer_file import _KNOWN

tokenizers = pytest.importorskip("tokenizers")

READ = """It's the cat's 1234 tokens; we'll see. Zürich, 25 °C — naïve café, 東京タワー 😀

\tdef f(x):
    return x
"""
CUTS: dict[str, Any] = {
    "gpt-2": [("ByteLevel", {"add_prefix_space": False})],
    "gpt-2, space": [("ByteLevel", {"add_prefix_space": True})],
    "smollm": [("Digits", {"individual_digits": True}), ("ByteLevel", {"add_prefix_space": False})],
    "runs": [("Digits", {"individual_digits": False}), ("ByteLevel", {"add_prefix_space": False})],
    **{
        name: [pattern, ("ByteLevel", {"add_prefix_space": False, "use_regex": False})]
        for pattern, name in _KNOWN.items()
    },
}
LETTERS = st.one_of(
    st.sampled_from("'sStTrRvVmMlLdDe aeiou0123456789.,;!?\n\r\t\x1c\x85\xa0\u2003\u017f²½Ⅷ١é\u0301東😀<|>"),
    st.characters(exclude_categories=("Cs", "Cn")),  # what is assigned later is a letter to the one that knows it
)
TEXTS = st.text(LETTERS, max_size=60)


def trained(name: str, **more: Any) -> Any:
    """A tokenizer that has read a few lines."""
    found = tokenizers.Tokenizer(tokenizers.models.BPE(**more))
    steps = []
    for step in CUTS[name]:
        if isinstance(step, str):
            steps.append(tokenizers.pre_tokenizers.Split(tokenizers.Regex(step), "isolated"))
        else:
            steps.append(getattr(tokenizers.pre_tokenizers, step[0])(**step[1]))
    found.pre_tokenizer = steps[0] if len(steps) == 1 else tokenizers.pre_tokenizers.Sequence(steps)
    found.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|end|>"]
    found.train_from_iterator(
        READ.splitlines(keepends=True) * 4,
        tokenizers.trainers.BpeTrainer(
            vocab_size=400, initial_alphabet=alphabet, special_tokens=special, show_progress=False
        ),
    )
    return found


@pytest.fixture(scope="module", params=CUTS)
def both(request: pytest.FixtureRequest) -> tuple[Any, BytePairs]:
    found = trained(request.param)
    return found, byte_pairs_from_json(found.to_str())


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_pieces_are_those_of_the_library(both, text) -> None:
    library, ours = both
    assert ours.encode(text) == library.encode(text).ids


@settings(max_examples=100, deadline=None)
@given(classes=st.lists(st.integers(0, 399), max_size=20))
def test_text_is_that_of_the_library(both, classes) -> None:
    library, ours = both
    classes = [i % ours.classes for i in classes]
    assert ours.decode(classes) == library.decode(classes, skip_special_tokens=False)


@settings(max_examples=100, deadline=None)
@given(text=TEXTS)
def test_settings_of_other_models(text) -> None:
    library = trained("llama-3")
    record = json.loads(library.to_str())
    record["model"]["ignore_merges"] = True
    record["model"]["merges"] = record["model"]["merges"][::-1]  # so that a whole word may be made otherwise
    record["normalizer"] = {"type": "NFC"}
    library, ours = tokenizers.Tokenizer.from_str(json.dumps(record)), byte_pairs_from_json(json.dumps(record))
    assert (ours.whole_words, ours.nfc) == (True, True)
    assert ours.encode(text) == library.encode(text).ids


def test_special_pieces_and_classes_without_text() -> None:
    library = trained("gpt-2")
    ours = byte_pairs_from_json(library.to_str(), begin="<|endoftext|>", ends=["<|end|>"], classes=512)
    assert (ours.begin, ours.ends, ours.classes) == (0, {1}, 512)
    assert ours.encode("the<|end|> cat") == library.encode("the<|end|> cat").ids
    assert ours.decode([511, *ours.encode("cat")]) == "cat"
    old = json.loads(library.to_str())
    old["model"]["merges"] = [" ".join(pair) for pair in old["model"]["merges"]]  # as they were written before
    assert byte_pairs_from_json(json.dumps(old)) == byte_pairs_from_json(library.to_str())


SPLIT = {"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated", "invert": False}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "Unigram"}}, "the tokenizer is Unigram, wanted BPE of bytes"),
        ({"model": {"type": "BPE", "byte_fallback": True}}, "byte_fallback=True, which byte pairs have not"),
        ({"model": {"type": "BPE", "end_of_word_suffix": "</w>"}}, "end_of_word_suffix='</w>'"),
        ({"normalizer": {"type": "Lowercase"}}, "normalizer Lowercase; byte pairs know NFC or none"),
        ({"pre_tokenizer": None}, "wanted a pre_tokenizer ByteLevel"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "ends with Metaspace, wanted ByteLevel"),
        ({"pre_tokenizer": BYTE_LEVEL | {"use_regex": False}}, "by an expression that byte pairs know"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPLIT, BYTE_LEVEL]}}, r"cuts words by .*Split"),
        ({"added_tokens": [{"id": 3, "content": "<x>", "lstrip": True}]}, "lstrip=True"),
        ({"added_tokens": [{"id": -9, "content": "<x>"}]}, "no tokenizer of byte pairs: IndexError"),
        ({"model": None}, "no tokenizer of byte pairs: TypeError"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}, "no tokenizer of byte pairs: KeyError"),
    ],
)
def test_other_tokenizers_are_refused(change, message) -> None:
    record = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}, "pre_tokenizer": BYTE_LEVEL}
    assert byte_pairs_from_json(json.dumps(record)).encode("ab") == [0, 1]
    with pytest.raises(DataError, match=message):
        byte_pairs_from_json(json.dumps(record | change))


def test_too_few_classes_and_no_json_are_refused() -> None:
    library = trained("gpt-2")
    size = library.get_vocab_size()
    with pytest.raises(DataError, match=f"has {size} classes, the network {size - 1}"):
        byte_pairs_from_json(library.to_str(), classes=size - 1)
    with pytest.raises(DataError, match="no tokenizer of byte pairs: JSONDecodeError"):
        byte_pairs_from_json("{")
    with pytest.raises(DataError, match=r"KeyError: '<\|start\|>'"):
        byte_pairs_from_json(library.to_str(), begin="<|start|>")
