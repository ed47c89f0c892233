"""The list of studies, and how one is run and kept."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import torch

from fewbit.atomic_file import write_atomically
from fewbit.errors import DataError
from studies.evidence.setting import Setting
from studies.evidence.study import Study

STUDIES: dict[str, str] = {
    "digits": "digits",
    "01": "size_resilience",
    "02": "weight_sensitivity",
    "03": "compression_ratio",
    "04": "adaptive_step_size",
    "05": "logit_distillation",
    "06": "sqwa",
    "07": "error_sources",
    "08": "speq",
    "09": "symmetric_sgd",
    "10": "teacher_intervention",
    "11": "token_scaled",
    "16": "head_gates",
    "17": "macro_block_dropout",
    "21": "hlstm",
    "22": "generative_transfer",
    "26": "mask_search",
    "27": "coarse_pruning",
    "28": "sparse_ternary",
    "ternary-weights": "ternary_weights",
    "pruned-recogniser": "pruned_recogniser",
    "resnet20": "resnet20",
    "cifar100": "cifar100",
    "imagenet": "imagenet",
}
"""Number of the paper (or name of a comparison) and the module of `studies.methods` that has its ``run(setting)``."""
FULL_ONLY = ("cifar100", "imagenet")
"""Studies that have no small size; they are no part of `all`."""
LONG_RUNS = ("21", "22", "resnet20", "pruned-recogniser", *FULL_ONLY)
"""Studies of which one run takes more than two minutes."""


def usual_seeds(key: str) -> tuple[int, ...]:
    """The independent repetitions of a study: five where a run takes less than two minutes, else three."""
    return tuple(range(3 if key in LONG_RUNS else 5))


def reproduce(key: str, setting: Setting) -> Study:
    """Run a study, write its JSON and pictures into ``setting.out`` and return it.

    Args:
        key: one of `STUDIES`.
        setting: where and how.

    Raises:
        DataError: no such study, or its data are not there.
    """
    if key not in STUDIES:
        raise DataError(f"there is no study {key!r}; there are {', '.join(STUDIES)}")
    setting.out.mkdir(parents=True, exist_ok=True)
    run: Callable[[Setting], Study] = import_module(f"studies.methods.{STUDIES[key]}").run
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are small, and several trainings may share the cores
    try:
        with _stopwatch(setting.cache / "seconds.json", key) as seconds:
            study = run(setting)
    finally:
        torch.set_num_threads(threads)
    study = replace(study, seconds=round(seconds[key], 1))
    study.save(setting.out)
    return study


@contextmanager
def _stopwatch(path: Path, key: str) -> Iterator[dict[str, float]]:
    """Adds the time of the block to what earlier, stopped runs of the same study took."""
    seconds: dict[str, float] = {}
    start = time.perf_counter()
    try:
        yield seconds
    finally:
        kept: dict[str, float] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        seconds |= kept | {key: kept.get(key, 0.0) + time.perf_counter() - start}
        write_atomically(path, json.dumps(seconds) + "\n")
