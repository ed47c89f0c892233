"""Make the digits inside the package from a copy of the Free Spoken Digit Dataset.

    python -m recipes.embed_digits FOLDER_WITH_manifest.tsv

Takes, for each of three speakers and each digit, recordings 0-4 (test) and 5-16 (train), and for the unseen speaker
recordings 0-9: 610 clips. They are joined to one FLAC file a speaker (lossless), with an index of where each begins.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import soundfile

UNSEEN = "nicolas"
KNOWN_RECORDINGS, UNSEEN_RECORDINGS = 17, 10
RATE = 8_000
OUT = Path(__file__).parent.parent / "src" / "fewbit" / "data" / "embedded_digits"


def main(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "manifest.tsv").read_text().splitlines(), delimiter="\t"))
    index = ["name\tspeaker\tstart\tsamples"]
    for speaker in sorted({row["speaker"] for row in rows}):
        wanted = UNSEEN_RECORDINGS if speaker == UNSEEN else KNOWN_RECORDINGS
        parts, start = [], 0
        for path in sorted(Path(row["path"]) for row in rows if row["speaker"] == speaker):
            if int(path.stem.rsplit("_", 1)[1]) >= wanted:
                continue
            samples, rate = soundfile.read(folder / path, dtype="int16")
            assert rate == RATE, (path, rate)
            parts.append(samples)
            index.append(f"{path.stem}\t{speaker}\t{start}\t{len(samples)}")
            start += len(samples)
        soundfile.write(OUT / f"{speaker}.flac", np.concatenate(parts), RATE, subtype="PCM_16")
        print(speaker, len(parts), "clips")
    (OUT / "index.tsv").write_text("\n".join(index) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    main(given.folder)
