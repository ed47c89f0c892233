"""Ops made by hand, and how to run one alone."""

from dataclasses import replace

import numpy as np

from fewbit.formats import Int, PerGroup, PerRow, default_layout, pack
from fewbit.program import ops
from fewbit.program.numerics import INT16, INT32, Rescale
from fewbit.program.ops import Step, Value

CODES = (-127, 127)
ONE = np.ones(1, np.int64)


def vector(*numbers):
    return np.array(numbers, np.int64)


def points(*numbers):
    return np.array(numbers, np.int16)


def rescale(multiplier=1, shift=0, low=INT32[0], high=INT32[1]):
    """As it is, unless told otherwise."""
    return Rescale(np.atleast_1d(np.asarray(multiplier, np.int64)), shift, low, high)


def narrow(multiplier=1, shift=0):
    return rescale(multiplier, shift, *INT16)


def matrix(codes, format=None, group=0, scale=None):
    codes = np.atleast_2d(codes)
    format = format or Int(8)
    per = PerGroup(group) if group else PerRow()
    data = pack(codes, format, default_layout(format))
    return ops.Matrix(*codes.shape, format, default_layout(format), per, data, scale)


def value(size, low=-127, high=127, name="x"):
    return Value(size, low, high, name)


def run(op, *xs, last=True, check=True):
    """All that an op gives for whole inputs; its declaration must hold for them."""
    xs = [np.asarray(x) for x in xs]
    if check and not op.source:
        values = [Value(x.shape[1], int(x.min()), int(x.max()), f"x{i}") for i, x in enumerate(xs)]
        declared = op.value(values)
    y, _ = op.run(xs, op.start(), Step(op.prepare(), last))
    if check and not op.source:
        assert y.shape[1] == declared.size
        assert y.size == 0 or declared.low <= y.min() <= y.max() <= declared.high
    return y


def source(size=1, name="x", low=-127, high=127, first=0, gain=1.0):
    """A source that rounds its features."""
    return ops.Quantize(name, np.full(size, gain, np.float32), np.zeros(size, np.float32), low, high, 1, first)


def reading(op, *names):
    return replace(op, inputs=names)
