"""Floor 4: the training loop, objectives and schedules."""

import fewbit.torch_side  # noqa: F401
from fewbit.train.checkpoint import read_tensors, write_tensors
from fewbit.train.loop import History, fit
from fewbit.train.norms import refresh_norms
from fewbit.train.objectives import (
    CTC,
    CrossEntropy,
    CTCBatch,
    GuidedCTC,
    HardLoss,
    Objective,
    PartOf,
    outputs_of,
)
from fewbit.train.schedules import Schedule, constant, cosine, linear
from fewbit.train.symmetric_sgd import SymmetricSGD

__all__ = [
    "CTC",
    "CTCBatch",
    "CrossEntropy",
    "GuidedCTC",
    "HardLoss",
    "History",
    "Objective",
    "PartOf",
    "Schedule",
    "SymmetricSGD",
    "constant",
    "cosine",
    "fit",
    "linear",
    "outputs_of",
    "read_tensors",
    "refresh_norms",
    "write_tensors",
]
