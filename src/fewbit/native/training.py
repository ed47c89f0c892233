"""The functions of `csrc/training.h`: forward and backward of recurrences, on memory that the caller holds."""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, Structure, c_int32, c_int64, c_void_p
from functools import cache
from typing import Any

from fewbit.errors import TargetError
from fewbit.native.library import bind, library


class ExtentArgument(Structure):
    """``fewbit_extent``."""

    _fields_ = (
        ("batch", c_int64),
        ("frames", c_int64),
        ("channels", c_int64),
        ("bytes", c_int32),
        ("threads", c_int32),
    )


ADDRESSES: dict[str, int] = {"sru_forward": 6, "sru_backward": 11, "qrnn_forward": 4, "qrnn_backward": 7}
"""Number of addresses after the extent, for each function."""


def is_available() -> bool:
    """Whether the native library is there and has these functions."""
    return bool(_functions())


def run(name: str, extent: Sequence[int], *addresses: int | None) -> None:
    """Call a function.

    Args:
        name: without ``fewbit_``.
        extent: batch, frames, channels, bytes of a number (4 or 8), threads.
        addresses: of arrays, ``None`` is NULL; nothing is checked.

    Raises:
        TargetError: the library is missing.
    """
    functions = _functions()
    if not functions:
        library()  # says why, if it is missing altogether
        raise TargetError("the native library lacks the training kernels; reinstall fewbit")
    functions[name](ctypes.byref(ExtentArgument(*extent)), *addresses)


@cache
def _functions() -> dict[str, Any]:
    """All functions by their short names; empty if one is missing."""
    return bind({name: (None, [POINTER(ExtentArgument), *[c_void_p] * n]) for name, n in ADDRESSES.items()})
