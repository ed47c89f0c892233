"""Spec strings: the one grammar in which quantizers are named.

    spec        = format [ "/" size | ":row" | ":token" ] [ "+adaptive" | "+learned" | "+twn" | "+norm" ]
    format      = "ternary" | "binary" | "int2".."int8" | "uint2".."uint8" | "qM.N" | "sparseN,K" | "sparseN=K"

``ternary``, ``int4``, ``int4/128`` (a step for each 128 weights), ``int4:row``, ``int8:token`` (a step for each time
step), ``uint8``, ``q3.12``. What follows the plus says how the step moves in training: ``ternary:row+adaptive``,
``uint2+learned``, or, of three levels, ``ternary+twn``: threshold and step of ternary weight networks. ``sparse8,2``
has at most two non-zeros in eight, ``sparse4=3`` exactly three in four; ``+norm`` fits one step to rows of equal size.
Every quantizer prints as its spec (`Quantizer.spec`) and parses back.
"""

import re

from fewbit.errors import FormatError
from fewbit.formats import (
    Binary,
    FixedPoint,
    Granularity,
    PerGroup,
    PerRow,
    PerTensor,
    PerToken,
    SparseTernary,
    Ternary,
    UInt,
    format_from_name,
)
from fewbit.quant.activation import Activation, Fixed, PerTokenActivation
from fewbit.quant.adaptive import AdaptiveUniform
from fewbit.quant.base import Quantizer
from fewbit.quant.learned import LearnedActivation, LearnedUniform
from fewbit.quant.sparse_ternary import SparseTernaryUniform
from fewbit.quant.ternary_weights import TernaryThreshold
from fewbit.quant.uniform import BinaryMean, Uniform

Spec = str | Quantizer


def _split(spec: str) -> tuple[str, Granularity, str | None]:
    match = re.fullmatch(r"([a-z0-9.,=]+)(?:/(\d+)|:(row|token))?(?:\+(adaptive|learned|twn|norm))?", spec)
    if not match:
        raise FormatError(
            f"spec {spec!r} is not of the form format[/size|:row|:token][+adaptive|+learned|+twn|+norm], "
            "such as int4/128"
        )
    name, size, per, step = match.groups()
    if size:
        return name, PerGroup(int(size)), step
    return name, PerRow() if per == "row" else PerToken() if per == "token" else PerTensor(), step


def weight_quantizer(spec: str) -> Quantizer:
    """A new quantizer for weights.

    Raises:
        FormatError: the spec is not of the grammar, or is one for signals.

    Examples:
        >>> weight_quantizer("int4/128").spec
        'int4/128'
    """
    name, per, step = _split(spec)
    format = format_from_name(name)
    if isinstance(format, UInt | FixedPoint) or isinstance(per, PerToken):
        raise FormatError(
            f"{spec!r} is a spec of signals; weights take ternary, binary, intN or sparseN,K, plain, /size or :row"
        )
    if isinstance(format, Binary):
        if step:
            raise FormatError(f"{spec!r}: a binary step is the mean of |w| and nothing else; write {name!r}")
        return BinaryMean(format, per)
    if isinstance(format, SparseTernary):
        if step not in (None, "norm") or isinstance(per, PerGroup) or (step and isinstance(per, PerRow)):
            raise FormatError(f"{spec!r}: sparse codes take :row or +norm, or neither; write {name!r}")
        return SparseTernaryUniform(format, None if step else per, norm=step == "norm")
    if step == "norm":
        raise FormatError(
            f"{spec!r}: +norm is for sparse codes such as sparse8,2; write {spec.removesuffix('+norm')!r}"
        )
    if step == "twn":
        if not isinstance(format, Ternary):
            raise FormatError(
                f"{spec!r}: +twn is the threshold of three levels; write {spec.replace(name, 'ternary')!r}"
            )
        return TernaryThreshold(per)
    return {None: Uniform, "adaptive": AdaptiveUniform, "learned": LearnedUniform}[step](format, per)


def activation_quantizer(spec: str) -> Quantizer:
    """A new quantizer for signals.

    Raises:
        FormatError: the spec is not of the grammar, or is one for weights.

    Examples:
        >>> type(activation_quantizer("uint2+learned")).__name__
        'LearnedActivation'
    """
    name, per, step = _split(spec)
    format = format_from_name(name)
    if step in ("adaptive", "twn", "norm"):
        raise FormatError(f"{spec!r} is a spec of weights; the step of a signal is fixed or +learned")
    if isinstance(format, Binary | SparseTernary) or isinstance(per, PerRow | PerGroup):
        raise FormatError(f"{spec!r} is a spec of weights; signals take intN, uintN, ternary, qM.N or intN:token")
    if step and (isinstance(per, PerToken) or isinstance(format, FixedPoint)):
        raise FormatError(f"{spec!r}: this step is not one that can be learned; leave out +{step}")
    if isinstance(per, PerToken):
        if isinstance(format, FixedPoint):
            raise FormatError(f"{spec!r}: fixed point has a fixed step; write {name!r}")
        return PerTokenActivation(format)
    if isinstance(format, FixedPoint):
        return Fixed(format)
    return LearnedActivation(format) if step else Activation(format)
