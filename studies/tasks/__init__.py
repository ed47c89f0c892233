"""Data and networks that several studies share."""

from studies.tasks.named import (
    NAMED_TASKS,
    convnet_task,
    language_task,
    named_task,
    perceptron_task,
    resnet_task,
)

__all__ = ["NAMED_TASKS", "convnet_task", "language_task", "named_task", "perceptron_task", "resnet_task"]
