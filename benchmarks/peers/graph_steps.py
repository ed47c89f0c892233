"""The steps by which a peer's files are made; one that fails leaves the others be."""

import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch


def run_steps(name: str, steps: Sequence[Callable[[Path], None]]) -> None:
    """Run steps on the folder that the command line gives, and write what failed to ``NAME.json`` in it."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    failed: dict[str, str] = {}
    for step in steps:
        try:
            step(folder)
        except Exception as problem:  # whatever the tools raise, the other files are made
            failed[step.__name__] = f"{type(problem).__name__}: {problem}"[:300]
    (folder / f"{name}.json").write_text(json.dumps({"failed": failed}, indent=1) + "\n")
