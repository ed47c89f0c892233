"""The functions of `csrc/beam_api.h`, and a network as a language model for them."""

import ctypes
from ctypes import POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_int64, c_void_p
from functools import cache
from typing import Any

from fewbit.native.library import bind


class BeamOptionsArgument(Structure):
    """``fewbit_beam_options``."""

    _fields_ = (
        *((name, c_int64) for name in ("classes", "width", "depth", "prune_interval", "endpoint", "longest")),
        *((name, c_int64) for name in ("show_interval", "space")),
        *((name, c_double) for name in ("insertion_bonus", "blank_skip", "floor")),
    )


SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "beam_new": (c_void_p, [POINTER(BeamOptionsArgument), c_void_p]),
    "beam_copy": (c_void_p, [c_void_p]),
    "beam_free": (None, [c_void_p]),
    "beam_step": (c_int32, [c_void_p, c_void_p, c_int64]),
    "beam_finish": (c_int32, [c_void_p]),
    "beam_best": (c_int32, [c_void_p, c_int64]),
    "beam_report": (c_void_p, [c_void_p, POINTER(c_int64)]),
    "beam_nodes": (c_int64, [c_void_p]),
    "beam_save": (c_int64, [c_void_p, c_void_p]),
    "beam_restore": (c_int32, [c_void_p, c_char_p, c_int64]),
    "network_scorer_new": (c_void_p, [c_void_p, c_float]),
    "scorer_free": (None, [c_void_p]),
}
"""Results and arguments of the functions, without ``fewbit_``."""


@cache
def functions() -> dict[str, Any]:
    """All functions by their short names; empty if the library is missing or lacks one."""
    return bind(SIGNATURES)


def report(beam: int) -> memoryview:
    """The report of the last call as integers of 64 bits; a copy."""
    count = c_int64()
    address = functions()["beam_report"](beam, ctypes.byref(count))
    return memoryview(ctypes.string_at(address, 8 * count.value) if count.value else b"").cast("q")
