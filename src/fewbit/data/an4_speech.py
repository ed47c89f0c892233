"""CMU AN4: census data spoken by 84 people, spelled names, numbers and commands, 16 kHz (1991).

Its text consists of upper-case letters and spaces. The official test set has other speakers than the training set.
`dev` consists of a few training speakers, so that settings need not be chosen on the test set.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewbit.data.clips import Clip, read_manifest
from fewbit.errors import ArgumentError
from fewbit.text import Alphabet

ALPHABET = Alphabet(tuple(" ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
RATE = 16_000
DEV_SPEAKERS = 7


@dataclass(frozen=True)
class An4:
    """Sentences by purpose; no speaker is in two parts.

    Examples:
        >>> silence = np.zeros(RATE, np.float32)
        >>> speech = An4(train=(Clip(silence, "GO", "ann", "a"),), dev=(), test=())
        >>> speech.alphabet.encode(speech.train[0].text)
        [8, 16]
    """

    train: tuple[Clip, ...]
    dev: tuple[Clip, ...]
    test: tuple[Clip, ...]
    alphabet: Alphabet = ALPHABET
    sample_rate: int = RATE


def an4(folder: str | Path, dev_speakers: int = DEV_SPEAKERS) -> An4:
    r"""Read AN4 from a folder with `manifest.tsv` (path, split, speaker, seconds, text).

    Args:
        folder: the folder of the manifest.
        dev_speakers: number of training speakers that become `An4.dev`, evenly over their sorted names.

    Raises:
        DataError: there is no manifest, or a recording has another sample rate.
        ArgumentError: there are fewer speakers than `dev_speakers`.

    Examples:
        >>> import soundfile
        >>> soundfile.write("a.flac", np.zeros(RATE, np.float32), RATE)
        >>> rows = ["path split speaker seconds text", "a.flac train ann 1.0 GO"]
        >>> _ = Path("manifest.tsv").write_text("\n".join(rows).replace(" ", "\t"))
        >>> an4(".", dev_speakers=0).train[0].text
        'GO'
    """
    parts: dict[str, list[Clip]] = {"train": [], "test": []}
    for row, samples in read_manifest(Path(folder), RATE, "AN4 corpus"):
        parts[row["split"]].append(Clip(samples, row["text"], row["speaker"], Path(row["path"]).stem))
    speakers = sorted({clip.speaker for clip in parts["train"]})
    if not 0 <= dev_speakers < len(speakers):
        raise ArgumentError(f"dev_speakers must lie in 0..{len(speakers) - 1}, not {dev_speakers}")
    apart = {speakers[i] for i in np.linspace(0, len(speakers) - 1, dev_speakers).round().astype(int)}
    return An4(
        train=tuple(clip for clip in parts["train"] if clip.speaker not in apart),
        dev=tuple(clip for clip in parts["train"] if clip.speaker in apart),
        test=tuple(parts["test"]),
    )
