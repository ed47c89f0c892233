"""The language models of the English recogniser, and the search that suits them on held-out speakers."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from fewbit.data import An4, Clip
from fewbit.decode import Decoder, text_of
from fewbit.errors import DataError
from fewbit.program.numerics import Q10
from fewbit.streams import KINDS, Network, SearchSettings, choose_decoder, front_end, settings_to_toml
from fewbit.streams.language import tuned
from fewbit.streams.session import TAIL_SECONDS
from fewbit.text import cer, kneser_ney, ngram_to_bytes, wer

CHAR_ORDER, WORD_ORDER = 8, 3
GRID: dict[str, Sequence[float]] = {
    "weight": (0.3, 0.4, 0.55, 0.7, 0.85, 1.0),
    "insertion_bonus": (0.1, 0.4, 0.7, 1.0),
    "unknown": (0.01, 0.03, 0.1),
}
"""Tried on the held-out speakers; `unknown` only with words."""


def write_language_models(speech: An4, model: str | Path, seed: int = 0) -> None:
    """N-gram models of the training texts, beside the packed network `model`.

    The texts are one endless line in random order, as the recogniser hears them: no text has a known end.
    """
    texts = [utterance.text for utterance in speech.train]
    order = np.random.default_rng(seed).permutation(len(texts))
    endless = " ".join(texts[i] for i in order)
    models = {"char": kneser_ney([endless], CHAR_ORDER), "word": kneser_ney([endless.split()], WORD_ORDER)}
    for name, made in models.items():
        Path(model).with_suffix(f".{name}.ngram").write_bytes(ngram_to_bytes(made))


def tune(
    network: Network, model: str | Path, utterances: Sequence[Clip], settings: str | Path | None = None
) -> dict[str, tuple[SearchSettings, float]]:
    """The search with the fewest wrong words for each kind of language model, and its word error rate.

    Args:
        network: whose scores are searched; computed once.
        model: packed network beside which the language models lie.
        utterances: held out.
        settings: file that is written; default ``name.toml`` beside `model`. A network that is not the one in `model`
            has a file of its own.
    """
    scores = [scores_of(network, utterance) for utterance in utterances]
    said = [utterance.text for utterance in utterances]
    found: dict[str, tuple[SearchSettings, float]] = {}
    for kind in KINDS[1:]:
        grid = [values if name != "unknown" or "word" in kind else (0.01,) for name, values in GRID.items()]
        for values in product(*grid):
            tried: dict[str, Any] = dict(zip(GRID, values, strict=True))
            search = replace(SearchSettings(), **tried)
            decoder = choose_decoder(network, model, kind, search)
            rate = wer(said, [decoded(decoder, frames) for frames in scores])
            if kind not in found or rate < found[kind][1]:
                found[kind] = (search, rate)
    text = "\n".join(settings_to_toml(kind, asdict(search)) for kind, (search, _) in found.items())
    Path(settings or Path(model).with_suffix(".toml")).write_text(text, encoding="utf-8")
    return found


def searches(settings: str | Path) -> dict[str, SearchSettings]:
    """The search for each kind of language model, from a file that `tune` wrote.

    Raises:
        DataError: it is not there, or holds something else.
    """
    settings = Path(settings)
    if not settings.is_file():
        raise DataError(f"{settings}: no such file; `tune` writes it")
    return {kind: tuned(settings, kind) for kind in KINDS[1:]}


def measure(
    network: Network, model: str | Path, utterances: Sequence[Clip], settings: str | Path | None = None
) -> dict[str, tuple[float, float]]:
    """Word and character error rate for each kind of language model that lies beside `model`.

    Args:
        network: whose scores are searched.
        model: packed network beside which the language models lie.
        utterances: to be recognised.
        settings: of the search, from `tune`; default those beside `model`.
    """
    chosen = searches(settings) if settings else {}
    scores = [scores_of(network, utterance) for utterance in utterances]
    said = [utterance.text for utterance in utterances]
    found = {}
    for kind in KINDS:
        decoder = choose_decoder(network, model, kind, chosen.get(kind))
        heard = [decoded(decoder, frames) for frames in scores]
        found[kind] = (round(wer(said, heard), 4), round(cer(said, heard), 4))
    return found


def scores_of(network: Network, utterance: Clip) -> Any:
    """Scores ``(frames, classes)`` of an utterance as a `Session` hears it: alone, with silence behind it."""
    features = front_end(network)
    quiet = np.zeros(int(TAIL_SECONDS * features.sample_rate), np.float32)
    scores, _ = network.step(features(np.concatenate([utterance.samples, quiet])), network.init_state())
    return scores / Q10


def decoded(decoder: Decoder, scores: Any) -> str:
    """The text that a decoder finds in all the scores of a stream."""
    events, state = decoder.step(scores, decoder.init_state())
    return text_of([*events, *decoder.finish(state)])
