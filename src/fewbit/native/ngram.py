"""The functions of `csrc/ngram_api.h`."""

from ctypes import POINTER, c_double, c_float, c_int32, c_int64, c_void_p
from functools import cache
from typing import Any

from fewbit.native.library import is_available as has_library
from fewbit.native.library import library

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
    if not has_library():
        return {}
    opened, found = library(), {}
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(opened, f"fewbit_{name}", None)
        if function is None:
            return {}
        function.restype, function.argtypes = result, arguments
        found[name] = function
    return found
