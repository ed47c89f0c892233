"""The card and the notice that lie beside the spotter of command words: what it is, and how often it is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CommandFigures:
    """How good a spotter is on people it has never heard.

    accuracy: clips named rightly, of twelve names (the words, another word, silence), 0..1. misses: false alarms for
    each keyword-hour -> words missed in one endless stream, 0..1.
    """

    accuracy: float
    misses: Mapping[int, float]


CARD = """# {name}.fewbit

A streaming spotter of ten English command words: down, go, left, no, off, on, right, stop, up, yes; every other word
is `*`. 16 kHz, one speaker at a time. `fewbit spot FILE --model {name}` listens for all ten.

- **Network**: log-mel features ({mels} filters, every 10 ms), causal convolution with stride {stride}, SRU layers,
  linear, one class for each word; {weights:,} weights, ternary with a scale for each row (last layer int8), 8-bit
  signals; {file_bytes:,} bytes, of which {header_bytes:,} are header; {macs:,.0f} multiply-accumulates a frame of
  10 ms.
- **Made by** `python -m recipes commands --data FOLDER --seed {seed}`: float training with CTC on joined clips, led
  by the known places of the words at first, then ternary weights with the float network as the teacher. The file
  holds this recipe.
- **Data**: a part of Speech Commands (P. Warden 2018), CC BY 4.0 (notice in `{name}.LICENSE`), clips of one second:
  {spoken:,} of the ten words by {speakers} training speakers, {others} of other words, {silent} without speech. The
  other words of the test are not those of the training.
- **Measured** on the {clips} clips of the test, whose speakers it was not trained on: clips named rightly, of twelve
  names, one by one; words missed in one endless stream of all clips, at 1 and 12 false alarms for each keyword-hour:

| network | named rightly | missed at 1 | missed at 12 |
| --- | ---: | ---: | ---: |
{rows}

- **Limits**: few voices, many of them recorded at home with the microphone near; other languages and far microphones
  were not measured. Words that sound alike (go and no, on and off) are mixed up, and of other words many are taken for
  one of the ten: choose the threshold for your use. The ten words are all it knows; it cannot spell others.
"""

NOTICE = """commands.fewbit was trained on a part of Speech Commands by Pete Warden and Google
("Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition", 2018, arXiv 1804.03209),
licensed under the Creative Commons Attribution 4.0 International License
(https://creativecommons.org/licenses/by/4.0/). The recordings were joined and changed in speed, level and
noise for the training; none of them is in the file.
"""


def rows(figures: Mapping[str, CommandFigures]) -> str:
    """The table of the card."""
    return "\n".join(
        f"| {name} | {found.accuracy:.1%} | " + " | ".join(f"{miss:.1%}" for miss in found.misses.values()) + " |"
        for name, found in figures.items()
    )
