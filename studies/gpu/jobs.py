"""Jobs in processes of their own, several at once, until a deadline; none can harm another."""

import importlib
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from studies.gpu import rows

PRELOADED = ["torch", "studies.methods.resnet20", "studies.methods.hlstm", "fewbit.models"]
"""What all processes need, imported once; nothing of it may touch the GPU."""
TOLD = 4000
"""Characters kept of what a failed job said last."""
LAST = 5.0
"""Seconds that a stopped process may take to end."""


@dataclass(frozen=True)
class Job:
    """A function that is called as ``function(tell, **given)`` and tells its rows.

    Args:
        name: tells jobs apart, in this call and the next.
        call: ``module:function``.
        given: plain values.
        group: jobs of a group share slots.
        after: job that must have ended, well or not, before this one starts.
    """

    name: str
    call: str
    given: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    after: str = ""


@dataclass
class Ended:
    """Jobs of one call: what those that failed said last, and who was stopped or never began."""

    failed: dict[str, str] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def run_jobs(
    jobs: Sequence[Job],
    out: Path,
    logs: Path,
    *,
    slots: int,
    deadline: float,
    shares: Mapping[str, float] | None = None,
    environment: Mapping[str, str] | None = None,
    method: str = "forkserver",
    preload: Sequence[str] = PRELOADED,
) -> Ended:
    """Run what is not done yet; whatever has not ended at the deadline is stopped.

    Args:
        jobs: in the order in which they start, where slots and `after` let them.
        out: file of rows; a job whose last row is there is not run again.
        logs: folder for what each job prints.
        slots: processes at once.
        deadline: on the clock of `time.monotonic`.
        shares: of the slots for each group, as long as it has jobs for them; default equal ones.
        environment: variables of the processes.
        method: how they start; ``spawn`` takes longer and depends on less.
        preload: modules that ``forkserver`` imports once for all processes.
    """
    known = rows.done(rows.read(out))
    waiting = [job for job in jobs if job.name not in known]
    running: dict[str, tuple[Job, Any]] = {}
    ended = Ended()
    logs.mkdir(parents=True, exist_ok=True)
    context: Any = get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(list(preload))
    over = False
    while (waiting and not over) or running:
        over = time.monotonic() >= deadline
        open_names = {job.name for job in waiting} | set(running)
        while not over and len(running) < slots:
            ready = [job for job in waiting if job.after not in open_names]
            groups = [job.group for job, _ in running.values()]
            job = next_job(ready, groups, caps([*groups, *(job.group for job in waiting)], shares or {}, slots))
            if job is None:
                break
            waiting.remove(job)
            process = context.Process(
                target=_work, args=(job, out, _log(logs, job), dict(environment or {})), name=job.name
            )
            process.start()
            running[job.name] = job, process
        sentinels = [process.sentinel for _, process in running.values()]
        connection.wait(sentinels, timeout=max(0.0, min(1.0, deadline - time.monotonic())))
        for name, (job, process) in list(running.items()):
            if process.is_alive():
                if not over:
                    continue
                process.kill()
                ended.stopped.append(name)
            process.join(LAST)  # a process that is stopped may wait for its GPU for ever
            del running[name]
            if process.exitcode and not over:
                said = (
                    _log(logs, job).read_text(encoding="utf-8", errors="replace") if _log(logs, job).is_file() else ""
                )
                ended.failed[name] = f"exit code {process.exitcode}\n{said[-TOLD:]}"
    ended.waiting = [job.name for job in waiting]
    return ended


def next_job(ready: Sequence[Job], running: Sequence[str], most: Mapping[str, int]) -> Job | None:
    """The first ready job whose group runs fewer than it may."""
    return next((job for job in ready if running.count(job.group) < most[job.group]), None)


def caps(groups: Sequence[str], shares: Mapping[str, float], slots: int) -> dict[str, int]:
    """How many jobs of each group may run: its share, and what groups with fewer jobs leave.

    Args:
        groups: of all jobs that run or wait.
        shares: weights of groups; 1 where none is given.
        slots: to be shared.
    """
    counts, found = Counter(groups), dict[str, int]()
    left = slots
    while open_groups := [group for group in counts if group not in found]:
        total = sum(shares.get(group, 1.0) for group in open_groups)
        parts = {group: left * shares.get(group, 1.0) / total for group in open_groups}
        small = [group for group in open_groups if counts[group] <= parts[group]]
        for group in small or open_groups:
            found[group] = counts[group] if small else max(1, round(parts[group]))
        left -= sum(found[group] for group in small)
    return found


def _log(logs: Path, job: Job) -> Path:
    return logs / f"{''.join(c if c.isalnum() else '_' for c in job.name)}.log"


def _work(job: Job, out: Path, log: Path, environment: dict[str, str]) -> None:
    """What a process does."""
    os.environ.update(environment)
    import torch

    torch.set_num_threads(1)
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        begin = time.monotonic()
        try:
            module, name = job.call.split(":")
            getattr(importlib.import_module(module), name)(
                lambda row: rows.append(out, {"job": job.name} | json.loads(json.dumps(row))), **job.given
            )
            rows.append(out, {"job": job.name, "kind": rows.DONE, "seconds": round(time.monotonic() - begin, 2)})
        except Exception:
            traceback.print_exc()
            sys.stderr.flush()
            sys.exit(1)
