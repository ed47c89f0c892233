"""The training loop, objectives and schedules."""

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
from fewbit.train.online_ctc import OnlineCTC, Part, WindowErrors
from fewbit.train.optimizers import OptimizerFactory, make_optimizer
from fewbit.train.schedules import Schedule, constant, cosine, linear
from fewbit.train.stream_trainer import StreamTrainer
from fewbit.train.streams import LabelledFrames, Placed, UtteranceStreams
from fewbit.train.symmetric_sgd import SymmetricSGD
from fewbit.train.truncated_bptt import TruncatedBPTT, one_update, trajectory

__all__ = [
    "CTC",
    "CTCBatch",
    "CrossEntropy",
    "GuidedCTC",
    "HardLoss",
    "History",
    "LabelledFrames",
    "Objective",
    "OnlineCTC",
    "OptimizerFactory",
    "Part",
    "PartOf",
    "Placed",
    "Schedule",
    "StreamTrainer",
    "SymmetricSGD",
    "TruncatedBPTT",
    "UtteranceStreams",
    "WindowErrors",
    "constant",
    "cosine",
    "fit",
    "linear",
    "make_optimizer",
    "one_update",
    "outputs_of",
    "read_tensors",
    "refresh_norms",
    "trajectory",
    "write_tensors",
]
