"""The decoders of the race of `beam_search.py`: ours, and peers, which run in an environment without fewbit.

Each is made from the folder of language models, a width and its settings, and returns ``decode(scores) -> text`` and,
if it can listen to a stream, ``stream(scores) -> seconds of processor time`` in chunks of 100 ms.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from studies.speech.synthetic_speech import LETTERS

CHUNK = 10
"""Frames, which are 100 ms."""
Decode = Callable[[Any], str]
Decoder = tuple[Decode, Callable[[Any], float] | None]
Settings = Mapping[str, float]
WEIGHTS, BONUSES = (0.4, 0.6, 0.8), (0.5, 1.0, 1.5)
MANY, LEAST = 50.0, -99.0


def words_of(folder: Path) -> list[str]:
    """The vocabulary of the language models."""
    return (folder / "words.txt").read_text(encoding="utf-8").split()


def fewbit_beam(folder: Path, width: int, lm: str, settings: Settings) -> Decoder:
    from fewbit.decode import CharNgram, NetworkScorer, OpenVocabularyLM, Scorer, TreeBeam, WordNgram, text_of
    from fewbit.program import load
    from fewbit.text import Alphabet, ngram_from_bytes

    alphabet = Alphabet(tuple(LETTERS))
    weight = settings.get("weight", 1.0)
    alone = 1.0 if "+" in lm else weight  # beside words, the weight of the words is that of both
    scorer: Scorer | None = None
    if "char" in lm:
        scorer = CharNgram(ngram_from_bytes((folder / "char.ngram").read_bytes()), alphabet, alone)
    elif "network" in lm:
        scorer = NetworkScorer(load(folder / "char.fewbit"), alone)
    if "word" in lm:
        model = ngram_from_bytes((folder / "word.ngram").read_bytes())
        words = WordNgram(model, alphabet, weight, settings["unknown"])
        scorer = words if scorer is None else OpenVocabularyLM(scorer, words)
    decoder = TreeBeam(
        alphabet,
        0.01,
        scorer,
        width=width,
        insertion_bonus=settings.get("insertion_bonus", 0.0),
        blank_skip=settings.get("blank_skip", 1.0),
        endpoint_seconds=1e6,
        longest_seconds=1e6,
    )

    def decode(scores: Any) -> str:
        events, state = decoder.step(scores, decoder.init_state())
        return text_of(events + decoder.finish(state))

    def stream(scores: Any) -> float:
        state, begin = decoder.init_state(), time.process_time()
        for i in range(0, len(scores), CHUNK):
            _, state = decoder.step(scores[i : i + CHUNK], state)
        return time.process_time() - begin

    return decode, stream


def fast_ctc_decode(folder: Path, width: int, lm: str, settings: Settings) -> Decoder:
    import fast_ctc_decode as peer  # type: ignore[import-not-found, unused-ignore]

    alphabet = "_" + LETTERS
    return lambda scores: str(
        peer.beam_search(np.exp(scores), alphabet, beam_size=width, beam_cut_threshold=0.001)[0]
    ), None


def ctc_beam_decoder(folder: Path, width: int, lm: str, settings: Settings) -> Decoder:
    import ctc_beam_decoder as peer  # type: ignore[import-not-found, unused-ignore]

    more: dict[str, Any] = {}
    if lm == "word":
        more = {"kenlm_model_path": str(folder / "word.arpa"), "unigrams": words_of(folder)}
        more |= {"alpha": settings["weight"], "beta": settings["insertion_bonus"]}
    decoder = peer.build_ctcdecoder(["", *LETTERS], **more)
    return lambda scores: str(decoder.decode(np.ascontiguousarray(scores), beam_width=width)), None


def flashlight(folder: Path, width: int, lm: str, settings: Settings) -> Decoder:
    import flashlight.lib.text.decoder as peer  # type: ignore[import-not-found, unused-ignore]
    from flashlight.lib.text.decoder.kenlm import KenLM  # type: ignore[import-not-found, unused-ignore]
    from flashlight.lib.text.dictionary import (  # type: ignore[import-not-found, unused-ignore]
        Dictionary,
        create_word_dict,
    )

    shared: dict[str, Any] = {
        "beam_size": width,
        "beam_size_token": len(LETTERS) + 1,
        "beam_threshold": MANY,
        "lm_weight": settings.get("weight", 0.0),
        "log_add": True,
        "criterion_type": peer.CriterionType.CTC,
    }
    kept: list[Any] = []
    if lm == "word":
        vocabulary = words_of(folder)
        names = create_word_dict({word: [list(word)] for word in vocabulary} | {"<unk>": []})
        model = KenLM(str(folder / "word.arpa"), names)
        trie, begin = peer.Trie(len(LETTERS) + 1, 1), model.start(False)
        for word in vocabulary:
            number = names.get_index(word)
            spelt = [LETTERS.index(letter) + 1 for letter in word] + [1]
            trie.insert(spelt, number, model.score(begin, number)[1])
        trie.smear(peer.SmearingMode.MAX)
        more = {
            "word_score": settings["insertion_bonus"],
            "unk_score": settings.get("unknown", LEAST),
            "sil_score": 0.0,
        }
        options = peer.LexiconDecoderOptions(**shared, **more)
        kept = [trie, model]

        def make() -> Any:
            return peer.LexiconDecoder(options, trie, model, 1, 0, names.get_index("<unk>"), [], False)
    else:
        tokens = Dictionary()
        for letter in ["_", *LETTERS]:
            tokens.add_entry("<space>" if letter == " " else letter)  # as in the ARPA file
        model = KenLM(str(folder / "char.arpa"), tokens) if lm == "char" else peer.ZeroLM()
        options = peer.LexiconFreeDecoderOptions(**shared, sil_score=settings.get("insertion_bonus", 0.0))
        kept = [tokens, model]

        def make() -> Any:
            return peer.LexiconFreeDecoder(options, model, 1, 0, [])

    def text(labels: list[int]) -> str:
        pairs = zip([-1, *labels], labels, strict=False)
        return "".join(LETTERS[k - 1] for before, k in pairs if k != before and k > 0)

    def decode(scores: Any) -> str:
        assert kept  # the peer keeps no hold of what it was made of
        scores = np.ascontiguousarray(scores, np.float32)
        return text(list(make().decode(scores.ctypes.data, len(scores), len(LETTERS) + 1)[0].tokens))

    def stream(scores: Any) -> float:
        decoder, begin = make(), time.process_time()
        decoder.decode_begin()
        for i in range(0, len(scores), CHUNK):
            chunk = np.ascontiguousarray(scores[i : i + CHUNK], np.float32)
            decoder.decode_step(chunk.ctypes.data, len(chunk), len(LETTERS) + 1)
            decoder.get_best_hypothesis(0)
            decoder.prune(50)
        return time.process_time() - begin

    return decode, stream


Make = Callable[[Path, int, str, Settings], Decoder]
Grid = dict[str, tuple[float, ...]]
BOTH: Grid = {"weight": WEIGHTS, "insertion_bonus": BONUSES}
DECODERS: dict[str, tuple[Make, dict[str, Grid]]] = {
    "fewbit": (
        fewbit_beam,
        {
            "none": {},
            "char": BOTH,
            "network": BOTH,
            "word": BOTH | {"unknown": (0.001, 0.05)},
            "char+word": BOTH | {"unknown": (0.05, 0.2)},
            "network+word": BOTH | {"unknown": (0.05, 0.2)},
        },
    ),
    "fewbit, blank_skip 0.98": (fewbit_beam, {"none": {"blank_skip": (0.98,)}}),
    "fast-ctc-decode": (fast_ctc_decode, {"none": {}}),
    "ctc-beam-decoder": (
        ctc_beam_decoder,
        {"none": {}, "word": {"weight": (0.2, 0.35, 0.5, 0.7), "insertion_bonus": (0.0, 0.5, 1.5, 3.0)}},
    ),
    "flashlight-text": (
        flashlight,
        {
            "none": {},
            "char": {"weight": (0.8, 1.2, 1.6, 2.0), "insertion_bonus": (-1.0, 0.0, 1.0)},
            "word": {"weight": (0.6, 1.0, 1.5), "insertion_bonus": (0.0, 1.0, 2.0, 3.0), "unknown": (LEAST, -4.0)},
        },
    ),
}
"""Name -> how it is made, and for each kind of language model that it takes the settings that are tried."""
