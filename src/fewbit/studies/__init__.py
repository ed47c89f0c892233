"""Floor 6: the methods measured in small on real data, each study a claim of a paper and what came of it."""

import fewbit.torch_side  # noqa: F401
from fewbit.studies.registry import FULL_ONLY, STUDIES, reproduce
from fewbit.studies.results import section, write_results
from fewbit.studies.setting import Setting
from fewbit.studies.study import Study, read_study, spread
from fewbit.studies.tasks import (
    NAMED_TASKS,
    convnet_task,
    language_task,
    named_task,
    perceptron_task,
    resnet_task,
)

__all__ = [
    "FULL_ONLY",
    "NAMED_TASKS",
    "STUDIES",
    "Setting",
    "Study",
    "convnet_task",
    "language_task",
    "named_task",
    "perceptron_task",
    "read_study",
    "reproduce",
    "resnet_task",
    "section",
    "spread",
    "write_results",
]
