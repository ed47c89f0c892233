"""Whether hours of generated text take more memory than its first seconds.

    python -m benchmarks.endless_text --out build/benchmarks [--tokens 500000]

A decoder with a sliding window and random ternary weights writes byte pairs without end, in a process without torch.
After every thousandth token the memory of the process is read. The result is ``endless_text.json``: memory after a
warm-up and the largest from then on, and the speed of the first and of the last part of the text.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

ROOT = Path(__file__).parents[1]
TOKENS = 500_000
"""At the 140 tokens a second that a network of 135 million weights may write on two cores, an hour."""
WARM, EVERY = 2_000, 1_000
"""Tokens after which memory is read first, and then again and again."""
WINDOW = 64


def write_network(path: Path) -> Path:
    """A packed decoder of 256 bytes and a few pairs, none of which ends a text."""
    import torch

    import fewbit as fb
    from fewbit.models import Decoder
    from fewbit.text import BytePairs
    from fewbit.text.byte_pairs import LETTERS

    pieces = (*LETTERS.values(), *(LETTERS[ord(" ")] + letter for letter in "abcdefgh"))
    places = {piece: i for i, piece in enumerate(pieces)}
    pairs = BytePairs(pieces, tuple((places[piece[0]], places[piece[1]]) for piece in pieces[256:]))
    torch.manual_seed(0)
    example = [torch.randint(len(pieces), (2, WINDOW + 32))]
    model = Decoder(len(pieces), 64, 4, 2, style="llama", window=WINDOW)
    how = fb.Quantize({"embedding": "int8", "*": "ternary"}, "int8", calibration=example)
    return fb.pack(fb.compress(model, how).eval(), example=example, alphabet=pairs).save(path)


def measure(path: Path, tokens: int) -> dict[str, Any]:
    """Memory and speed of this process while it writes."""
    from fewbit.program import load
    from fewbit.streams import TextGenerator

    pieces = TextGenerator(load(path)).generate("once", tokens=tokens, temperature=1.2, top_p=0.95, seed=1)
    done, letters = sum(1 for _ in islice(pieces, WARM)), 0
    after_warm_up = largest = resident_mb()
    seconds: list[float] = []
    while done < tokens:
        start = time.perf_counter()
        written = [len(piece) for piece in islice(pieces, EVERY)]
        seconds.append((time.perf_counter() - start) / len(written))
        done, letters = done + len(written), letters + sum(written)
        largest = max(largest, resident_mb())
    part = max(1, len(seconds) // 5)
    return {
        "tokens": done,
        "characters_after_warm_up": letters,
        "mb_after_warm_up": round(after_warm_up, 2),
        "mb_more": round(largest - after_warm_up, 2),
        "seconds": round(sum(seconds) * EVERY, 1),
        "times_as_long_at_the_end": round(mean(seconds[-part:]) / mean(seconds[:part]), 2),
        "torch_loaded": "torch" in sys.modules,
    }


def resident_mb() -> float:
    """Megabytes of memory that this process holds."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def measured_apart(path: Path, tokens: int) -> dict[str, Any]:
    """`measure` in a process of its own, which has loaded nothing else."""
    code = "import sys, json, pathlib, benchmarks.endless_text as it\n"
    code += "print(json.dumps(it.measure(pathlib.Path(sys.argv[1]), int(sys.argv[2]))))"
    called = [sys.executable, "-c", code, str(path), str(tokens)]
    done = subprocess.run(called, check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=TOKENS, help="how many are written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measured_apart(write_network(Path(folder) / "endless.fewbit"), arguments.tokens)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "endless_text.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
