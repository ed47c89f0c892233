"""Where each word of AN4 was said: the times of a forced alignment, kept in a file, and placed in a joined stream.

The file is made by `python -m studies.speech.word_ends`, which knows the sound and what was said in it, and no network
of this library. So it can judge when a network shows a word.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewbit.data import Clip, Spoken
from fewbit.errors import DataError, FileFormatError
from fewbit.text import Timed

PATH = Path(__file__).parent / "an4_word_ends.json"


@dataclass(frozen=True)
class WordTimes:
    """Words with their times in each recording, in seconds from its start.

    Args:
        words: name of a recording -> its words in order.
        accuracy: how far the ends lie from those of sound with known cuts, as plain values.
    """

    words: Mapping[str, tuple[Timed, ...]]
    accuracy: Mapping[str, Any]

    @staticmethod
    def read(path: str | Path = PATH) -> "WordTimes":
        """Read the file of `python -m studies.speech.word_ends`.

        Raises:
            FileFormatError: it is no such file.
        """
        try:
            kept = json.loads(Path(path).read_text(encoding="utf-8"))
            words = {
                name: tuple(Timed(word, start, end) for word, start, end in of)
                for name, of in kept["recordings"].items()
            }
            return WordTimes(words, kept["accuracy"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FileFormatError(f"{path}: no file of word times: {error}") from error

    def in_stream(self, clips: Sequence[Clip], spoken: Sequence[Spoken]) -> list[Timed]:
        """All words of a joined recording with their times in it.

        Args:
            clips: what was joined.
            spoken: where each clip lies, as `fewbit.data.join` says.

        Raises:
            DataError: the times of a recording are missing, or are those of another text.
        """
        said = []
        for clip, place in zip(clips, spoken, strict=True):
            words = self.words.get(clip.name)
            if words is None:
                raise DataError(f"no word times of {clip.name}; run `python -m studies.speech.word_ends`")
            if [word.word for word in words] != clip.text.split():
                text = " ".join(word.word for word in words)
                raise DataError(f"{clip.name}: the word times are of {text!r}, but it says {clip.text!r}")
            said += [Timed(word.word, place.start + word.start, place.start + word.end) for word in words]
        return said
