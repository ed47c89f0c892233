"""The functions of `csrc/ngram_api.h`."""

from ctypes import POINTER, c_double, c_float, c_int32, c_int64, c_void_p
from functools import cache
from typing import Any

from fewbit.native.library import bind

_INTS, _FLOATS = POINTER(c_int32), POINTER(c_float)
SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "ngram_new": (c_void_p, [c_int64, c_int64, _INTS, _FLOATS, _FLOATS, _INTS, _INTS]),
    "ngram_free": (None, [c_void_p]),
    "scorer_chars": (c_void_p, [c_void_p, _INTS, c_int64, c_double]),
    "scorer_words": (
        c_void_p,
        [c_void_p, c_int64, _INTS, c_int64, c_int64, c_int32, c_void_p, c_double, c_double, c_double],
    ),
    "scorer_classes": (c_int64, [c_void_p]),
    "scorer_state_bytes": (c_int64, [c_void_p]),
    "scorer_start": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "scorer_step": (c_int32, [c_void_p, c_int64, c_void_p, c_void_p, c_void_p, c_void_p]),
    "scorer_free": (None, [c_void_p]),
}
"""Results and arguments of the functions, without ``fewbit_``."""


@cache
def functions() -> dict[str, Any]:
    """All functions by their short names; empty if the library is missing or lacks one."""
    return bind(SIGNATURES)
