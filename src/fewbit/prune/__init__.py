"""Structured pruning: what belongs together, how good a mask is, and the smaller network."""

import fewbit.torch_side  # noqa: F401
from fewbit.prune.attention_heads import head_counts, set_head_counts
from fewbit.prune.best_of_n import BestOfN, masks_needed
from fewbit.prune.elements import Elements, Masks, Owned, masked
from fewbit.prune.gate_penalty import GatePenalty, gate_optimizer
from fewbit.prune.head_gates import Gates, add_gates, drop_gates, gates_on, held_gates, open_gates
from fewbit.prune.importance import Importance, Magnitude, RandomMask, Taylor
from fewbit.prune.kernels import kernels_of
from fewbit.prune.lowered_matrix import Lowered, lowered
from fewbit.prune.masks import Mask, add_masks, drop_masks, masks_on
from fewbit.prune.particle_filter import ParticleFilter
from fewbit.prune.patterns import Patterns
from fewbit.prune.removal import compact, remove
from fewbit.prune.score import ClassificationScore, MaskScore, Score
from fewbit.prune.search_result import SearchResult, SearchWarning
from fewbit.prune.shapes import take_shapes
from fewbit.prune.strided import refused_taps, strided_patterns, taps_of
from fewbit.prune.structure import Group, Structure, structure_of

__all__ = [
    "BestOfN",
    "ClassificationScore",
    "Elements",
    "GatePenalty",
    "Gates",
    "Group",
    "Importance",
    "Lowered",
    "Magnitude",
    "Mask",
    "MaskScore",
    "Masks",
    "Owned",
    "ParticleFilter",
    "Patterns",
    "RandomMask",
    "Score",
    "SearchResult",
    "SearchWarning",
    "Structure",
    "Taylor",
    "add_gates",
    "add_masks",
    "compact",
    "drop_gates",
    "drop_masks",
    "gate_optimizer",
    "gates_on",
    "head_counts",
    "held_gates",
    "kernels_of",
    "lowered",
    "masked",
    "masks_needed",
    "masks_on",
    "open_gates",
    "refused_taps",
    "remove",
    "set_head_counts",
    "strided_patterns",
    "structure_of",
    "take_shapes",
    "taps_of",
]
