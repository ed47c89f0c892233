"""Objectives that learn from another network."""

import fewbit.torch_side  # noqa: F401
from fewbit.distill.generative import GeneratedText, guided
from fewbit.distill.logits import LogitKD, soft_loss
from fewbit.distill.shared_labels import LabelDevice, LabelRequest, SharedLabels
from fewbit.distill.soft_labels import SoftLabels, TextBatch
from fewbit.distill.speq import SPEQ, cosine_loss

__all__ = [
    "SPEQ",
    "GeneratedText",
    "LabelDevice",
    "LabelRequest",
    "LogitKD",
    "SharedLabels",
    "SoftLabels",
    "TextBatch",
    "cosine_loss",
    "guided",
    "soft_loss",
]
