"""A user's own network with its data, from a Python file: trained, compressed and packed on files."""

import fewbit.torch_side  # noqa: F401
from fewbit.tasks.network_file import SavedNetwork, load_network, save_network
from fewbit.tasks.steps import Measured, compress, compression, pack, train
from fewbit.tasks.task import Task, fingerprint, load_task

__all__ = [
    "Measured",
    "SavedNetwork",
    "Task",
    "compress",
    "compression",
    "fingerprint",
    "load_network",
    "load_task",
    "pack",
    "save_network",
    "train",
]
