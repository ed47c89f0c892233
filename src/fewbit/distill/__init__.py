"""Floor 4: objectives that learn from another network."""

import fewbit.torch_side  # noqa: F401
from fewbit.distill.logits import LogitKD, soft_loss

__all__ = ["LogitKD", "soft_loss"]
