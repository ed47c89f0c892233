"""Forced alignment by pocketsphinx: when the words of a known text are said in a recording.

It has an acoustic model of English of its own (hidden Markov models, in its wheel) and knows no network of this
library. Only `python -m studies.speech.word_ends` needs it: `pip install pocketsphinx==5.1.1`.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DataError
from fewbit.text import Timed

FRAME_SECONDS = 0.01


class Aligner:
    """Times of the words of a text in a recording, by pocketsphinx.

    Args:
        dictionary: lines of a word and its phones.
    """

    def __init__(self, dictionary: str) -> None:
        from pocketsphinx import Decoder

        # The widest beams: nothing may be left out of a path that is given but for its times.
        wide = dict.fromkeys(("beam", "pbeam", "wbeam"), 1e-200)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "words.dic"
            path.write_text(dictionary, encoding="utf-8")
            self._decoder = Decoder(lm=None, dict=str(path), bestpath=False, cmn="batch", loglevel="FATAL", **wide)

    def __call__(self, samples: NDArray[np.float32], text: str) -> tuple[Timed, ...]:
        """The words of `text` with their times in `samples` ``(n,)`` of 16 kHz, in seconds.

        Raises:
            DataError: no path through the whole text fits the sound.
        """
        sound = (np.clip(samples, -1, 1) * 32767).round().astype(np.int16)
        self._decoder.set_align_text(text)
        self._decoder.start_utt()
        self._decoder.process_raw(sound.tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = [
            Timed(segment.word.split("(")[0], segment.start_frame * FRAME_SECONDS, _end(segment))
            for segment in self._decoder.seg() or ()
            if segment.word[0] not in "<[("
        ]
        if [word.word for word in found] != text.split():
            raise DataError(f"{text!r} was not aligned: got {[word.word for word in found]}")
        return tuple(found)


def _end(segment: Any) -> float:
    return float((segment.end_frame + 1) * FRAME_SECONDS)  # its last frame belongs to it
