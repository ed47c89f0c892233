"""Data for a machine that has no libraries for sound and no network, in the layout of FEWBIT_DATA.

    FEWBIT_DATA=... python -m studies.gpu.prepare [--out build/gpu/data]

Copies the subset of CIFAR-10 and the books as they are, and makes log-mel frames of AN4: whole steps of an eighth of a
neper (1.1 dB) above the floor, in one byte. That is a rounding error of 0.036; training adds noise of 0.4 and more.
"""

import argparse
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fewbit.data import an4, data_folder
from fewbit.data.clips import hiss
from recipes.english import FEATURES, EnglishRecipe

STEP = 0.125
COPIED = ("cifar10_subset", "english_books")


def frames_of_an4(folder: Path) -> dict[str, Any]:
    """Frames of all utterances one after the other by part, and what else training needs."""
    speech, arrays = an4(folder), {}
    about: dict[str, Any] = {"step": STEP, "floor": FEATURES.floor, "frame_rate": speech.sample_rate / FEATURES.hop}
    about |= {"recipe": asdict(EnglishRecipe()), "lengths": {}, "texts": {}}
    margin = np.zeros(FEATURES.window - FEATURES.hop, np.float32)
    for name in ("train", "dev", "test"):
        clips = getattr(speech, name)
        found = [FEATURES(np.concatenate([margin, clip.samples, margin])) for clip in clips]
        whole = np.rint((np.concatenate(found) - FEATURES.floor) / STEP)
        assert whole.min() >= 0
        assert whole.max() <= 255
        arrays[name] = np.diff(whole.astype(np.uint8), axis=0, prepend=np.uint8(0))  # modulo 256; packs better
        about["lengths"][name] = [len(frames) for frames in found]
        about["texts"][name] = [clip.text for clip in clips]
    return {**arrays, "noise": hiss(FEATURES), "about": np.array(json.dumps(about))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/gpu/data"))
    out = parser.parse_args().out
    for name in (*COPIED, "an4"):
        folder = data_folder(name)
        if folder is None:
            raise SystemExit(f"needs {name} under FEWBIT_DATA")
        there = out / ("an4_frames" if name == "an4" else name)
        there.mkdir(parents=True, exist_ok=True)
        if name == "an4":
            np.savez_compressed(there / "frames.npz", **frames_of_an4(folder))
        else:
            for file in folder.iterdir():
                shutil.copyfile(file, there / file.name)
    for file in sorted(out.rglob("*.*")):
        print(f"{file.stat().st_size / 1e6:6.1f} MB  {file}")


if __name__ == "__main__":
    main()
