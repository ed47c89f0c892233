"""Formats by the names that spec strings and packed files give them."""

import re

from fewbit.errors import FormatError
from fewbit.formats.base import Binary, FixedPoint, Format, Int, Ternary, UInt
from fewbit.formats.sparse_ternary import SparseTernary


def format_from_name(name: str) -> Format:
    """The format called `name`: ``int2``..``int8``, ``uint2``..``uint8``, ``ternary``, ``binary``, ``qM.N``,
    ``sparseN,K``, ``sparseN=K``.

    Raises:
        FormatError: no format has that name.

    Examples:
        >>> from fewbit.formats import format_from_name
        >>> format_from_name("uint4").hi, format_from_name("ternary").bits
        (15, 2)
    """
    if name == "ternary":
        return Ternary()
    if name == "binary":
        return Binary()
    if match := re.fullmatch(r"(u?)int([1-9][0-9]?)", name):
        width = int(match[2])
        return UInt(width) if match[1] else Int(width)
    if match := re.fullmatch(r"q(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)", name):
        return FixedPoint(int(match[1]), int(match[2]))
    if match := re.fullmatch(r"sparse([1-9][0-9]?)([,=])([1-9][0-9]?)", name):
        return SparseTernary(int(match[1]), int(match[3]), exact=match[2] == "=")
    raise FormatError(
        f"unknown format {name!r}; wanted ternary, binary, int2..int8, uint2..uint8, sparseN,K such as sparse8,2, "
        "or qM.N such as q3.12"
    )
