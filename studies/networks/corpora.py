"""Real inputs from the data folder (environment variable ``FEWBIT_DATA``): speech, noise, words, texts, pictures."""

import csv
import lzma
import re
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from fewbit.data import an4, data_folder
from fewbit.data.an4_speech import RATE, An4

QUIETEST = 1e-3
"""Root mean square below which a recording of noise counts as silence and is left out."""


def folder(name: str) -> Path:
    """The folder of a data set."""
    found = data_folder(name)
    if found is None:
        raise FileNotFoundError(f"no folder {name!r}; set FEWBIT_DATA to the folder that holds it")
    return found


@cache
def speech() -> An4:
    """AN4 at 16 kHz; its test speakers are apart from all others."""
    return an4(folder("an4"))


def dictionary_words() -> list[str]:
    """Words of AN4's dictionary in lower case and in its order, letters and apostrophes only."""
    lines = (folder("an4") / "an4.dic").read_text().splitlines()
    words = (line.split()[0].lower() for line in lines if line.strip())
    return [word for word in words if re.fullmatch("[a-z']+", word)]


def noise(split: str, seed: int, samples: int) -> NDArray[np.float32]:
    """Background noise of homes, ``(samples,)`` at 16 kHz with root mean square 1.

    Recordings of one second, all made equally loud, in random order one after another.
    """
    home = folder("speech_commands")
    with (home / "manifest.tsv").open() as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["word"] == "_silence_"]
    random = np.random.default_rng(seed)
    paths = [row["path"] for row in rows if row["split"] == split]
    random.shuffle(paths)
    parts: list[NDArray[np.float32]] = []
    for path in paths:
        part, rate = soundfile.read(home / path, dtype="float32")
        assert rate == RATE
        level = float(np.sqrt(np.mean(part**2)))
        if level > QUIETEST:
            parts.append((part / level).astype(np.float32))
        if sum(map(len, parts)) >= samples:
            break
    joined = np.concatenate(parts)
    return np.resize(joined, samples)


def paragraphs(least_words: int) -> list[str]:
    """Paragraphs of English books with at least so many words, each on one line, in the order of the books."""
    text = lzma.decompress((folder("english_books") / "books.txt.xz").read_bytes()).decode()
    joined = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return [part for part in joined if len(part.split()) >= least_words]


def articles(least_words: int) -> list[str]:
    """Paragraphs of WikiText-2 (validation part) with at least so many words, no headings."""
    lines = lzma.decompress((folder("wikitext2") / "valid.txt.xz").read_bytes()).decode().splitlines()
    return [line.strip() for line in lines if len(line.split()) >= least_words and not line.strip().startswith("=")]


def pictures() -> dict[str, NDArray[np.uint8]]:
    """CIFAR-10 subset, arrays by name: pictures ``(n, 32, 32, 3)`` of 0..255 and classes ``(n,)`` 0..9."""
    with np.load(folder("cifar10_subset") / "cifar10_subset.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}
