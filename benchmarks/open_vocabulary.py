"""Words that no language model has seen: error rates by beam search with n-gram models of characters, words and both.

    FEWBIT_DATA=folder python benchmarks/open_vocabulary.py --out build/benchmarks

The models learn the training text of WikiText-2, as letters a to z, apostrophe and space. They are tried on its test
text, and on a book with words that are not in the training text. What a network would say of the sound is made up,
from the text: peaks of one or two frames among blanks, at 100 frames a second and about 7 frames a letter; letters that
sound alike share a peak, some peaks are weak, some are missing or too many. The errors are independent of each other,
which those of networks are not: the order of the arms means more than their error rates.

Weights, bonus and the share of unknown words are chosen on the validation text. Writes `open_vocabulary.json`.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.data import to_letters
from fewbit.data.corpora import read_text
from fewbit.decode import GreedyCTC, TreeBeam, text_of
from fewbit.decode.ngram_scorer import CharNgram, Together, WordNgram
from fewbit.decode.scorer import Scorer
from fewbit.text import Alphabet, cer, wer
from fewbit.text.ngram import Ngram
from fewbit.text.smoothing import kneser_ney

ALPHABET = Alphabet(tuple(" abcdefghijklmnopqrstuvwxyz'"))
FRAME_SECONDS = 0.01
BOOK = ("[The Wisdom of Father Brown by G. K. Chesterton 1914]", "[The Parent's Assistant, by Maria Edgeworth]")
ALIKE = ("aeiou", "bdpt", "ckgq", "szcx", "fvp", "mn", "lr", "wuh", "jg", "iy", "td")


@dataclass(frozen=True)
class Texts:
    """What is learnt, what weights are chosen on, and the two texts to be heard."""

    train: str
    valid: str
    test: str
    book: str


def read_texts(folder: Path) -> Texts:
    def letters(text: str) -> str:
        return to_letters(text).lower()

    names = ("train", "valid", "test")
    train, valid, test = (letters(read_text(folder / f"wikitext2/{name}.txt.xz")) for name in names)
    books = read_text(folder / "english_books/books.txt.xz")
    start, stop = (books.index(line) for line in BOOK)
    return Texts(train, valid, test, letters(books[start + len(BOOK[0]) : stop]))


class Voice:
    """Makes log-probabilities ``(frames, classes)`` of a text."""

    share, weak, extra, weak_space = 0.16, 0.035, 0.015, 0.05

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.classes = {token: i + 1 for i, token in enumerate(ALPHABET.tokens)}
        self.alike = {
            letter: sorted({other for group in ALIKE if letter in group for other in group} - {letter})
            for letter in ALPHABET.tokens
        }

    def __call__(self, text: str) -> NDArray[np.float64]:
        random, frames = self.random, []
        for letter in text:
            frames += [self._frame({}) for _ in range(1 + random.poisson(4.6))]
            if random.random() < self.extra:
                strange = ALPHABET.tokens[random.integers(1, 27)]
                frames += [self._frame({strange: random.beta(1.2, 2.0)}), self._frame({})]
            weak = self.weak + (self.weak_space if letter == " " else 0.0)
            peak = random.beta(1.5, 3.0) if random.random() < weak else random.beta(9.0, 1.0)
            peaks = {letter: peak}
            if self.alike[letter] and random.random() < self.share:
                part = random.beta(2.2, 2.0)
                peaks = {letter: peak * (1 - part), str(random.choice(self.alike[letter])): peak * part}
            frames += [self._frame(peaks)] * (2 if random.random() < 0.45 else 1)
        return np.log(np.array(frames))

    def _frame(self, peaks: dict[str, float]) -> NDArray[np.float64]:
        y = np.exp(self.random.normal(-9.5, 1.2, ALPHABET.classes))
        for letter, p in peaks.items():
            y[self.classes[letter]] += p
        y[0] += 1 - sum(peaks.values())
        return np.asarray(y / y.sum())


@dataclass(frozen=True)
class Stream:
    """What is said, and log-probabilities (frames, classes) of it."""

    text: str
    scores: NDArray[np.float64]


def streams(text: str, count: int, characters: int, seed: int) -> list[Stream]:
    """Pieces of a text from random places, each from the start of a word to the end of one."""
    random = np.random.default_rng(seed)
    made = []
    for start in random.integers(0, len(text) - characters - 100, count):
        piece = text[start : start + characters].split(" ", 1)[1].rsplit(" ", 1)[0]
        made.append(Stream(piece, Voice(int(random.integers(1 << 30)))(piece)))
    return made


@dataclass(frozen=True)
class Heard:
    """Error rates in percent, and how fast."""

    wer: float
    cer: float
    frames_a_cpu_second: int


def listen(decoder: Any, over: list[Stream]) -> Heard:
    texts, seconds = [], 0.0
    for stream in over:
        start = time.process_time()
        state, events = decoder.init_state(), []
        for chunk in np.array_split(stream.scores, max(1, len(stream.scores) // 10)):
            new, state = decoder.step(chunk, state)
            events += new
        events += decoder.finish(state)
        seconds += time.process_time() - start
        texts.append(" ".join(text_of(events, " ").split()))
    said = [stream.text for stream in over]
    frames = sum(len(stream.scores) for stream in over)
    return Heard(round(100 * wer(said, texts), 2), round(100 * cer(said, texts), 2), round(frames / seconds))


def beam(scorer: Scorer | None, width: int, bonus: float) -> TreeBeam:
    return TreeBeam(
        ALPHABET, FRAME_SECONDS, scorer, width=width, bonus=bonus, endpoint_seconds=1e6, longest_seconds=1e6
    )


Make = Callable[..., Scorer | None]


def arms(chars: Ngram, words: Ngram) -> dict[str, tuple[Make, dict[str, list[float]]]]:
    """For each arm how its scorer is made, and the settings that are tried."""
    weights, bonuses = [0.4, 0.6, 0.8], [0.5, 1.0, 1.5]
    plain = CharNgram(chars, ALPHABET)

    def both(weight: float, unknown: float) -> Scorer:
        return Together(plain, WordNgram(words, ALPHABET, weight, unknown))

    return {
        "no language model": (lambda: None, {"bonus": [0.0]}),
        "characters": (lambda weight: CharNgram(chars, ALPHABET, weight), {"weight": weights, "bonus": bonuses}),
        "words": (
            lambda weight, unknown: WordNgram(words, ALPHABET, weight, unknown),
            {"weight": weights, "unknown": [0.001, 0.05], "bonus": bonuses},
        ),
        "both": (both, {"weight": weights, "unknown": [0.05, 0.2], "bonus": bonuses}),
    }


def tune(make: Make, grid: dict[str, list[float]], width: int, over: list[Stream]) -> dict[str, float]:
    """The settings with the lowest word error rate."""
    found: list[tuple[float, dict[str, float]]] = []
    for values in product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        made = make(**{name: value for name, value in settings.items() if name != "bonus"})
        rate = listen(beam(made, width, settings["bonus"]), over).wer if len(grid) > 1 else 0.0
        found.append((rate, settings))
        print(rate, settings, flush=True)
    return min(found, key=lambda pair: pair[0])[1]


def unseen(text: str, known: set[str]) -> float:
    """Words in percent that the training text does not have."""
    words = text.split()
    return round(100 * sum(word not in known for word in words) / len(words), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=os.environ.get("FEWBIT_DATA"))
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--streams", type=int, default=12)
    parser.add_argument("--characters", type=int, default=1500)
    parser.add_argument("--tuning-width", type=int, default=50)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("say where the texts are: --data or FEWBIT_DATA")
    texts = read_texts(arguments.data)
    known = set(texts.train.split())
    start = time.process_time()
    chars, words = kneser_ney([texts.train], 6), kneser_ney([texts.train.split()], 3)
    print(f"trained in {time.process_time() - start:.1f} s of one core", flush=True)
    tuning = streams(texts.valid, arguments.streams, arguments.characters, 1)
    domains = {
        name: streams(text, arguments.streams, arguments.characters, seed)
        for seed, (name, text) in enumerate((("in domain", texts.test), ("book", texts.book)), 2)
    }
    greedy = GreedyCTC(ALPHABET, FRAME_SECONDS, silence=1e6, longest=1e6)
    result: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "width": arguments.width,
        "frames": {name: sum(len(s.scores) for s in made) for name, made in domains.items()},
        "spoken_words": {name: sum(len(s.text.split()) for s in made) for name, made in domains.items()},
        "unseen_words_percent": {name: unseen(" ".join(s.text for s in made), known) for name, made in domains.items()},
        "unseen_words_percent_whole": {"in domain": unseen(texts.test, known), "book": unseen(texts.book, known)},
        "book_title": BOOK[0].strip("[]"),
        "character_bits": {
            "in domain": round(chars.bits_per_symbol([texts.test]), 3),
            "book": round(chars.bits_per_symbol([texts.book]), 3),
        },
        "word_perplexity": {"in domain": round(words.perplexity([texts.test.split()]), 1)},
        "greedy": {name: asdict(listen(greedy, made)) for name, made in domains.items()},
    }
    print(json.dumps(result), flush=True)
    for name, (make, grid) in arms(chars, words).items():
        settings = tune(make, grid, arguments.tuning_width, tuning)
        scorer = make(**{key: value for key, value in settings.items() if key != "bonus"})
        decoder = beam(scorer, arguments.width, settings["bonus"])
        result[name] = {"settings": settings}
        result[name] |= {domain: asdict(listen(decoder, made)) for domain, made in domains.items()}
        print(name, result[name], flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "open_vocabulary.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
