"""Objectives that learn from another network."""

import fewbit.torch_side  # noqa: F401
from fewbit.distill.generative import GeneratedText, guided
from fewbit.distill.layer_intervention import LayerIntervention
from fewbit.distill.logits import LogitKD, soft_loss
from fewbit.distill.position_terms import entropies, label_losses, soft_terms
from fewbit.distill.shared_labels import LabelDevice, LabelRequest, SharedLabels
from fewbit.distill.signal_hooks import Place, inner_signals
from fewbit.distill.soft_labels import SoftLabels, TextBatch
from fewbit.distill.speq import SPEQ, cosine_loss
from fewbit.distill.teacher_intervention import SoftLoss, TeacherIntervention
from fewbit.distill.token_scaled import Parts, TokenScaledKD, position_scores, token_weights

__all__ = [
    "SPEQ",
    "GeneratedText",
    "LabelDevice",
    "LabelRequest",
    "LayerIntervention",
    "LogitKD",
    "Parts",
    "Place",
    "SharedLabels",
    "SoftLabels",
    "SoftLoss",
    "TeacherIntervention",
    "TextBatch",
    "TokenScaledKD",
    "cosine_loss",
    "entropies",
    "guided",
    "inner_signals",
    "label_losses",
    "position_scores",
    "soft_loss",
    "soft_terms",
    "token_weights",
]
