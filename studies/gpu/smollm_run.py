"""Ternary SmolLM2 on a GPU, in one call: cross entropy, logit KD, and teacher intervention with token-scaled KD.

    PYTHONPATH=src FEWBIT_DATA=build/gpu/data python -m studies.gpu.smollm_run --out build/gpu/smollm [--seconds 520]

All arms have as many updates; a trial of all of them at once says for how many the time is enough. Each row is in
``rows.jsonl`` as soon as it is there, and each training leaves a checkpoint after each part, so that a second call with
the same folders goes on where the first was stopped. ``gpu.json`` holds all rows, what failed, and the card. With
--small all of it runs with a tiny random network in a minute on a CPU.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studies.gpu import rows
from studies.gpu.jobs import Job
from studies.gpu.run import RESERVE, ROOT, Runner, probe, write
from studies.gpu.sharing import shared_gpu

WARMUP, WINDOW, LATE = 40.0, 12.0, 15.0
"""Seconds until all arms are at work, those in which they are watched, and a last wait."""
FILL, OVERHEAD, ASSUMED = 0.8, 60.0, 1.5
"""Part of the time that is planned for; seconds of jobs besides their updates; of an update where a trial failed."""
TEACHER_PART = 0.25
"""Of the updates of an arm, those of the teacher; it trains alone, and its updates take less time."""
TEACHER_COST = 0.3
"""Of the seconds of an update of the arms side by side, those of the teacher's; planned, not measured."""
SMALL_UPDATES = 2


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    begin = time.monotonic()
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
    paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    arguments.out.mkdir(parents=True, exist_ok=True)
    run = Runner(arguments.out / "rows.jsonl", arguments.work, begin + arguments.seconds - RESERVE)
    data = os.environ.get("FEWBIT_DATA", "build/gpu/data")
    given = {"networks": str(arguments.work / "networks"), "data": data, "small": arguments.small}
    if not arguments.small:
        from studies.gpu.smollm_data import join

        join(Path(data) / "smollm2")
    try:
        if not run([probe("alone")], 1):
            run.method = "spawn"
        run([Job("smollm network", "studies.gpu.smollm:network", given)], 1)
        with shared_gpu(wanted=arguments.mps) as variables:
            run.environment = variables
            if not rows.of(rows.read(run.out), kind="budget"):
                rows.append(run.out, decide(run, given, begin + arguments.seconds))
            (budget,) = rows.of(rows.read(run.out), kind="budget")
            run(trainings(given, budget["updates"]), arguments.slots)
        run.environment = {}
        run(trainings(given, budget["updates"]), arguments.slots)  # what failed, once more
    finally:
        result = write(arguments.out, run.ended, time.monotonic() - begin)
        print(json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for rows.jsonl and gpu.json")
    parser.add_argument("--work", type=Path, default=Path("build/gpu/smollm_work"), help="networks and logs")
    parser.add_argument("--seconds", type=float, default=520.0, help="after which whatever still runs is stopped")
    parser.add_argument("--slots", type=int, default=3, help="trainings at once")
    parser.add_argument("--small", action="store_true", help="everything in tiny, with random weights and tokens")
    parser.add_argument("--mps", action="store_true", help="let kernels of several processes run at once (sharing.py)")
    return parser.parse_args(argv)


def decide(run: Runner, given: dict[str, Any], end: float) -> rows.Row:
    """The row that says how many updates each arm has; nothing of it looks at a loss.

    end: of the call, on the clock of `time.monotonic`.
    """
    from studies.gpu.smollm import ARMS

    if given["small"]:
        begin = time.time()
        watched = {"begin": begin, "end": begin + 1}
    else:
        begin = time.time() + WARMUP
        watched = {"begin": begin, "end": begin + WINDOW}
    jobs = [
        Job(f"smollm trial {arm}", "studies.gpu.smollm:trial", given | watched | {"arm": arm}, "smollm") for arm in ARMS
    ]
    run(jobs, len(jobs), time.monotonic() + (120 if given["small"] else WARMUP + WINDOW + LATE))
    trials = rows.of(rows.read(run.out), kind="trial", group="smollm")
    updates = SMALL_UPDATES if given["small"] else planned(trials, end - time.monotonic())
    return {"job": "smollm budget", "kind": "budget", "updates": updates}


def planned(trials: Sequence[rows.Row], left: float) -> int:
    """Updates of an arm, all side by side, that are likely to end in `left` seconds, the teacher's before them."""
    update = max((row["seconds"] for row in trials), default=ASSUMED)
    return max(4, int((FILL * left - OVERHEAD) / (update * (1 + TEACHER_PART * TEACHER_COST))))


def trainings(given: dict[str, Any], updates: int) -> list[Job]:
    """The teacher, and after it all arms."""
    from studies.gpu.smollm import ARMS

    first = "smollm teacher"
    found = [
        Job(first, "studies.gpu.smollm:teacher", given | {"updates": max(1, int(TEACHER_PART * updates))}, "smollm")
    ]
    for arm in ARMS:
        more = given | {"arm": arm, "updates": updates}
        found.append(Job(f"smollm {arm}", "studies.gpu.smollm:arm", more, "smollm", first))
    return found


if __name__ == "__main__":
    main()
