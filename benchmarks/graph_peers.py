"""The time of one call of whole networks: fewbit against ONNX Runtime, OpenVINO, LiteRT and torch, in one run.

    python -m benchmarks.kernels --install                                  # once: the peers, in build/peers-venv
    python -m benchmarks.graph_peers --out build/benchmarks --prepare       # once, and after a change of lowering
    python -m benchmarks.graph_peers --out build/benchmarks [--only NAME ...] [--threads 1 2]

`benchmarks.peers.graph_networks` has the networks, with random weights. A call is one picture, one text, or the next
token or chunk of a stream with its state carried on. All files are made from the same weights, int8 ones calibrated on
the same examples, by each library's own tools (`graph_onnx` and `graph_litert` beside it); OpenVINO reads the ONNX
files. The decoder's peers get keys and values of 255 earlier tokens and return the newest, which the caller writes
over the oldest. Float torch is the common baseline, always with one thread.

Each case is loaded in a fresh process, on the same CPUs and with equal numbers of threads, and takes turns with the
others in bursts. `graph_peers.json` has a row for each: median, 10th and 90th percentile in microseconds, memory
(`load_mb`: resident growth by loading, after the library was imported and the inputs read; `peak_mb`: by getrusage, of
loading and running; `base_mb`: what stood before), cosine to float torch (`cosine_fake`: to the fake-quantized
network), and how many times as fast as others (above 1: faster). What fails has `error`. A row that is not `right`
computed something else, and is nobody's best.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.peers.graph_table import Row, table
from benchmarks.peers.graph_turns import Settings, measure
from studies.evidence.machine import describe

ROOT = Path(__file__).parent.parent
NAMES = ("bert128", "decoder", "bert16", "resnet20", "dscnn", "silero")  # those that take longest to prepare first
FORMATS = ("int8", "int4", "ternary")
PEERS = (
    *(f"onnxruntime {kind}" for kind in ("float", "static", "dynamic")),
    *(f"openvino {kind}" for kind in ("float", "static", "dynamic")),
    *(f"litert {kind}" for kind in ("float", "static", "dynamic")),
)


def prepare(name: str, folder: Path, arguments: argparse.Namespace) -> None:
    """All files of a network, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    steps: list[tuple[Path, list[str]]] = [
        (Path(sys.executable), ["benchmarks.peers.graph_prepare", str(folder), name, *arguments.formats]),
        (arguments.python, ["benchmarks.peers.graph_onnx", str(folder)]),
        (arguments.python, ["benchmarks.peers.graph_litert", str(folder)]),
    ]
    for python, step in steps:
        start = time.perf_counter()
        command = [str(python), "-m", *step]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        what = "" if done.returncode == 0 else f": ended with {done.returncode}: {done.stderr.strip()[-300:]}"
        print(f"{name}: {step[0]} [{time.perf_counter() - start:.0f} s]{what}", flush=True)


def cases(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """What is measured of a network."""
    found = [f"fewbit {format}" for format in arguments.formats] + ["torch float", *PEERS]
    return [case for case in found if not arguments.cases or any(part in case for part in arguments.cases)]


def about(folder: Path) -> dict[str, Any]:
    """How the files of a network were made, and what could not be."""
    found: dict[str, Any] = {}
    for name in ("about", "onnx", "litert"):
        path = folder / f"{name}.json"
        found[name] = json.loads(path.read_text()) if path.exists() else {"failed": {"all": "no files"}}
    return found


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "benchmarks")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="of fewbit's weights")
    parser.add_argument("--cases", nargs="+", default=[], help="parts of names of cases, such as 'onnxruntime static'")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of one burst")
    parser.add_argument("--python", type=Path, default=ROOT / "build" / "peers-venv" / "bin" / "python")
    parser.add_argument("--prepare", action="store_true", help="make the files of the networks anew, and end")
    arguments = parser.parse_args()
    if not arguments.python.exists():
        parser.error(f"no {arguments.python}: run kernels.py --install first")
    return arguments


def main() -> None:
    arguments = parse()
    out = arguments.out.resolve()
    result: dict[str, Any] = {"machine": describe(), "rounds": arguments.rounds, "seconds": arguments.seconds}
    rows: list[Row] = []
    result |= {"networks": {}, "rows": rows}
    settings = Settings(Path(sys.executable), arguments.python, arguments.rounds, arguments.seconds)
    folders = {name: out / "graph_peers" / name for name in arguments.only}
    wanted = [name for name in folders if arguments.prepare or not (folders[name] / "litert.json").exists()]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(lambda name: prepare(name, folders[name], arguments), wanted))
    for name, folder in ({} if arguments.prepare else folders).items():
        result["networks"][name] = about(folder)
        for threads in arguments.threads:
            start = time.perf_counter()
            found = measure(cases(folder, arguments), folder, threads, settings)
            rows += found
            load = os.getloadavg()[0]
            print(f"\n{name}, {threads} thread{'s' * (threads > 1)}, load {load:.1f}")
            print(table(found), f"[{time.perf_counter() - start:.0f} s]", sep="\n", flush=True)
            (out / "graph_peers.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
