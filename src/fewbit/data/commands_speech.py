"""Speech Commands: single English words of one second, 16 kHz (P. Warden 2018, arXiv 1804.03209, CC BY 4.0).

Ten words to recognise, other words that form one class ("unknown"), and silence: recordings without speech. The test
set has other speakers and other unknown words than the training set. `dev` is split off the training set in the same
way, so that settings need not be chosen on the test set.
"""

from dataclasses import dataclass
from pathlib import Path

from fewbit.data.clips import Clip, read_manifest
from fewbit.errors import ArgumentError, DataError
from fewbit.text import Alphabet

WORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
UNKNOWN = "*"
"""The text of all words that are not in `WORDS`; that of silence is empty."""
ALPHABET = Alphabet((*WORDS, UNKNOWN), joiner=" ")
RATE = 16_000
DEV_EVERY = 8


@dataclass(frozen=True)
class SpeechCommands:
    """Clips by purpose; no speaker, unknown word or recording of silence is in two parts.

    Examples:
        >>> commands = SpeechCommands(train=(), dev=(), test=())
        >>> commands.words[:3], commands.alphabet.classes  # ten words, any other word, the blank
        (('down', 'go', 'left'), 12)
    """

    train: tuple[Clip, ...]
    dev: tuple[Clip, ...]
    test: tuple[Clip, ...]
    words: tuple[str, ...] = WORDS
    alphabet: Alphabet = ALPHABET
    sample_rate: int = RATE


def speech_commands(folder: str | Path, dev_every: int = DEV_EVERY) -> SpeechCommands:
    r"""Read Speech Commands from a folder with `manifest.tsv` (path, split, speaker, seconds, word).

    Args:
        folder: the folder of the manifest. The column `speaker` contains the word for unknown words, and a number for
            silence.
        dev_every: one of `dev_every` training speakers, in the order of their names, becomes `SpeechCommands.dev`;
            unknown words and recordings of silence are split separately.

    Raises:
        DataError: there is no manifest, a recording has another sample rate, or a word is none of the twelve.
        ArgumentError: `dev_every` is below 2.

    Examples:
        >>> import numpy as np, soundfile
        >>> soundfile.write("a.flac", np.zeros(RATE, np.float32), RATE)
        >>> rows = ["path split speaker seconds word", "a.flac train ann 1.0 stop"]
        >>> _ = Path("manifest.tsv").write_text("\n".join(rows).replace(" ", "\t"))
        >>> print([clip.text for clip in speech_commands(".").train])
        ['stop']
    """
    if dev_every < 2:
        raise ArgumentError(f"dev_every must be 2 or more, not {dev_every}")
    parts: dict[str, list[Clip]] = {"train": [], "test": []}
    for row, samples in read_manifest(Path(folder), RATE, "Speech Commands corpus"):
        text = _text_of(row["word"], row["path"])
        parts[row["split"]].append(Clip(samples, text, row["speaker"], Path(row["path"]).stem))
    apart: set[tuple[str, str]] = set()
    for kind in ("word", UNKNOWN, ""):
        speakers = sorted({clip.speaker for clip in parts["train"] if _kind(clip) == kind})
        apart |= {(kind, speaker) for speaker in speakers[dev_every // 2 :: dev_every]}
    return SpeechCommands(
        train=tuple(clip for clip in parts["train"] if (_kind(clip), clip.speaker) not in apart),
        dev=tuple(clip for clip in parts["train"] if (_kind(clip), clip.speaker) in apart),
        test=tuple(parts["test"]),
    )


def _text_of(word: str, path: str) -> str:
    names = {"_unknown_": UNKNOWN, "_silence_": ""} | {word: word for word in WORDS}
    if word not in names:
        raise DataError(f"{path}: word {word!r}, wanted one of {list(names)}")
    return names[word]


def _kind(clip: Clip) -> str:
    return "word" if clip.text in WORDS else clip.text
