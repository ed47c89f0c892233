"""The tasks of the studies for ``fewbit analyze``, with the data sets under ``FEWBIT_DATA``.

fewbit analyze resilience studies.tasks.ready:lstm
"""

from pathlib import Path

from fewbit.tasks import Task
from studies.evidence.setting import Setting
from studies.tasks.named import named_task


def perceptron() -> Task:
    return _named("perceptron")


def convnet() -> Task:
    return _named("convnet")


def resnet20() -> Task:
    return _named("resnet20")


def lstm() -> Task:
    return _named("lstm")


def gru() -> Task:
    return _named("gru")


def sru() -> Task:
    return _named("sru")


def _named(name: str) -> Task:
    return named_task(name, Setting(Path(), Path()))
