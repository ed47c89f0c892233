"""Measure the cases of one peer, burst by burst, as the process that started this one asks.

    python -m benchmarks.peers.worker '{"peer": "torch", "kind": "matmul", "only": "", "realtime": false, ...}'

Prints one line of JSON with the cases (name, bits, bytes of weights, relative error) and what could not be built;
then for each line `INDEX SECONDS` on standard input one line with the times of a burst.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
import warnings
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.peers.case import Case, Offer
from benchmarks.peers.timing import burst, priority


def build(offers: list[Offer], only: str) -> tuple[list[Case], list[dict[str, Any]], dict[str, str]]:
    """The cases that can be built, what is known of them, and why others cannot."""
    cases: list[Case] = []
    known: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for offer in offers:
        if only and not any(part in offer.name for part in only.split(",")):
            continue
        try:
            case = offer.build()
            error = case.relerr()
            case.run()
        except Exception as problem:  # whatever a peer raises, the others are measured
            failed[offer.name] = f"{type(problem).__name__}: {problem}"[:300]
            continue
        cases.append(case)
        known.append(
            {
                "name": offer.name,
                "bits": offer.bits,
                "by_hand": offer.by_hand,
                "weight_bytes": case.weight_bytes,
                "relerr": float(f"{error:.3g}"),
            }
        )
    return cases, known, failed


def end_with_parent() -> None:
    """A worker is stopped most of the time and would not see that nobody asks any more (Linux: PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def main() -> None:
    end_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get between the answers
    warnings.simplefilter("ignore")
    wanted = json.loads(sys.argv[1])
    matmul, rnn = PEERS[wanted["peer"]]
    name = matmul if wanted["kind"] == "matmul" else rnn
    cases: list[Case] = []
    known: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    versions: dict[str, str] = {}
    if name:
        try:
            module = importlib.import_module(name)
            versions = module.versions()
            offers = getattr(module, wanted["kind"])(**wanted["arguments"])
            cases, known, failed = build(offers, wanted["only"])
        except (ImportError, OSError) as problem:
            failed = {wanted["peer"]: f"{type(problem).__name__}: {problem}"}
    print(json.dumps({"cases": known, "failed": failed, "versions": versions}), file=answers, flush=True)
    for line in sys.stdin:
        index, seconds = line.split()
        with priority(wanted["realtime"]):
            times = burst(cases[int(index)].run, float(seconds))
        print(json.dumps(times), file=answers, flush=True)


if __name__ == "__main__":
    main()
