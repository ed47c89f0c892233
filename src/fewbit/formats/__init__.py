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
    format_from_name,
)
from fewbit.formats.packing import LAYOUTS, default_layout, pack, row_bytes, unpack

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
    "Ternary",
    "UInt",
    "default_layout",
    "format_from_name",
    "pack",
    "row_bytes",
    "unpack",
]
