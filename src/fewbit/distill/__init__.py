"""Floor 4: objectives that learn from another network."""

import fewbit.torch_side  # noqa: F401
from fewbit.distill.logits import LogitKD, soft_loss
from fewbit.distill.stochastic_precision import SPEQ, cosine_loss

__all__ = ["SPEQ", "LogitKD", "cosine_loss", "soft_loss"]
