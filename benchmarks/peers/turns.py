"""All kernels for one setting, taking turns in short bursts."""

import shutil
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.floors import Floors
from benchmarks.peers.bursts import Command, Worker, merge
from benchmarks.peers.ratios import ratios


class Turns:
    """Measures settings; gathers the versions of the peers on the way."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        self.floors = Floors.read(arguments.out / "ceilings.json")
        self.program = shutil.which(arguments.fewbit) or ""
        self.versions: dict[str, str] = {}

    def measure(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        """Every kernel for one setting."""
        setting = Setting()
        wanted = self.arguments
        formats = wanted.formats if self.program else []
        commands = {f: Command(self.program, kind, f, given, wanted.realtime) for f in formats}
        if not self.program:
            setting.failed["fewbit"] = f"there is no command {wanted.fewbit}"
        try:
            for peer in wanted.peers:
                worker = Worker(wanted.python, peer, kind, given, wanted.only, wanted.realtime)
                setting.workers.append(worker)
                self.versions |= setting.introduce(worker)
            known = setting.known
            for number in range(wanted.rounds):
                turn = number * len(known) // wanted.rounds  # each round starts with another kernel
                for worker, index, case in known[turn:] + known[:turn]:
                    setting.burst(case["name"], partial(worker.burst, index, wanted.seconds))
                for format, command in commands.items():
                    setting.burst(f"fewbit {format}", command.burst)
        finally:
            for worker in setting.workers:
                worker.close()
        times = setting.times
        cases = [case | merge(times[case["name"]]) for _, _, case in known if times.get(case["name"])]
        own = {f: self.own(kind, given, f, times[f"fewbit {f}"], cases) for f in commands if times.get(f"fewbit {f}")}
        return given | {"peers": cases, "fewbit": own, "failed": setting.failed}

    def own(
        self, kind: str, given: dict[str, Any], format: str, bursts: list[dict[str, Any]], cases: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Fewbit's figure with its ratios to the peers and to the floor."""
        found = bursts[-1] | merge(bursts)
        if "relative_error" in found:
            found["relerr"] = found.pop("relative_error")
        found |= ratios(found, format, cases)
        if self.floors:
            floor_of = self.floors.product if kind == "matmul" else self.floors.network
            floor = floor_of(**given, format=format)
            if floor:
                found |= floor | {"times_floor": round(found["median_us"] / floor["floor_us"], 3)}
        return found


class Setting:
    """What is known while one setting is measured."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.known: list[tuple[Worker, int, dict[str, Any]]] = []
        self.times: dict[str, list[dict[str, Any]]] = {}
        self.failed: dict[str, str] = {}

    def introduce(self, worker: Worker) -> dict[str, str]:
        """Take the cases of a worker; the versions that it tells."""
        try:
            found = worker.cases()
        except RuntimeError as problem:
            self.failed[worker.peer] = str(problem)
            return {}
        self.failed |= found["failed"]
        self.known += [(worker, index, case) for index, case in enumerate(found["cases"])]
        versions: dict[str, str] = found["versions"]
        return versions

    def burst(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        """One burst of a kernel, unless it failed before."""
        if name in self.failed:
            return
        try:
            self.times.setdefault(name, []).append(measure())
        except (RuntimeError, ValueError, OSError) as problem:
            self.failed[name] = str(problem)
            self.times.pop(name, None)
