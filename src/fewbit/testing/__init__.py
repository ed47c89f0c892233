"""Floor 5: the laws, to check your own quantizers, layers, objectives, passes, programs and decoders with."""

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
