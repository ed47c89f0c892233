"""The native runtime: few-bit products and recurrences in C++ behind a plain C interface (no torch).

Without the library, which `pip install` builds where there is a C++ compiler, Programs run on their NumPy reference.
"""

from fewbit.native.library import is_available, targets, tell_if_missing
from fewbit.native.matrix import NativeMatrix

__all__ = ["NativeMatrix", "is_available", "targets", "tell_if_missing"]
