"""The list of studies, and how one is run and kept."""

import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from fewbit.errors import DataError
from fewbit.studies.setting import Setting
from fewbit.studies.study import Study

STUDIES: dict[str, str] = {
    "01": "resiliency",
    "02": "recurrent_bits",
    "03": "compression_ratio",
    "04": "adaptive_steps",
    "05": "soft_labels",
    "06": "averaged_weights",
    "07": "error_sources",
    "08": "self_distillation",
    "09": "weight_noise",
    "resnet20": "resnet20",
}
"""Number of the paper (or name of a comparison) and the module of `fewbit.studies` that has its ``run(setting)``."""


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
    run: Callable[[Setting], Study] = import_module(f"fewbit.studies.{STUDIES[key]}").run
    start = time.perf_counter()
    study = run(setting)
    study = replace(study, seconds=round(time.perf_counter() - start, 1))
    study.save(setting.out)
    return study
