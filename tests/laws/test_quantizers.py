"""Laws of quantizers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.formats import pack, unpack
from fewbit.quant import activation_quantizer, weight_quantizer
from fewbit.testing import check_quantizer
from tests.laws.cases import QUANTIZERS

AWKWARD = {
    "normal": torch.randn(7, 11, generator=torch.Generator().manual_seed(0)),
    "zeros": torch.zeros(3, 4),
    "constant": torch.full((2, 5), 0.3),
    "one element": torch.tensor([[-2.5]]),
    "huge": torch.tensor([[1e30, -1e30, 3e29, 0.0]]),
    "tiny": torch.tensor([[1e-30, -1e-30, 0.0, 5e-31]]),
    "a row of zeros": torch.tensor([[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]]),
    "three axes": torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(1)),
    "float64": torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2)),
    "on and between levels": torch.tensor([[-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]]),
    "not contiguous": torch.randn(6, 8, generator=torch.Generator().manual_seed(3)).t(),
}


@pytest.mark.parametrize("name", QUANTIZERS)
@pytest.mark.parametrize("shape", AWKWARD)
def test_laws(name, shape):
    check_quantizer(QUANTIZERS[name](), AWKWARD[shape])


@pytest.mark.parametrize("name", QUANTIZERS)
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 5), columns=st.integers(1, 17), seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e3))
def test_laws_on_any_shape(name, rows, columns, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    check_quantizer(QUANTIZERS[name](), torch.randn(rows, columns, generator=generator) * scale)


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if not name.startswith("signal")])
def test_codes_survive_packing(name):
    x = AWKWARD["normal"]
    codes = QUANTIZERS[name]().fit(x).codes(x)
    integers = codes.values.numpy().astype("int16")
    assert (unpack(pack(integers, codes.format), x.shape[1], codes.format) == integers).all()


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_quantizer_prints_as_its_spec_and_parses_back(name):
    kind, _, spec = name.rpartition(" ")
    make = activation_quantizer if kind else weight_quantizer
    assert make(spec).spec == spec
    assert repr(make(spec)).endswith(f"({spec})")
