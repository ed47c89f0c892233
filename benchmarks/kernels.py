"""fewbit's kernels against those of its peers, in one run.

    python -m benchmarks.kernels --install --with-ggml      # once: the peers, in build/peers-venv
    python -m benchmarks.ceilings --out build/benchmarks    # for the floors
    python -m benchmarks.kernels --out build/benchmarks [--quick] [--realtime]

For each shape, block of frames and number of threads every kernel takes turns in short bursts, over several rounds,
so that what else the machine does hits all alike. Peers run in a process each, which is stopped between its bursts;
fewbit is measured by `fewbit bench matmul` and `fewbit bench rnn`. A call takes float32 and gives float32, with
activations quantized inside. `kernels.json` has for each kernel the median, the 10th and the 90th percentile in
microseconds and its relative error, and for fewbit the ratios to the best peer of the same width, of any width, of
8 bits, and of those that are no graphs written by hand (above 1: fewbit is faster), the floor and how often it fits.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.floors import BITS
from benchmarks.peers import PEERS
from benchmarks.peers.install import install
from benchmarks.peers.turns import Turns
from studies.evidence.machine import describe

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / "build" / "peers-venv"
QUICK: dict[str, Any] = {
    "shapes": ["512x512", "1024x1024"],
    "frames": [1, 16],
    "formats": ["ternary", "int4", "int8"],
    "hidden": [512],
    "layers": [1],
    "steps": [1, 16],
    "threads": [1],
    "rounds": 2,
    "seconds": 0.05,
}


def work(arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is computed, one setting after the other."""
    if "matmul" in arguments.kinds:
        for threads, shape, frames in product(arguments.threads, arguments.shapes, arguments.frames):
            rows, columns = map(int, shape.split("x"))
            yield "matmul", {"rows": rows, "columns": columns, "frames": frames, "threads": threads}
    if "rnn" in arguments.kinds:
        names = ("threads", "cell", "hidden", "layers", "steps")
        lists = (arguments.threads, arguments.cells, arguments.hidden, arguments.layers, arguments.steps)
        for values in product(*lists):
            yield "rnn", dict(zip(names, values, strict=True))


def save(turns: Turns, arguments: argparse.Namespace, results: dict[str, list[dict[str, Any]]]) -> None:
    settings = {name: getattr(arguments, name) for name in ("rounds", "seconds", "realtime", "only")}
    result = {"machine": describe(), "versions": turns.versions, "settings": settings, **results}
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "kernels.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


def show(kind: str, given: dict[str, Any], found: dict[str, Any]) -> None:
    """A table of one setting, fastest first."""
    print(f"\n{kind} " + " ".join(f"{name} {value}" for name, value in given.items()))
    own = [{"name": f"fewbit {name}", **case} for name, case in found["fewbit"].items()]
    for case in sorted(found["peers"] + own, key=lambda case: case["median_us"]):
        spread = f"{case['p10_us']:.1f} to {case['p90_us']:.1f}"
        error = f"{case['relerr']:.1e}" if "relerr" in case else "-"
        print(f"{case['name']:48} {case['median_us']:10.1f} us  {spread:22} error {error}", flush=True)
    for name, reason in found["failed"].items():
        print(f"not measured: {name}: {reason}")
    for name, case in found["fewbit"].items():
        times = {key: value for key, value in case.items() if key.startswith("times_")}
        print(f"fewbit {name}: " + ", ".join(f"{key} {value}" for key, value in times.items()), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmarks")
    parser.add_argument("--quick", action="store_true", help="few shapes, one thread, short bursts")
    parser.add_argument("--only", default="", help="parts of names of peers' kernels, with commas between")
    parser.add_argument("--kinds", nargs="+", default=["matmul", "rnn"], choices=["matmul", "rnn"])
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--shapes", nargs="+", default=[f"{n}x{n}" for n in (512, 1024, 2048, 4096)])
    parser.add_argument("--formats", nargs="+", default=list(BITS), choices=list(BITS), help="of fewbit")
    parser.add_argument("--frames", nargs="+", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru", "sru", "qrnn"])
    parser.add_argument("--hidden", nargs="+", type=int, default=[512, 1024])
    parser.add_argument("--layers", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="of one burst")
    parser.add_argument("--realtime", action="store_true", help="bursts before all other jobs (for root)")
    parser.add_argument("--fewbit", default=str(Path(sys.executable).parent / "fewbit"), help="the command")
    parser.add_argument("--python", type=Path, default=ENVIRONMENT / "bin" / "python", help="of the peers")
    parser.add_argument("--install", action="store_true", help="make build/peers-venv and end")
    parser.add_argument("--with-ggml", action="store_true", help="compile ggml as well (needs cmake and a compiler)")
    arguments = parser.parse_args()
    if arguments.quick:
        for name, value in QUICK.items():
            if getattr(arguments, name) == parser.get_default(name):
                setattr(arguments, name, value)
    return arguments


def main() -> None:
    arguments = parse()
    if arguments.install:
        install(ENVIRONMENT, arguments.with_ggml)
        return
    if arguments.peers and not arguments.python.exists():
        raise SystemExit(f"no {arguments.python}: run with --install first")
    if arguments.realtime and os.geteuid():
        raise SystemExit("--realtime is for root")
    turns = Turns(arguments)
    results: dict[str, list[dict[str, Any]]] = {kind: [] for kind in arguments.kinds}
    for kind, given in work(arguments):
        found = turns.measure(kind, given)
        results[kind].append(found)
        show(kind, given, found)
        save(turns, arguments, results)


if __name__ == "__main__":
    main()
