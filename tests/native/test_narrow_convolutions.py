"""Convolutions with few maps over many places give the integers of the reference: several places run as one."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fewbit.native import targets
from fewbit.program import ops
from tests.native.graph_check import check
from tests.native.graph_draft import Draft

pytestmark = pytest.mark.skipif(not targets(), reason="fewbit was installed without a C++ compiler")


def convolution(draft: Draft, grid: ops.Grid, channels: int, maps: int, kernel: int = 1, span=None) -> bool:
    """Whether the reference and all targets agree on it; False where its sums would not fit."""
    name = draft.source(channels * grid.places, span)
    product, bias_bits = draft.finer(draft.linear(maps, kernel * grid.kernel * channels, name, grouped=False))
    draft.add(ops.Conv, kernel, 1, *product, grid=grid, bias_bits=bias_bits)
    return check(draft)


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_images_of_every_width_stride_and_count_of_maps(seed):
    draft = Draft(np.random.default_rng(seed))
    kernel_height, kernel_width = draft.number(1, 3), draft.number(1, 4)
    pads = [draft.number(0, most) for most in (kernel_height, kernel_height, kernel_width, kernel_width)]
    pads = [min(pad, most - 1) for pad, most in zip(pads, (*(kernel_height,) * 2, *(kernel_width,) * 2), strict=True)]
    height, width = draft.number(3, 12), draft.choose((4, 8, 12, 15, 16, 24, 33))
    strides = draft.number(1, 2), draft.number(1, 3)
    grid = ops.Grid(height, width, kernel_height, kernel_width, *strides, 1, 1, *pads)
    maps, channels = draft.choose((1, 2, 3, 4, 5, 8, 12, 16, 20)), draft.choose((1, 3, 4, 8, 12, 20))
    assume(convolution(draft, grid, channels, maps, draft.choose((1, 1, 1, 2))))


@pytest.mark.parametrize("span", [(-128, 127), (0, 255), (0, 127), (-32768, 32767), (-90, -20)])
@pytest.mark.parametrize("maps", [4, 8, 12, 16])
def test_every_storage_of_the_activations(span, maps):
    draft = Draft(np.random.default_rng(maps))
    assert convolution(draft, ops.Grid(8, 8, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1), maps, maps, span=span)
