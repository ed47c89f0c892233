"""Processes that measure bursts in turn: a worker for each peer, and the command line of fewbit."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
REST = 0.01  # seconds between bursts


def environment(threads: int) -> dict[str, str]:
    return os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))


class Worker:
    """A process with the cases of one peer. It is stopped between its bursts, so that no thread of it spins then."""

    def __init__(
        self, python: Path, peer: str, kind: str, arguments: dict[str, Any], only: str, realtime: bool
    ) -> None:
        wanted = {"peer": peer, "kind": kind, "arguments": arguments, "only": only, "realtime": realtime}
        self.peer = peer
        self.process = subprocess.Popen(
            [str(python), "-m", "benchmarks.peers.worker", json.dumps(wanted)],
            cwd=ROOT,
            env=environment(arguments["threads"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.peer} ended with {self.process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found

    def cases(self) -> dict[str, Any]:
        """What there is to measure; the process is stopped from here on."""
        found = self.answer()
        self.process.send_signal(signal.SIGSTOP)
        return found

    def burst(self, index: int, seconds: float) -> dict[str, Any]:
        assert self.process.stdin
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(f"{index} {seconds}\n")
            self.process.stdin.flush()
            return self.answer()
        finally:
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(REST)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Command:
    """``fewbit bench``: a process for each burst."""

    def __init__(self, program: str, kind: str, format: str, arguments: dict[str, Any], realtime: bool) -> None:
        if kind == "matmul":
            shape = f"{arguments['rows']}x{arguments['columns']}"
            options = {"shape": shape, "rows": arguments["frames"], "threads": arguments["threads"]}
        else:
            options = arguments
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        first = ["chrt", "--rr", "5"] if realtime else []
        self.command = [*first, program, "bench", kind, "--format", format, *given, "--json"]
        self.environment = environment(1)  # fewbit's own threads are what --threads says

    def burst(self) -> dict[str, Any]:
        done = subprocess.run(self.command, env=self.environment, capture_output=True, text=True, check=False)
        time.sleep(REST)
        if done.returncode:
            reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise RuntimeError(f"`{' '.join(self.command)}` ended with {done.returncode}: {' '.join(reason)}")
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found


def merge(bursts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One figure of several bursts: the median of each quantile, and the medians one by one."""
    found: dict[str, Any] = {}
    for name in ("median_us", "p10_us", "p90_us"):
        values = sorted(burst[name] for burst in bursts)
        middle = len(values) // 2
        value = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
        found[name] = round(value, 3)
    return found | {"rounds_us": [round(burst["median_us"], 3) for burst in bursts]}
