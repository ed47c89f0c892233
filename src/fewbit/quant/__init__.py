"""Quantizers, and how they are put on any network."""

import fewbit.torch_side  # noqa: F401
from fewbit.quant.activation import Activation, Fixed, PerTokenActivation
from fewbit.quant.adaptive import AdaptiveUniform
from fewbit.quant.attaching import (
    Selection,
    attach,
    calibrate,
    detach,
    input_quantizer,
    quantizer_of,
    quantizers,
    selection_of,
    weight_names,
)
from fewbit.quant.base import Codes, Quantizer, check_finite, straight_through
from fewbit.quant.flat_weights import forget_flat_weights
from fewbit.quant.following import Follower
from fewbit.quant.learned import LearnedActivation, LearnedUniform
from fewbit.quant.parametrizations import unparametrize
from fewbit.quant.sparse_ternary import SparseTernaryUniform
from fewbit.quant.spec import Spec, activation_quantizer, weight_quantizer
from fewbit.quant.step_size import fit_step, refine_step
from fewbit.quant.ternary_weights import TernaryThreshold
from fewbit.quant.uniform import BinaryMean, Uniform

__all__ = [
    "Activation",
    "AdaptiveUniform",
    "BinaryMean",
    "Codes",
    "Fixed",
    "Follower",
    "LearnedActivation",
    "LearnedUniform",
    "PerTokenActivation",
    "Quantizer",
    "Selection",
    "SparseTernaryUniform",
    "Spec",
    "TernaryThreshold",
    "Uniform",
    "activation_quantizer",
    "attach",
    "calibrate",
    "check_finite",
    "detach",
    "fit_step",
    "forget_flat_weights",
    "input_quantizer",
    "quantizer_of",
    "quantizers",
    "refine_step",
    "selection_of",
    "straight_through",
    "unparametrize",
    "weight_names",
    "weight_quantizer",
]
