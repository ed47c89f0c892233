"""What a code means and how codes lie in bytes (NumPy only)."""

from fewbit.formats.base import (
    Binary,
    FixedPoint,
    Format,
    Granularity,
    Int,
    PerGroup,
    PerRow,
    PerTensor,
    PerToken,
    Ternary,
    UInt,
)
from fewbit.formats.naming import format_from_name
from fewbit.formats.packing import LAYOUTS, default_layout, pack, packed_shape, unpack
from fewbit.formats.sparse_ternary import SparseTernary, obeys

__all__ = [
    "LAYOUTS",
    "Binary",
    "FixedPoint",
    "Format",
    "Granularity",
    "Int",
    "PerGroup",
    "PerRow",
    "PerTensor",
    "PerToken",
    "SparseTernary",
    "Ternary",
    "UInt",
    "default_layout",
    "format_from_name",
    "obeys",
    "pack",
    "packed_shape",
    "unpack",
]
