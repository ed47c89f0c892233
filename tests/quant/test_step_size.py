"""The L2-optimal step: known optima, and that nothing nearby is better."""

import pytest
import torch

from fewbit.formats import Int, Ternary
from fewbit.quant import fit_step, weight_quantizer

# Optimal uniform symmetric quantizers of unit-variance densities (digest of arXiv 1511.06488, Max 1960).
GAUSS = {2: 1.224, 3: 0.651, 4: 0.354}


def sample(kind):
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(1, 200_000, generator=generator, dtype=torch.float64) * 2 - 1
    if kind == "uniform":
        return uniform
    if kind == "gauss":
        return torch.erfinv(uniform.clamp(-1 + 1e-12, 1 - 1e-12)) * 2**0.5
    return -torch.sign(uniform) * torch.log1p(-uniform.abs().clamp_max(1 - 1e-12)) / 2**0.5


@pytest.mark.parametrize(
    ("kind", "bits", "step"),
    [("gauss", bits, step) for bits, step in GAUSS.items()]
    + [("laplace", 2, 1.414), ("laplace", 3, 0.821), ("uniform", 2, 2 / 3), ("uniform", 3, 2 / 7)],
)
def test_known_optima(kind, bits, step):
    format = Ternary() if bits == 2 else Int(bits)
    assert fit_step(sample(kind), format).item() == pytest.approx(step, rel=0.01)


@pytest.mark.parametrize("kind", ["gauss", "laplace", "uniform"])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_no_neighbour_has_an_error_that_is_half_a_percent_smaller(kind, bits):
    x, format = sample(kind)[:, :5000], Int(bits)

    def error(step):
        return (x - (torch.round(x / step)).clamp(format.lo, format.hi) * step).square().sum().item()

    best = fit_step(x, format).item()
    assert all(error(best) <= error(best * factor) * 1.005 for factor in torch.linspace(0.5, 2, 301).tolist())


def test_the_step_scales_with_the_weights():
    x = sample("gauss")[:, :1000]
    assert fit_step(x * 8, Int(4)).item() == pytest.approx(8 * fit_step(x, Int(4)).item(), rel=1e-12)


def test_rows_are_fitted_independently_and_zeros_get_one():
    x = torch.stack([sample("gauss")[0, :999], torch.zeros(999), 5 * sample("laplace")[0, :999]])
    steps = fit_step(x, Int(3))
    assert steps[1] == 1
    for i in (0, 2):
        assert steps[i] == fit_step(x[i : i + 1], Int(3))[0]


@pytest.mark.parametrize("spec", ["binary", "ternary", "int3", "ternary{}+twn"])
def test_the_step_of_a_last_group_is_that_of_its_own_numbers(spec):
    grouped = f"{spec}/5" if "{}" not in spec else spec.format("/5")
    alone = spec.replace("{}", "")
    weight = torch.randn(3, 13, generator=torch.Generator().manual_seed(0))
    steps = weight_quantizer(grouped).fit(weight).step
    for row, of_row in zip(weight, steps, strict=True):
        for start, step in zip((0, 5, 10), of_row, strict=True):
            torch.testing.assert_close(step, weight_quantizer(alone).fit(row[None, start : start + 5]).step)
