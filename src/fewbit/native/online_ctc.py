"""The function of `csrc/online_ctc.h`: the recursions of one step of online CTC, on arrays."""

import ctypes
from ctypes import POINTER, Structure, c_int32, c_int64, c_void_p
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import TargetError
from fewbit.native.library import bind, library

COLUMNS = ("stream", "start", "stop", "begins", "ending", "errors", "kept", "first", "labels")
"""Of a table of parts: the fields of ``fewbit_online_ctc_part``."""


class ExtentArgument(Structure):
    """``fewbit_online_ctc_extent``."""

    _fields_ = (
        ("streams", c_int64),
        ("frames", c_int64),
        ("classes", c_int64),
        ("parts", c_int64),
        ("states", c_int64),
        ("force_blank_first", c_int32),
    )


def is_available() -> bool:
    """Whether the native library is there and has this function."""
    return _function() is not None


def online_ctc(
    logits: NDArray[np.float32],
    parts: NDArray[np.int64],
    labels: NDArray[np.int64],
    before: NDArray[np.float64],
    force_blank_first: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Errors (streams, frames, classes), ln alpha (streams, states) to go on from, and scores (parts,).

    Args:
        logits: (streams, frames, classes).
        parts: (parts, 9), columns as in `COLUMNS`; what they point at is not checked.
        labels: of all parts, one after the other.
        before: (streams, states), ln alpha at the frame before the window.
        force_blank_first: whether the first frame of an utterance is blank.

    Raises:
        TargetError: the library is missing.
    """
    function = _function()
    if function is None:
        library()  # says why, if it is missing altogether
        raise TargetError("the native library lacks online CTC; reinstall fewbit")
    streams, frames, classes = logits.shape
    states = before.shape[1]
    given = [
        np.ascontiguousarray(array, kind)
        for array, kind in ((parts, np.int64), (labels, np.int64), (logits, np.float32), (before, np.float64))
    ]
    errors, after = np.zeros(logits.shape, np.float32), np.full(before.shape, -np.inf)
    scores, room = np.empty(len(parts)), np.empty((frames + 2) * states + frames + classes)
    extent = ExtentArgument(streams, frames, classes, len(parts), states, force_blank_first)
    function(ctypes.byref(extent), *(array.ctypes.data for array in (*given, errors, after, scores, room)))
    return errors, after, scores


@cache
def _function() -> Any:
    """The function, or ``None``."""
    return bind({"online_ctc": (None, [POINTER(ExtentArgument), *[c_void_p] * 8])}).get("online_ctc")
