"""When each word of AN4 was said: forced alignment by pocketsphinx, and how exact it is.

    pip install pocketsphinx==5.1.1      # an aligner with an acoustic model of English in its wheel
    FEWBIT_DATA=... python -m studies.speech.word_ends --out studies/speech/an4_word_ends.json

The aligner hears the recording and is told its words. It knows no network of this library: what it says of the end of
a word can judge when such a network shows the word. Pronunciations are those of `an4.dic`, the dictionary of the
corpus, which has every word and the names of all letters. Aligned are the sentences of `dev` and `test`.

Three checks say how exact the ends are. Words cut from Speech Commands and from the spoken digits of FSDD by their
energy are joined into sentences of five, once with no pause at all and once with pauses: there the ends are known. The
last words of AN4's sentences have their ends compared with the end of speech by energy. Pronunciations of the command
words are in `COMMANDS`; the digits are in `an4.dic`.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from fewbit.atomic_file import write_atomically
from fewbit.data import Clip, an4, data_folder, join, speech_commands, spoken_digits
from fewbit.data.an4_speech import RATE
from fewbit.text import Timed
from studies.speech.aligner import Aligner
from studies.speech.speech_span import speech_span
from studies.speech.word_times import PATH

COMMANDS = (
    "DOWN D AW N, GO G OW, LEFT L EH F T, NO N OW, OFF AO F, ON AA N, ON(2) AO N, RIGHT R AY T, STOP S T AA P, "
    "UP AH P, YES Y EH S"
)
SENTENCES, WORDS = 100, 5
PAUSES = (0.1, 0.5)


def trimmed(clip: Clip, rate: int = RATE) -> Clip:
    """The speech of a clip of one word, in capitals; what lies before and after it is cut off by its energy."""
    quiet = (np.random.default_rng(0).standard_normal(rate // 5) * 10 ** (-72 / 20)).astype(np.float32)
    start, end = speech_span(np.concatenate([quiet, clip.samples, quiet]), rate)
    first, last = (round(moment * rate) - len(quiet) for moment in (start, end))
    return Clip(clip.samples[max(first, 0) : max(last, 1)], clip.text.upper(), clip.speaker, clip.name)


def known_cuts(aligner: Aligner, words: Sequence[Clip], pauses: tuple[float, float], seed: int) -> list[float]:
    """Aligned ends minus known ends, in seconds, of sentences joined from words of one speaker each.

    Args:
        aligner: what is checked.
        words: trimmed clips of one word each.
        pauses: shortest and longest pause between two words, in seconds.
        seed: of the choice of words.
    """
    rng, errors = np.random.default_rng(seed), []
    speakers = sorted({word.speaker for word in words})
    voices = [[word for word in words if word.speaker == speaker] for speaker in speakers]
    voices = [voice for voice in voices if len(voice) >= WORDS]
    for _ in range(SENTENCES):
        voice = voices[rng.integers(len(voices))]
        picked = [voice[i] for i in rng.choice(len(voice), WORDS, replace=False)]
        samples, spoken = join(picked, RATE, rng, pauses)
        margin = (rng.standard_normal(RATE // 4) * 10 ** (-72 / 20)).astype(np.float32)
        found = aligner(np.concatenate([margin, samples, margin]), " ".join(clip.text for clip in picked))
        errors += [word.end - 0.25 - place.end for word, place in zip(found, spoken, strict=True)]
    return errors


def last_words(clips: Sequence[Clip], words: Sequence[Sequence[Timed]], share: float) -> list[float]:
    """Aligned ends of the last words minus the ends of speech by energy, in seconds; `share` as in `speech_span`."""
    return [of[-1].end - speech_span(clip.samples, RATE, share)[1] for clip, of in zip(clips, words, strict=True)]


def accuracy(errors: Sequence[float]) -> dict[str, float]:
    """Median, median size and 95th percentile of the size of errors in seconds."""
    sizes = np.abs(errors)
    return {
        "words": len(errors),
        "median": round(float(np.median(errors)), 3) + 0.0,  # no -0
        "median_size": round(float(np.median(sizes)), 3),
        "p95_size": round(float(np.percentile(sizes, 95)), 3),
    }


def spoken_words(folder: Path) -> dict[str, list[Clip]]:
    """Trimmed clips of single words by the name of their corpus, at 16 kHz."""
    import soxr

    commands = speech_commands(folder / "speech_commands")
    said = [clip for clip in (*commands.train, *commands.dev, *commands.test) if clip.text in commands.words]
    digits = spoken_digits(folder / "fsdd")
    wide = [
        replace(clip, samples=np.asarray(soxr.resample(clip.samples, digits.sample_rate, RATE), np.float32))
        for clip in (*digits.train, *digits.test, *digits.unseen)
    ]
    return {"Speech Commands": [trimmed(clip) for clip in said], "FSDD, 8 kHz": [trimmed(clip) for clip in wide]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PATH)
    out = parser.parse_args().out
    folder = data_folder("an4")
    if folder is None:
        raise SystemExit("needs AN4, Speech Commands and FSDD under FEWBIT_DATA")
    speech = an4(folder)
    clips = (*speech.dev, *speech.test)
    dictionary = (folder / "an4.dic").read_text(encoding="utf-8")
    aligner = Aligner(dictionary + COMMANDS.replace(", ", "\n") + "\n")
    words = [aligner(clip.samples, clip.text) for clip in clips]
    checks = {
        f"{corpus}, {name}": accuracy(known_cuts(aligner, of, pauses, seed=0))
        for corpus, of in spoken_words(folder.parent).items()
        for name, pauses in (("no pauses", (0.0, 0.0)), ("pauses of 0.1 to 0.5 s", PAUSES))
    }
    for share in (0.5, 0.25):
        checks[f"AN4, last words, energy at {share} of its range"] = accuracy(last_words(clips, words, share))
    made = {
        "command": "python -m studies.speech.word_ends",
        "aligner": f"pocketsphinx {version('pocketsphinx')}, its model en-us, pronunciations of an4.dic",
        "corpus": "CMU AN4, copyright 1991-2005 Carnegie Mellon University, free for any use under its terms",
        "times": "seconds from the start of the recording; [word, start, end]",
    }
    # One recording a line, so that a change shows where it is.
    rows = (
        f"  {json.dumps(clip.name)}: "
        + json.dumps([[word.word, round(word.start, 2), round(word.end, 2)] for word in of])
        for clip, of in zip(clips, words, strict=True)
    )
    head = json.dumps({"made": made, "accuracy": checks}, indent=1).removesuffix("\n}")
    write_atomically(out, head + ',\n "recordings": {\n' + ",\n".join(rows) + "\n }\n}\n")
    print(json.dumps(checks, indent=1))


if __name__ == "__main__":
    main()
