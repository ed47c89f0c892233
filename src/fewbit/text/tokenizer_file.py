"""Byte pairs from the JSON of the library `tokenizers`, the ``tokenizer.json`` of published models."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fewbit.errors import DataError
from fewbit.text.byte_pairs import BytePairs

_NEW = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBERS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_KNOWN = {_NEW.replace("NUMBERS", r"\p{N}{1,3}"): "llama-3", _NEW.replace("NUMBERS", r"\p{N}"): "qwen-2"}


def byte_pairs_from_json(
    text: str, *, begin: str | None = None, ends: Iterable[str] = (), classes: int | None = None
) -> BytePairs:
    """The vocabulary of a tokenizer of `tokenizers`: the content of its file, or ``tokenizer.to_str()``.

    Args:
        text: JSON.
        begin: the piece that the network reads before a text, such as ``<|endoftext|>``.
        ends: pieces that end a text.
        classes: of the network, where it has more than the tokenizer; no text belongs to those.

    Raises:
        DataError: it is no byte-level BPE, or does what `BytePairs` does not; the message names it.

    Examples:
        >>> tokenizer = {
        ...     "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
        ...     "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        ...     "added_tokens": [{"id": 3, "content": "<end>"}],
        ... }
        >>> byte_pairs_from_json(json.dumps(tokenizer), ends=["<end>"]).encode("abb<end>")
        [2, 1, 3]
    """
    try:
        record = json.loads(text)
        model = record["model"]
        if model["type"] != "BPE":
            raise DataError(f"the tokenizer is {model['type']}, wanted BPE of bytes (GPT-2, Llama 3, Qwen, SmolLM)")
        _refuse(model, "byte_fallback", "dropout", "continuing_subword_prefix", "end_of_word_suffix")
        added: dict[str, int] = {each["content"]: each["id"] for each in record.get("added_tokens") or ()}
        for each in record.get("added_tokens") or ():
            _refuse(each, "lstrip", "rstrip", "single_word")
        numbers: dict[str, int] = model["vocab"] | added
        pieces = [""] * max(classes or 0, 1 + max(numbers.values()))
        for piece, number in numbers.items():
            pieces[number] = piece
        if classes is not None and len(pieces) > classes:
            raise DataError(f"the tokenizer has {len(pieces)} classes, the network {classes}")
        pairs = [each.split(" ") if isinstance(each, str) else each for each in model["merges"]]
        return BytePairs(
            tuple(pieces),
            tuple((numbers[left], numbers[right]) for left, right in pairs),
            frozenset(added.values()),
            None if begin is None else numbers[begin],
            frozenset(numbers[end] for end in ends),
            whole_words=bool(model.get("ignore_merges")),
            nfc=_is_nfc(record.get("normalizer")),
            **_words(record.get("pre_tokenizer")),
        )
    except DataError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"no tokenizer of byte pairs: {type(error).__name__}: {error}") from error


def _refuse(record: Mapping[str, Any], *names: str) -> None:
    """Refuse settings that are on."""
    for name in names:
        if record.get(name):
            raise DataError(f"the tokenizer has {name}={record[name]!r}, which byte pairs have not")


def _is_nfc(normalizer: Mapping[str, Any] | None) -> bool:
    if normalizer is not None and normalizer["type"] != "NFC":
        raise DataError(f"the tokenizer has the normalizer {normalizer['type']}; byte pairs know NFC or none")
    return normalizer is not None


def _words(record: Mapping[str, Any] | None) -> dict[str, Any]:
    """How words are found: the steps before merging, of which the last one makes bytes."""
    if record is None:
        raise DataError("the tokenizer does not cut text into words, wanted a pre_tokenizer ByteLevel")
    *before, last = record["pretokenizers"] if record["type"] == "Sequence" else [record]
    if last["type"] != "ByteLevel":
        raise DataError(f"the tokenizer's pre_tokenizer ends with {last['type']}, wanted ByteLevel: BPE of bytes")
    found: dict[str, Any] = {"prefix_space": last["add_prefix_space"]}
    if last["use_regex"]:
        found["split"] = "gpt-2"
    for step in before:
        match step:
            case {"type": "Digits", "individual_digits": each} if last["use_regex"] and "digits" not in found:
                found["digits"] = "each" if each else "runs"
            case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False} if (
                pattern in _KNOWN and not last["use_regex"] and "split" not in found and "digits" not in found
            ):
                found["split"] = _KNOWN[pattern]
            case _:
                raise DataError(f"the tokenizer cuts words by {step}, which byte pairs do not know")
    if "split" not in found:
        raise DataError("the tokenizer does not cut text into words by an expression that byte pairs know")
    return found
