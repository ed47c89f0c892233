"""Ceilings of this machine for few-bit products: bytes read a second from each level of memory, rates of inner loops.

    python -m benchmarks.ceilings --out build/benchmarks

Compiles `ceilings.cpp` with the system's compiler for this very machine, runs it, and writes `ceilings.json`: for one
and more threads the median and the best of nine rounds of reads of growing working sets, of multiplying 8-bit codes
with and without loading them, of unpacking 4 and 2 bits before (with shifts, or with masks only, where the sums are
shifted instead), and of the tiles of AMX for blocks of 1 to 64 frames. `kernels.py` makes floors of them.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from studies.evidence.machine import compiler, describe

SOURCE = Path(__file__).parent / "ceilings.cpp"


def measure(cxx: str, threads: int, realtime: bool) -> list[dict[str, Any]]:
    """One record a line that the program prints."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "ceilings"
        flags = ["-O3", "-march=native", "-std=c++17", "-pthread", "-w"]
        subprocess.run([cxx, *flags, str(SOURCE), "-o", str(program)], check=True)
        command = [*(["chrt", "--rr", "5"] if realtime else []), str(program), str(threads)]
        records = []
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout
            for line in running.stdout:
                record = json.loads(line)
                records.append(record)
                size = f"{record['bytes'] >> 10} KiB" if record["what"] == "read" else ""
                place = f"{record['what']} {size}, {record['threads']} threads"
                print(f"{place:60} {record['best']:10.1f} {record['unit']}", flush=True)
        if running.returncode:
            raise SystemExit(f"{SOURCE.name} ended with {running.returncode}")
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="measure 1 to this many")
    parser.add_argument("--cxx", default=os.environ.get("CXX", "c++"))
    parser.add_argument("--realtime", action="store_true", help="before all other jobs (for root)")
    arguments = parser.parse_args()
    records = measure(arguments.cxx, arguments.threads, arguments.realtime)
    result = {"machine": describe() | {"compiler": compiler(arguments.cxx)}, "records": records}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "ceilings.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
