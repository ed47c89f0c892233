"""Language models beside a packed network, and the beam search with the weights that were tuned for them.

The folder of ``name.fewbit`` may contain ``name.char.ngram`` and ``name.word.ngram`` (`fewbit.text.ngram_to_bytes`) and
``name.toml``, with a table of search settings for each of `KINDS`. A packed character network ``name.char.fewbit``
replaces ``name.char.ngram``.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewbit.decode import CharNgram, Decoder, GreedyCTC, NetworkScorer, OpenVocabularyLM, Scorer, TreeBeam, WordNgram
from fewbit.errors import ArgumentError, DataError
from fewbit.program import load
from fewbit.streams.session import Network, alphabet_of, frame_seconds
from fewbit.text import Alphabet, Ngram, ngram_from_bytes

KINDS = ("none", "char", "word", "char+word")


@dataclass(frozen=True)
class SearchSettings:
    """Settings of a search, tuned for one kind of language model on held-out speech.

    Args:
        weight: of ln P of the language model.
        unknown: probability of a word outside the vocabulary (for kinds with words).
        insertion_bonus: added to the score for every label.
        word_bonus: added to the score for every word.
        width, depth: those of `fewbit.decode.TreeBeam`.

    Examples:
        >>> SearchSettings(weight=0.55, insertion_bonus=0.7).width
        64
    """

    weight: float = 1.0
    unknown: float = 0.01
    insertion_bonus: float = 0.0
    word_bonus: float = 0.0
    width: int = 64
    depth: int = 10


def choose_decoder(
    network: Network, model: str | Path, lm: str | None = None, search: SearchSettings | None = None
) -> Decoder:
    """The decoder of a network, with a language model from its folder.

    Args:
        network: the network in `model`.
        model: path of the packed network.
        lm: one of `KINDS`; ``none`` selects the greedy decoder. Default: the strongest available.
        search: replaces the tuned settings.

    Raises:
        ArgumentError: `lm` is none of the kinds.
        DataError: the language model is missing, or its files are damaged.

    Examples:
        >>> import fewbit as fb
        >>> model = fb.pretrained("an4")
        >>> decoder = choose_decoder(fb.load(model), model, lm="char")
        >>> print(type(decoder).__name__, decoder.scorer.weight)
        TreeBeam 0.85
    """
    model = Path(model)
    lm = strongest(model) if lm is None else lm
    if lm not in KINDS:
        raise ArgumentError(f"lm must be one of {', '.join(KINDS)}, not {lm!r}")
    alphabet, seconds = alphabet_of(network), frame_seconds(network)
    if lm == "none":
        return GreedyCTC(alphabet, seconds)
    search = search or tuned(model, lm)
    scorer = language_model(model, lm, alphabet, search)
    return TreeBeam(
        alphabet, seconds, scorer, width=search.width, depth=search.depth, insertion_bonus=search.insertion_bonus
    )


def strongest(model: Path) -> str:
    """The last of `KINDS` whose files exist beside a packed network.

    Examples:
        >>> import fewbit as fb
        >>> strongest(fb.pretrained("an4")), strongest(fb.pretrained("digits"))
        ('char+word', 'none')
    """
    return [kind for kind in KINDS if all(_file(model, part).is_file() for part in _parts(kind))][-1]


def language_model(model: Path, lm: str, alphabet: Alphabet, search: SearchSettings) -> Scorer:
    """The scorer of kind `lm`, from the files beside a packed network."""
    if lm == "char":
        return _letters(model, alphabet, search.weight)
    words = WordNgram(_read(_file(model, "word")), alphabet, search.weight, search.unknown, search.word_bonus)
    return words if lm == "word" else OpenVocabularyLM(_letters(model, alphabet, 1.0), words)


def tuned(model: Path, lm: str) -> SearchSettings:
    """The settings that ``name.toml`` contains for `lm`, or the defaults without such a file."""
    path = model.with_suffix(".toml")
    try:
        given: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return SearchSettings(**given.get(lm, {}))
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise DataError(f"{path}: wrong search settings: {error}") from error


def settings_to_toml(lm: str, search: dict[str, Any]) -> str:
    """The table of ``name.toml`` for one kind.

    Examples:
        >>> print(settings_to_toml("char", {"weight": 0.8, "width": 32}), end="")
        ["char"]
        weight = 0.8
        width = 32
    """
    return "\n".join([f'["{lm}"]', *(f"{name} = {value!r}" for name, value in search.items()), ""])


def _parts(lm: str) -> list[str]:
    return [] if lm == "none" else lm.split("+")


def _file(model: Path, part: str) -> Path:
    network = model.with_suffix(f".{part}.fewbit")
    return network if part == "char" and network.is_file() else model.with_suffix(f".{part}.ngram")


def _letters(model: Path, alphabet: Alphabet, weight: float) -> Scorer:
    path = _file(model, "char")
    if path.suffix == ".ngram":
        return CharNgram(_read(path), alphabet, weight)
    return NetworkScorer(load(path), weight)


def _read(path: Path) -> Ngram:
    if not path.is_file():
        raise DataError(f"no language model {path.name} beside the network in {path.parent}; use --lm none")
    return ngram_from_bytes(path.read_bytes(), str(path))
