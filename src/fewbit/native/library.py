"""The shared library: where it is, and the signatures of its functions. `csrc/c_api.h` says what they do.

The environment variable ``FEWBIT_LIBRARY`` names another build, for example one with sanitizers.
"""

import ctypes
import os
import warnings
from collections.abc import Mapping
from ctypes import POINTER, Structure, c_char_p, c_int16, c_int32, c_int64, c_void_p
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import ArgumentError, TargetError

ABI = 7
FILE = "lib/libfewbit_native.so"
BINDING = "fast_binding.abi3.so"
REMEDY = (
    "install a C++ compiler, then reinstall fewbit (in a clone: pip install --force-reinstall --no-deps .); "
    "until then networks run on the NumPy reference: the same results, tens of times slower"
)


class FieldsArgument(Structure):
    """``fewbit_fields``: the fields of an op, in the order of their declaration."""

    _fields_ = (
        ("numbers", POINTER(c_int64)),
        ("number_count", c_int64),
        ("vectors", POINTER(c_void_p)),
        ("lengths", POINTER(c_int64)),
        ("vector_count", c_int64),
        ("matrices", POINTER(c_void_p)),
        ("matrix_count", c_int64),
        ("parts", POINTER(c_void_p)),
        ("part_count", c_int64),
    )


_I32, _I64, _INTS = c_int32, c_int64, POINTER(c_int32)
SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "fewbit_abi": (_I32, []),
    "fewbit_error": (c_char_p, []),
    "fewbit_targets": (c_char_p, []),
    "fewbit_set_table": (_I32, [c_char_p, _INTS, _I64]),
    "fewbit_matrix_new": (c_void_p, [POINTER(c_int16), _I64, _I64, _I32, _I32, _I32, _I64, _INTS]),
    "fewbit_matrix_free": (None, [c_void_p]),
    "fewbit_matrix_bytes": (_I64, [c_void_p]),
    "fewbit_matrix_multiply": (_I32, [c_void_p, c_char_p, c_void_p, _I64, _I32, _I32, _I32, c_void_p]),
    "fewbit_matrix_apply": (_I32, [c_void_p, c_char_p, c_void_p, _I64, c_void_p, _I32, c_void_p]),
    "fewbit_matrix_part": (_I32, [c_void_p, c_char_p, _I32, _I64, _I64, _I32]),
    "fewbit_read": (_I32, [c_char_p, c_void_p, _I64, _I64]),
    "fewbit_network_new": (c_void_p, [c_char_p, _I64]),
    "fewbit_network_part": (c_void_p, [c_void_p, _I64, _I32, _I32]),
    "fewbit_network_free": (None, [c_void_p]),
    "fewbit_network_skip": (_I32, [c_void_p, _I32]),
    "fewbit_network_add": (_I32, [c_void_p, c_char_p, POINTER(c_int64), _I64, FieldsArgument]),
    "fewbit_network_target": (c_char_p, [c_void_p]),
    "fewbit_network_bytes": (_I64, [c_void_p]),
    "fewbit_network_state_size": (_I64, [c_void_p]),
    "fewbit_network_start": (_I32, [c_void_p, c_void_p]),
    "fewbit_network_value_bytes": (_I64, [c_void_p]),
    "fewbit_network_step": (_I64, [c_void_p, c_void_p, _I64, c_void_p, c_void_p, c_void_p, _I64, _I32, _I64, _I32]),
}


def is_available() -> bool:
    """Whether the native library is there and fits this version.

    Examples:
        >>> from fewbit.native import is_available, targets
        >>> is_available() == (targets() != [])
        True
    """
    return not isinstance(_opened(), str)


def targets() -> list[str]:
    """Instruction sets that run on this machine, best first; empty without the library.

    Examples:
        >>> from fewbit.native import is_available, targets
        >>> "scalar" in targets() or not is_available()
        True
    """
    return library().fewbit_targets().decode().split() if is_available() else []


