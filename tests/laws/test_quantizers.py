"""Laws of quantizers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.formats import PerGroup, PerRow, PerTensor, PerToken, pack, unpack
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


# Rows of +norm share one step relative to their size, so that a row alone has another.
BY_ROWS = [
    name
    for name in QUANTIZERS
    if isinstance(QUANTIZERS[name]().per, PerRow | PerGroup | PerToken) and not name.endswith("+norm")
]


@pytest.mark.parametrize("name", BY_ROWS)
@settings(max_examples=20, deadline=None)
@given(columns=st.integers(1, 17), seed=st.integers(0, 2**31))
def test_a_row_is_quantized_as_if_it_were_alone(name, columns, seed):
    """Rows of very different sizes: with a step for all, the small ones would be zeros."""
    sizes = torch.tensor([1e-3, 1.0, 30.0, 1e3])[:, None]
    x = sizes * torch.randn(4, columns, generator=torch.Generator().manual_seed(seed))
    together = QUANTIZERS[name]().fit(x)
    for place in range(len(x)):
        row = x[place : place + 1]
        alone = QUANTIZERS[name]().fit(row)
        for all_rows, one in ((together(x), alone(row)), (together.codes(x).scale, alone.codes(row).scale)):
            torch.testing.assert_close(all_rows[place : place + 1], one, rtol=1e-5, atol=0)


def test_there_are_quantizers_of_every_kind_of_row():
    kinds = {type(QUANTIZERS[name]().per) for name in BY_ROWS}
    assert kinds == {PerRow, PerGroup, PerToken}
    assert {"int4:row", "ternary:row", "int4:row+learned", "ternary:row+twn", "ternary:row+adaptive"} <= set(BY_ROWS)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_there_are_as_many_steps_as_the_granularity_says(name):
    x = torch.randn(4, 11, generator=torch.Generator().manual_seed(0))
    quantizer = QUANTIZERS[name]()
    per = quantizer.per
    shape = (4, -(-11 // per.size)) if isinstance(per, PerGroup) else () if isinstance(per, PerTensor) else (4, 1)
    assert quantizer.fit(x).codes(x).scale.shape == shape


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if not name.startswith("signal")])
def test_codes_survive_packing(name):
    x = AWKWARD["normal"]
    codes = QUANTIZERS[name]().fit(x).codes(x)
    integers = codes.values.numpy().astype("int16")
    assert (unpack(pack(integers, codes.format), x.shape[1], codes.format, rows=len(x)) == integers).all()


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_quantizer_prints_as_its_spec_and_parses_back(name):
    kind, _, spec = name.rpartition(" ")
    make = activation_quantizer if kind else weight_quantizer
    assert make(spec).spec == spec
    assert repr(make(spec)).endswith(f"({spec})")
