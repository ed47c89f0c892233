"""A folder of data with a text of few letters, for studies of tiny decoders."""

import lzma
from pathlib import Path

import numpy as np

from studies.evidence import Setting
from studies.tasks.decoders import DecoderScale

TINY = DecoderScale(8, 2, 2, steps=8, batch_size=4, characters=600, updates=30, measured=200)


def text_setting(folder: Path) -> Setting:
    """A setting whose WikiText-2 is a text of words that follow each other by chance."""
    random = np.random.default_rng(0)
    words = ["ab", "cad", "abba", "dec"]
    (folder / "wikitext2").mkdir()
    for name in ("train", "valid", "test"):
        text = " ".join(words[i] for i in random.integers(0, 4, 500))
        (folder / "wikitext2" / f"{name}.txt.xz").write_bytes(lzma.compress(text.encode()))
    return Setting(folder / "out", folder / "cache", data=folder, progress=False)
