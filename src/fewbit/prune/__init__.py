"""Structured pruning: what belongs together, how good a mask is, and the smaller network."""

import fewbit.torch_side  # noqa: F401
from fewbit.prune.best_of_n import BestOfN, masks_needed
from fewbit.prune.elements import Elements, Masks, Owned, masked
from fewbit.prune.importance import Importance, Magnitude, RandomMask, Taylor
from fewbit.prune.particle_filter import ParticleFilter
from fewbit.prune.score import ClassificationScore, MaskScore, Score
from fewbit.prune.search_result import SearchResult, SearchWarning

__all__ = [
    "BestOfN",
    "ClassificationScore",
    "Elements",
    "Importance",
    "Magnitude",
    "MaskScore",
    "Masks",
    "Owned",
    "ParticleFilter",
    "RandomMask",
    "Score",
    "SearchResult",
    "SearchWarning",
    "Taylor",
    "masked",
    "masks_needed",
]
