"""All cases of one network and number of threads, each loaded in a process of its own, taking turns in bursts."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.bursts import REST, environment
from benchmarks.peers.graph_table import Row, add_ratios, quantiles

ROOT = Path(__file__).parents[2]
CALLS = 30  # of a case in all, at least


@dataclass(frozen=True)
class Settings:
    """own, theirs: the Pythons with fewbit and with the peers. seconds: of a burst."""

    own: Path
    theirs: Path
    rounds: int = 5
    seconds: float = 0.25


class Process:
    """A case in a fresh process; it is stopped between its bursts, so that no thread of it spins then."""

    def __init__(self, case: str, folder: Path, threads: int, python: Path) -> None:
        self.case = case
        wanted = {"case": case, "folder": str(folder), "threads": threads, "cpus": cpus(threads)}
        self.process = subprocess.Popen(
            [str(python), "-m", "benchmarks.peers.graph_worker", json.dumps(wanted)],
            cwd=ROOT,
            env=environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self.known = self.answer()
        except RuntimeError:
            self.close()
            raise
        self.process.send_signal(signal.SIGSTOP)

    def answer(self) -> Any:
        """A line of the process.

        Raises:
            RuntimeError: it ended, or says that it failed.
        """
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended with {self.process.wait()}")
        found = json.loads(line)
        if isinstance(found, dict) and "error" in found:
            raise RuntimeError(found["error"])
        return found

    def burst(self, seconds: float, runs: int) -> list[float]:
        """Microseconds of each call of a burst."""
        assert self.process.stdin
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(f"{seconds} {runs}\n")
            self.process.stdin.flush()
            found: list[float] = self.answer()
            return found
        finally:
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(REST)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def cpus(threads: int) -> list[int]:
    """The last ones that this process may use: all cases of a number of threads run on the same."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(threads))
    return allowed[-threads:]


def measure(cases: Sequence[str], folder: Path, threads: int, settings: Settings) -> list[Row]:
    """A row for each case; what fails has its error in it."""
    rows: dict[str, Row] = {}
    running: list[Process] = []
    times: dict[str, list[float]] = {}
    try:
        for case in cases:
            library, kind = case.split()
            rows[case] = {"network": folder.name, "threads": threads, "library": library, "kind": kind}
            python = settings.own if library in ("fewbit", "torch") else settings.theirs
            try:
                process = Process(case, folder, threads, python)
            except (RuntimeError, OSError) as problem:
                rows[case]["error"] = str(problem)
                continue
            running.append(process)
            rows[case] |= process.known
        for number in range(settings.rounds):
            turn = number * len(running) // settings.rounds  # each round starts with another case
            for process in running[turn:] + running[:turn]:
                if "error" in rows[process.case]:
                    continue
                try:
                    runs = -(-CALLS // settings.rounds)
                    times.setdefault(process.case, []).extend(process.burst(settings.seconds, runs))
                except (RuntimeError, OSError) as problem:
                    rows[process.case]["error"] = str(problem)
    finally:
        for process in running:
            process.close()
    for case, row in rows.items():
        if "error" not in row:
            row |= quantiles(times[case])
    found = list(rows.values())
    add_ratios(found)
    return found
