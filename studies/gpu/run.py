"""Studies on a GPU, in one call: kernels against loops and cuDNN, then many networks trained side by side.

    PYTHONPATH=src FEWBIT_DATA=build/gpu/data python -m studies.gpu.run --out build/gpu/out [--seconds 520]

Timings run alone and first. Then a short trial of all kinds of training at once says how long a step takes, and how
long the trainings can be follows from that (`budget.py`). Each network is a process of its own; each row is in
``rows.jsonl`` as soon as it is there, so that a second call goes on where the first was stopped. ``gpu.json`` holds all
rows, the seconds of each job, what failed, and the card. With --small all of it runs on noise in two minutes on a CPU.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.gpu import rows
from studies.gpu.jobs import Ended, Job, run_jobs
from studies.gpu.sharing import shared_gpu

ROOT = Path(__file__).parents[2]
ALONE = 130.0
"""Most seconds for the timings."""
WARMUP, WINDOW, LATE = 15.0, 12.0, 10.0
"""Seconds until all processes of the trial are at work, those in which they are watched, and a last wait."""
RESERVE = 8.0
"""Seconds kept for the end."""
SOUND = 1e-3
"""A fused recurrence may be as far from float64 as this; one that is further is not used in training."""
GROUPS = ("timings", "resnet20", "hierarchical", "an4")
TRIED = (
    *(("resnet20", arm) for arm in ("float", "float, retrained + KD", "retrained", "+ KD", "retrained, 2-bit signals")),
    *(("resnet20", arm) for arm in ("+ SPEQ", "+ SPEQ", "float")),
    *(("hierarchical", arm) for arm in ("HLSTM-B", "no reset", "flat")),
    *(("an4", arm) for arm in ("ordinary", "four times as wide", "control", "ternary")),
)
"""What runs at once in the trial, in the shares that it will have."""
MODULES = {"resnet20": "pictures", "hierarchical": "letters", "an4": "speech"}


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    begin = time.monotonic()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asks for the GPU without opening it, before processes part
    paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    arguments.out.mkdir(parents=True, exist_ok=True)
    run = Runner(arguments.out / "rows.jsonl", arguments.work, begin + arguments.seconds - RESERVE)
    try:
        if not run([probe("alone")], 1):
            run.method = "spawn"
        if "timings" in arguments.only:
            run(timings(arguments.small), 1, begin + ALONE)
            write(arguments.out, run.ended, time.monotonic() - begin)
        with shared_gpu(wanted=arguments.mps) as variables:
            run.environment = variables
            if variables and not run([probe("shared")], 1, time.monotonic() + 30):
                run.environment = {}
            if not rows.of(rows.read(run.out), kind="budget") and set(arguments.only) & set(MODULES):
                rows.append(run.out, decide(arguments, run))
            run(trainings(arguments, run.out), arguments.slots)
        run.environment = {}
        run(trainings(arguments, run.out, graphs=False), arguments.slots)  # what failed, once more and plainly
    finally:
        result = write(arguments.out, run.ended, time.monotonic() - begin)
        print(json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1))


class Runner:
    """Runs jobs with all that stays the same.

    Args:
        out: file of rows.
        work: folder for logs.
        deadline: of all jobs, on the clock of `time.monotonic`.
    """

    def __init__(self, out: Path, work: Path, deadline: float) -> None:
        self.out, self.logs, self.deadline = out, work / "logs", deadline
        self.environment: Mapping[str, str] = {}
        self.method = "forkserver"
        self.ended: list[Ended] = []

    def __call__(self, jobs: Sequence[Job], slots: int, until: float = math.inf) -> bool:
        """Whether all of them are done."""
        from studies.gpu import budget

        ended = run_jobs(
            jobs,
            self.out,
            self.logs,
            slots=slots,
            deadline=min(until, self.deadline),
            shares=budget.SHARES,
            environment=self.environment,
            method=self.method,
        )
        for name, said in ended.failed.items():
            print(f"failed: {name}\n{said}", file=sys.stderr, flush=True)
        self.ended.append(ended)
        return not (ended.failed or ended.stopped or ended.waiting)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for rows.jsonl and gpu.json")
    parser.add_argument("--work", type=Path, default=Path("build/gpu/work"), help="folder for logs and float networks")
    parser.add_argument("--seconds", type=float, default=520.0, help="after which whatever still runs is stopped")
    parser.add_argument("--slots", type=int, default=max(1, (os.cpu_count() or 1) - 2), help="processes at once")
    parser.add_argument("--small", action="store_true", help="everything in tiny, on noise")
    parser.add_argument("--mps", action="store_true", help="let kernels of several processes run at once (sharing.py)")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="groups to run")
    return parser.parse_args(argv)


def probe(how: str) -> Job:
    """Whether processes can use the GPU; asked anew in every call, which may be on another machine."""
    return Job(f"probe {how} {time.time():.0f}", "studies.gpu.device:probe")


def timings(small: bool) -> list[Job]:
    """What runs alone."""
    return [
        Job("scans", "studies.gpu.scans:run", {"small": small}, "timings"),
        Job("LSTM plans", "studies.gpu.lstm_plans:run", {"small": small}, "timings"),
    ]


def decide(arguments: argparse.Namespace, run: Runner) -> rows.Row:
    """The row of a budget that fits the time left."""
    from studies.gpu import budget

    begin = time.time() + (0 if arguments.small else WARMUP)
    end = begin + (1 if arguments.small else WINDOW)
    wanted = [(group, arm) for group, arm in TRIED if group in arguments.only]
    if not arguments.small:  # few kinds fill the machine as their trainings will
        wanted *= max(1, arguments.slots // max(1, len(wanted)))
    watched = {"begin": begin, "end": end, "small": arguments.small}
    more = {"an4": {"fused": sound(rows.read(run.out))}}
    jobs = [
        Job(
            f"trial {i} {group} {arm}",
            f"studies.gpu.{MODULES[group]}:trial",
            {"arm": arm} | watched | more.get(group, {}),
            group,
        )
        for i, (group, arm) in enumerate(wanted)
    ]
    slots = arguments.slots if arguments.small else len(jobs)
    run(jobs, slots, math.inf if arguments.small else time.monotonic() + WARMUP + WINDOW + LATE)
    if arguments.small:
        return budget.SMALL.row()
    trials = rows.of(rows.read(run.out), kind="trial")
    groups = {group for group, _ in wanted}
    return budget.plan(trials, run.deadline - time.monotonic(), arguments.slots, groups).row()


def trainings(arguments: argparse.Namespace, out: Path, graphs: bool = True) -> list[Job]:
    """A job for each network, those first that others need or that take longest.

    Args:
        graphs: whether steps may be CUDA graphs, where the trial found them equal to plain steps.
    """
    from studies.gpu import budget, letters, pictures, speech

    found = rows.of(rows.read(out), kind="budget")
    if not found:
        return []
    chosen, small = budget.from_row(found[0]), {"small": arguments.small}
    networks = str(arguments.work / "networks")
    equal = {row["part"]: row["graphed"] for row in rows.of(rows.read(out), kind="trial", group="resnet20")}
    jobs = []
    longest = ("float", "+ SPEQ", "retrained, 2-bit signals")
    arms = [*longest, *(arm for arm in pictures.NAMES if arm not in longest)]
    for arm in arms:
        for seed in range(chosen.seeds["resnet20"]):
            given = {"seed": seed, "arm": arm, "epochs": chosen.epochs, "networks": networks} | small
            given["graphs"] = graphs and equal.get(pictures.ALIKE.get(arm, arm), False)
            name, first = f"resnet20 {seed} {arm}", f"resnet20 {seed} float"
            jobs.append(Job(name, "studies.gpu.pictures:arm", given, "resnet20", "" if arm == "float" else first))
    for seed in range(chosen.seeds["hierarchical"]):
        for arm in letters.NAMES:
            given = {"seed": seed, "arm": arm, "epochs": chosen.text_epochs} | small
            jobs.append(Job(f"hierarchical {seed} {arm}", "studies.gpu.letters:arm", given, "hierarchical"))
    fused = sound(rows.read(out))
    for seed in range(chosen.seeds["an4"]):
        for arm in speech.NAMES:
            given = {"seed": seed, "arm": arm, "epochs": chosen.speech_epochs, "fused": fused} | small
            given["networks"] = networks
            after = f"an4 {seed} ordinary" if arm in speech.TAUGHT else ""
            jobs.append(Job(f"an4 {seed} {arm}", "studies.gpu.speech:arm", given, "an4", after))
    return [job for job in jobs if job.group in arguments.only]


def sound(found: Sequence[rows.Row]) -> bool:
    """Whether the fused recurrences were checked and found right."""
    checks = rows.of(found, kind="check")
    return bool(checks) and all(max(row["fused outputs"], row["fused gradients"]) < SOUND for row in checks)


def write(folder: Path, ended: Sequence[Ended], seconds: float) -> dict[str, Any]:
    """The summary of all calls so far."""
    from studies.gpu.device import describe

    found = rows.read(folder / "rows.jsonl")
    jobs = rows.done(found)
    result = {
        "machine": describe(),
        "seconds": round(seconds, 1),
        "jobs": jobs,
        "failed": {name: said for part in ended for name, said in part.failed.items() if name not in jobs},
        "mended": sorted({name for part in ended for name in part.failed} & set(jobs)),
        "not_ended": sorted({name for part in ended for name in (*part.stopped, *part.waiting)} - set(jobs)),
        "rows": [row for row in found if row.get("kind") != rows.DONE],
    }
    (folder / "gpu.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main()
