"""ggml through ctypes: just what one matrix product needs. The libraries come from the sdist of llama-cpp-python."""

import ctypes
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(os.environ.get("FEWBIT_GGML", Path(__file__).parents[2] / "build" / "peers-venv" / "ggml"))
POINTER, LONG, SIZE = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t
NO_DATA = True  # tensors get their memory from buffers
FLOAT = 0  # number of the type
BUFFER = 8  # offset of a tensor's buffer in its struct

SIGNATURES: dict[str, tuple[Any, ...]] = {  # name: result, arguments
    "ggml_new_tensor_2d": (POINTER, POINTER, ctypes.c_int, LONG, LONG),
    "ggml_mul_mat": (POINTER, POINTER, POINTER, POINTER),
    "ggml_new_graph_custom": (POINTER, POINTER, SIZE, ctypes.c_bool),
    "ggml_build_forward_expand": (None, POINTER, POINTER),
    "ggml_quantize_chunk": (SIZE, ctypes.c_int, POINTER, POINTER, LONG, LONG, LONG, POINTER),
    "ggml_row_size": (SIZE, ctypes.c_int, LONG),
    "ggml_version": (ctypes.c_char_p,),
    "ggml_backend_alloc_ctx_tensors_from_buft": (POINTER, POINTER, POINTER),
    "ggml_backend_buft_alloc_buffer": (POINTER, POINTER, SIZE),
    "ggml_backend_buft_name": (ctypes.c_char_p, POINTER),
    "ggml_backend_tensor_set": (None, POINTER, POINTER, SIZE, SIZE),
    "ggml_backend_tensor_get": (None, POINTER, POINTER, SIZE, SIZE),
    "ggml_backend_graph_compute": (ctypes.c_int, POINTER, POINTER),
    "ggml_backend_dev_supports_op": (ctypes.c_bool, POINTER, POINTER),
    "ggml_backend_reg_dev_get": (POINTER, POINTER, SIZE),
    "ggml_backend_reg_get_proc_address": (POINTER, POINTER, ctypes.c_char_p),
    "ggml_backend_cpu_buffer_type": (POINTER,),
    "ggml_backend_cpu_init": (POINTER,),
    "ggml_backend_cpu_reg": (POINTER,),
    "ggml_backend_cpu_set_n_threads": (None, POINTER, ctypes.c_int),
    "ggml_backend_cpu_set_threadpool": (None, POINTER, POINTER),
    "ggml_threadpool_new": (POINTER, POINTER),
    "ggml_threadpool_params_init": (None, POINTER, ctypes.c_int),
}


class Settings(ctypes.Structure):
    """ggml_init_params"""

    _fields_ = [("size", SIZE), ("memory", POINTER), ("no_data", ctypes.c_bool)]


class Pool(ctypes.Structure):
    """ggml_threadpool_params"""

    _fields_ = [
        ("mask", ctypes.c_bool * 512),
        ("threads", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("poll", ctypes.c_uint32),
        ("strict", ctypes.c_bool),
        ("paused", ctypes.c_bool),
    ]


class Traits(ctypes.Structure):
    """ggml_type_traits"""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("block", LONG),
        ("interleave", LONG),
        ("size", SIZE),
        ("quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, POINTER, POINTER, LONG)),
    ]


class Library:
    """The functions by their names without ``ggml_``, a backend, and the ways in which weights can lie."""

    def __init__(self, threads: int) -> None:
        names = ("libggml-base.so", "libggml-cpu.so")
        libraries = [ctypes.CDLL(str(FOLDER / name), mode=ctypes.RTLD_GLOBAL) for name in names]
        self.call: dict[str, Any] = {}
        for name, (result, *arguments) in SIGNATURES.items():
            found = next(library for library in libraries if hasattr(library, name))
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
            self.call[name.removeprefix("ggml_")] = function
        self.init, self.traits = libraries[0].ggml_init, libraries[0].ggml_get_type_traits
        self.init.restype, self.init.argtypes = POINTER, [Settings]
        self.traits.restype, self.traits.argtypes = ctypes.POINTER(Traits), [ctypes.c_int]
        self.backend = self.call["backend_cpu_init"]()
        self.call["backend_cpu_set_n_threads"](self.backend, threads)
        self.pool = Pool()  # threads that stay, as they do in a program that runs for long
        self.call["threadpool_params_init"](ctypes.addressof(self.pool), threads)
        pool = self.call["threadpool_new"](ctypes.addressof(self.pool))
        self.call["backend_cpu_set_threadpool"](self.backend, pool)
        registry = self.call["backend_cpu_reg"]()
        self.device = self.call["backend_reg_dev_get"](registry, 0)
        self.plain = self.call["backend_cpu_buffer_type"]()
        self.layouts = {"": self.plain}
        address = self.call["backend_reg_get_proc_address"](registry, b"ggml_backend_dev_get_extra_bufts")
        if address:
            extra = ctypes.CFUNCTYPE(ctypes.POINTER(POINTER), POINTER)(address)(self.device)
            count = 0
            while extra and extra[count]:
                name = self.call["backend_buft_name"](extra[count]).decode().removeprefix("CPU_").lower()
                self.layouts[f", {name} layout"] = extra[count]
                count += 1

    def context(self, tensors: int) -> Any:
        return self.init(Settings(tensors * 512 + (1 << 20), None, NO_DATA))

    def fits(self, kind: int, layout: int, rows: int, columns: int) -> bool:
        """Whether weights of a kind can lie in a layout."""
        if layout == self.plain:
            return True
        context = self.context(8)
        w, x = (self.call["new_tensor_2d"](context, kind, columns, rows) for kind in (kind, FLOAT))
        POINTER.from_address(w + BUFFER).value = self.call["backend_buft_alloc_buffer"](layout, 0)
        product = self.call["mul_mat"](context, w, x)
        return bool(self.call["backend_dev_supports_op"](self.device, product))

    def quantize(self, kind: int, weights: NDArray[np.float32]) -> NDArray[np.uint8]:
        rows, columns = weights.shape
        size = self.call["row_size"](kind, columns)
        found = np.empty((rows, size), np.uint8)
        even = np.ones(columns, np.float32)  # importance of the columns
        self.call["quantize_chunk"](kind, weights.ctypes.data, found.ctypes.data, 0, rows, columns, even.ctypes.data)
        return found

    def floats(self, kind: int, packed: NDArray[np.uint8], columns: int) -> NDArray[np.float32]:
        found = np.empty((len(packed), columns), np.float32)
        convert = self.traits(kind).contents.to_float
        for row, values in zip(packed, found, strict=True):
            convert(row.ctypes.data, values.ctypes.data, columns)
        return found
