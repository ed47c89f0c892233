"""What an integer code means: formats, their code books, and the granularity of scales.

A *format* is the set of integers that a code may take. A real number is ``code * scale``; how many scales a
tensor has is its *granularity*. `fewbit.formats.packing` says how codes lie in bytes.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import FormatError

MIN_BITS, MAX_BITS = 2, 8


class Format(ABC):
    """A finite set of integer codes.

    Examples:
        >>> from fewbit.formats import Int, Ternary
        >>> Ternary().levels().tolist(), Int(3).levels().tolist()
        ([-1, 0, 1], [-3, -2, -1, 0, 1, 2, 3])
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in spec strings and packed files, for example ``int4``."""

    @property
    @abstractmethod
    def bits(self) -> int:
        """Bits that hold one code (the trit layout of ternary codes needs fewer)."""

    @abstractmethod
    def levels(self) -> NDArray[np.int16]:
        """The code book: all codes in rising order."""

    def draw(self, rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.int16]:
        """Random codes ``(rows, columns)`` that the format allows, to measure and to test with."""
        return rng.choice(self.levels(), (rows, columns))

    @property
    def lo(self) -> int:
        """Smallest code."""
        return int(self.levels()[0])

    @property
    def hi(self) -> int:
        """Largest code."""
        return int(self.levels()[-1])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Int(Format):
    """Symmetric signed integers of 2 to 8 bits: ``-(2**(b-1) - 1) ... 2**(b-1) - 1`` (no ``-2**(b-1)``).

    Source: Sung, Shin, Hwang 2015 (arXiv 1511.06488).

    Examples:
        >>> from fewbit.formats import Int
        >>> Int(8).lo, Int(8).hi, Int(8).name
        (-127, 127, 'int8')
    """

    width: int

    def __post_init__(self) -> None:
        _check_width("int", self.width)

    @property
    def name(self) -> str:
        return f"int{self.width}"

    @property
    def bits(self) -> int:
        return self.width

    def levels(self) -> NDArray[np.int16]:
        top = 2 ** (self.width - 1) - 1
        return np.arange(-top, top + 1, dtype=np.int16)


@dataclass(frozen=True)
class UInt(Format):
    """Unsigned integers of 2 to 8 bits, for signals that are never negative (after ReLU, sigmoid).

    Examples:
        >>> from fewbit.formats import UInt
        >>> UInt(2).levels().tolist()
        [0, 1, 2, 3]
    """

    width: int

    def __post_init__(self) -> None:
        _check_width("uint", self.width)

    @property
    def name(self) -> str:
        return f"uint{self.width}"

    @property
    def bits(self) -> int:
        return self.width

    def levels(self) -> NDArray[np.int16]:
        return np.arange(2**self.width, dtype=np.int16)


@dataclass(frozen=True)
class Ternary(Format):
    """The codes -1, 0 and +1: 2 bits each, or 1.6 bits when five share a byte.

    Examples:
        >>> from fewbit.formats import Ternary, packed_shape
        >>> packed_shape(1, 100, Ternary(), "trits"), packed_shape(1, 100, Ternary(), "bits")
        ((1, 20), (1, 25))
    """

    @property
    def name(self) -> str:
        return "ternary"

    @property
    def bits(self) -> int:
        return 2

    def levels(self) -> NDArray[np.int16]:
        return np.array([-1, 0, 1], dtype=np.int16)


@dataclass(frozen=True)
class Binary(Format):
    """The codes -1 and +1.

    Examples:
        >>> from fewbit.formats import Binary
        >>> Binary().levels().tolist(), Binary().bits
        ([-1, 1], 1)
    """

    @property
    def name(self) -> str:
        return "binary"

    @property
    def bits(self) -> int:
        return 1

    def levels(self) -> NDArray[np.int16]:
        return np.array([-1, 1], dtype=np.int16)


@dataclass(frozen=True)
class FixedPoint(Format):
    """Signed fixed point ``Qm.n``: 1 + m + n bits, step ``2**-n``, for wide signals such as cell states.

    Examples:
        >>> from fewbit.formats import FixedPoint
        >>> cell = FixedPoint(3, 12)
        >>> cell.name, cell.bits, cell.lo / 2**12, cell.hi / 2**12
        ('q3.12', 16, -8.0, 7.999755859375)
    """

    m: int
    n: int

    def __post_init__(self) -> None:
        if self.m < 0 or self.n < 0 or not 2 <= self.bits <= 16:
            raise FormatError(f"q{self.m}.{self.n}: 1 + m + n must lie in 2..16 bits, and m, n >= 0")

    @property
    def name(self) -> str:
        return f"q{self.m}.{self.n}"

    @property
    def bits(self) -> int:
        return 1 + self.m + self.n

    def levels(self) -> NDArray[np.int16]:
        top = 2 ** (self.m + self.n)
        return np.arange(-top, top, dtype=np.int16)


@dataclass(frozen=True)
class PerTensor:
    """One scale for the whole tensor.

    Examples:
        >>> import torch
        >>> from fewbit.quant import weight_quantizer
        >>> weights = torch.tensor([[0.1, -0.2, 0.3, 0.4], [4.0, 3.0, -2.0, 1.0]])
        >>> quantizer = weight_quantizer("int4").fit(weights)
        >>> tuple(quantizer.codes(weights).scale.shape)
        ()
    """


@dataclass(frozen=True)
class PerRow:
    """One scale for each row (output channel) of a weight.

    Examples:
        >>> import torch
        >>> from fewbit.quant import weight_quantizer
        >>> weights = torch.tensor([[0.1, -0.2, 0.3, 0.4], [4.0, 3.0, -2.0, 1.0]])
        >>> quantizer = weight_quantizer("int4:row").fit(weights)
        >>> tuple(quantizer.codes(weights).scale.shape)
        (2, 1)
    """


@dataclass(frozen=True)
class PerToken:
    """One scale for each time step of an activation, chosen as it comes.

    Examples:
        >>> import torch
        >>> from fewbit.quant import activation_quantizer
        >>> loud = torch.tensor([[[0.1, 0.2], [10.0, 20.0]]])  # (batch, time, features)
        >>> tuple(activation_quantizer("int8:token").codes(loud).scale.shape)
        (1, 2, 1)
    """


@dataclass(frozen=True)
class PerGroup:
    """One scale for each ``size`` neighbouring weights of a row; a short last group is allowed.

    Examples:
        >>> import torch
        >>> from fewbit.quant import weight_quantizer
        >>> weights = torch.tensor([[0.1, -0.2, 0.3, 0.4], [4.0, 3.0, -2.0, 1.0]])
        >>> quantizer = weight_quantizer("int4/2").fit(weights)
        >>> tuple(quantizer.codes(weights).scale.shape)
        (2, 2)
    """

    size: int

    def __post_init__(self) -> None:
        if self.size < 1:
            raise FormatError(f"a group has at least one weight, not {self.size}")


Granularity = PerTensor | PerRow | PerToken | PerGroup


def _check_width(kind: str, width: int) -> None:
    if not MIN_BITS <= width <= MAX_BITS:
        raise FormatError(f"{kind}{width}: wanted {MIN_BITS} to {MAX_BITS} bits")