def library() -> Any:
    """The library, with the signatures of its functions set.

    Raises:
        TargetError: it is missing, or of another version; the message says why and what to do.
    """
    opened = _opened()
    if isinstance(opened, str):
        raise TargetError(f"{opened}; {REMEDY}")
    return opened


def bind(signatures: Mapping[str, tuple[Any, list[Any]]]) -> dict[str, Any]:
    """Functions of a part of the library, which an older library may lack.

    Args:
        signatures: result and arguments of each function, by its name without ``fewbit_``.

    Returns:
        All functions by the same names; an empty dictionary if the library is missing or lacks one.
    """
    if not is_available():
        return {}
    found = {}
    for name, (result, arguments) in signatures.items():
        function = getattr(library(), f"fewbit_{name}", None)
        if function is None:
            return {}
        function.restype, function.argtypes = result, arguments
        found[name] = function
    return found


def reference_wanted() -> bool:
    """Whether ``FEWBIT_TARGET`` asks for the reference in place of this library."""
    return os.environ.get("FEWBIT_TARGET") == "reference"


@cache
def fast_binding() -> Any:
    """The extension ``fast_binding``, which is faster than `ctypes`, or ``None`` where it was not built.

    It lies beside the library that ``FEWBIT_LIBRARY`` names, as the build leaves both, or in this package.
    """
    named = os.environ.get("FEWBIT_LIBRARY")
    beside = Path(named).with_name(BINDING) if named else None
    try:
        if beside is not None and beside.is_file():
            opened = _extension(beside)
        else:
            opened = import_module("fewbit.native.fast_binding")
    except ImportError:
        return None
    functions = library().fewbit_network_step, library().fewbit_matrix_apply
    opened.connect(*(ctypes.cast(function, c_void_p).value for function in functions))
    return opened


def _extension(file: Path) -> Any:
    spec = spec_from_file_location("fast_binding", file)
    assert spec is not None  # the ending is that of an extension
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def last_error() -> str:
    """The error message of the last call of this thread."""
    return str(library().fewbit_error().decode())


@cache
def tell_if_missing() -> None:
    """Warn, once, if the library is missing.

    Examples:
        >>> from fewbit.native import is_available, tell_if_missing
        >>> if is_available():
        ...     tell_if_missing()  # says nothing
    """
    opened = _opened()
    if isinstance(opened, str):
        warnings.warn(f"{opened}; {REMEDY}", RuntimeWarning, stacklevel=2)


def find_library() -> Path | None:
    """Where the library is, or ``None`` where there is none."""
    return next((place for place in _places() if place.is_file()), None)


def _places() -> list[Path]:
    named = os.environ.get("FEWBIT_LIBRARY")
    if named:
        return [Path(named)]
    # In an editable installation the package has two folders, and the library lies in that of the installation.
    package = find_spec(__name__.rpartition(".")[0])
    assert package is not None  # this module is in it
    return [Path(folder) / FILE for folder in package.submodule_search_locations or ()]


@cache
def _opened() -> Any:
    """The library, or why there is none."""
    found = find_library()
    if found is None:
        return f"the native library is not at {_places()[-1]}: fewbit was installed without a C++ compiler"
    try:
        opened = ctypes.CDLL(str(found))
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(opened, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        return f"the native library {found} cannot be used ({error})"
    if opened.fewbit_abi() != ABI:
        return f"the native library {found} has interface {opened.fewbit_abi()}, wanted {ABI}"
    return opened


def pointer(array: NDArray[Any], kind: Any) -> Any:
    """An array's memory as a pointer to `kind`; the array must live as long as the pointer."""
    return array.ctypes.data_as(POINTER(kind))


def integers(array: Any) -> NDArray[np.int32]:
    """A contiguous copy with 32 bits.

    Raises:
        ArgumentError: a number does not fit.
    """
    wide = np.ascontiguousarray(array, np.int64)
    if wide.size and not -(1 << 31) <= wide.min() <= wide.max() < 1 << 31:
        raise ArgumentError("the native runtime takes integers of 32 bits; an array holds larger numbers")
    return np.ascontiguousarray(wide, np.int32)
