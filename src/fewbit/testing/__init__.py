"""The laws, as checks for your own quantizers, layers, objectives, passes, Programs and decoders."""

import fewbit.torch_side  # noqa: F401
from fewbit.testing.laws import (
    check_decoder,
    check_layer,
    check_objective,
    check_pass,
    check_program,
    check_quantizer,
    splits,
)

__all__ = [
    "check_decoder",
    "check_layer",
    "check_objective",
    "check_pass",
    "check_program",
    "check_quantizer",
    "splits",
]
