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
from fewbit.formats.kept_columns import fits_columns, pack_columns, unpack_columns
from fewbit.formats.kept_kernels import fits_kernels, pack_kernels, unpack_kernels
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
    "fits_columns",
    "fits_kernels",
    "format_from_name",
    "obeys",
    "pack",
    "pack_columns",
    "pack_kernels",
    "packed_shape",
    "unpack",
    "unpack_columns",
    "unpack_kernels",
]
