"""ggml: products with 8, 6, 4, 3 and 2 bits and with ternary weights, in its plain and its rearranged layouts.

A graph holds one product, so that a call costs what it costs a user; activations become 8 bits inside.
"""

import ctypes
from collections.abc import Sequence

import numpy as np

from benchmarks.peers.case import CHECKED, Case, Floats, Offer, frames, product
from benchmarks.peers.ggml import FLOAT, Library
from benchmarks.peers.quantized import draw

KINDS = {  # name: number of the type, bits
    "Q8_0": (8, 8),
    "Q6_K": (14, 6),
    "Q4_0": (2, 4),
    "Q4_K": (12, 4),
    "IQ4_NL": (20, 4),
    "Q3_K": (11, 3),
    "Q2_K": (10, 2),
    "TQ2_0": (35, 2),
    "TQ1_0": (34, 2),
    "BF16": (30, 16),
}


def versions() -> dict[str, str]:
    return {"ggml": Library(1).call["version"]().decode()}


def build(library: Library, kind: int, layout: int, rows: int, columns: int, count: int, bits: int) -> Case:
    call = library.call
    packed = library.quantize(kind, draw(rows, columns, min(bits, 8), 32).floats())
    context = library.context(8)
    w = call["new_tensor_2d"](context, kind, columns, rows)
    call["backend_alloc_ctx_tensors_from_buft"](context, layout)
    call["backend_tensor_set"](w, packed.ctypes.data, 0, packed.nbytes)
    context = library.context(32)
    x = call["new_tensor_2d"](context, FLOAT, columns, count)
    y = call["mul_mat"](context, w, x)
    graph = call["new_graph_custom"](context, 64, False)
    call["build_forward_expand"](graph, y)
    call["backend_alloc_ctx_tensors_from_buft"](context, library.plain)
    given = frames(count, columns)
    call["backend_tensor_set"](x, given.ctypes.data, 0, given.nbytes)
    compute, backend = call["backend_graph_compute"], ctypes.c_void_p(library.backend)
    ready = ctypes.c_void_p(graph)

    def result() -> Floats:
        found = np.empty((count, rows), np.float32)
        compute(backend, ready)
        call["backend_tensor_get"](y, found.ctypes.data, 0, found.nbytes)
        return found

    def expected() -> Floats:
        return product(given, library.floats(kind, packed[:CHECKED], columns))

    return Case(lambda: compute(backend, ready), result, expected, packed.nbytes)


def matmul(rows: int, columns: int, frames: int, threads: int) -> Sequence[Offer]:
    """``frames x columns`` activations times ``rows x columns`` weights."""
    library = Library(threads)

    def offer(name: str, kind: int, bits: int, suffix: str, layout: int) -> Offer:
        def made() -> Case:
            return build(library, kind, layout, rows, columns, frames, bits)

        return Offer(f"ggml {name}{suffix}", bits, made)

    return [
        offer(name, kind, bits, suffix, layout)
        for name, (kind, bits) in KINDS.items()
        for suffix, layout in library.layouts.items()
        if library.fits(kind, layout, rows, columns)
    ]
