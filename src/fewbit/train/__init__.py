"""Floor 4: the training loop, objectives and schedules."""

import fewbit.torch_side  # noqa: F401
from fewbit.train.checkpoint import read_tensors, write_tensors
from fewbit.train.loop import History, fit
from fewbit.train.objectives import CTC, CrossEntropy, CTCBatch, GuidedCTC, HardLoss, Objective, outputs_of
from fewbit.train.schedules import Schedule, constant, cosine, linear

__all__ = [
    "CTC",
    "CTCBatch",
    "CrossEntropy",
    "GuidedCTC",
    "HardLoss",
    "History",
    "Objective",
    "Schedule",
    "constant",
    "cosine",
    "fit",
    "linear",
    "outputs_of",
    "read_tensors",
    "write_tensors",
]
