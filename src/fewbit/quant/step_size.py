"""The step of a uniform quantizer that minimises the squared error.

For codes ``z = code(w, D)`` the error is ``E(D) = sum (w - D z)**2``. After a coarse and a fine search, two half steps
alternate, neither of which can raise E: choose the codes for the step, then the step for the codes,
``D = sum(w z) / sum(z**2)`` (Lloyd's algorithm on a uniform grid).

References:
    Sung, Shin, Hwang 2015 (arXiv 1511.06488); Hwang, Sung 2014.
"""

import torch
from torch import Tensor

from fewbit.formats import Format

COARSE_STEPS, FINE_STEPS = 60, 61
MAX_ITERATIONS = 60


def round_half_away(x: Tensor) -> Tensor:
    """To the nearest integer, halves away from zero, so that ``round(-x) == -round(x)``."""
    return torch.sign(x) * torch.floor(x.abs() + 0.5)


def refine_step(x: Tensor, step: Tensor, format: Format, iterations: int = 5, most: float = 0.2) -> Tensor:
    """Steps ``(groups,)`` nearer to the optimum for the rows of ``x: (groups, n)`` than `step`, and never worse.

    The alternation of `fit_step` from where `step` is, each step within ``1 - most .. 1 + most`` of it. A row whose
    codes are all zero keeps its step.

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import Ternary
        >>> refine_step(tensor([[-2.0, 0.1, 2.0]]), tensor([1.8]), Ternary())
        tensor([2.])

    References:
        Shin, Boo, Sung 2017 (arXiv 1702.08171).
    """
    x, start = x.detach().to(torch.float64), step.detach().to(torch.float64)
    best = start
    for _ in range(iterations):
        z = _codes(x, best, format)
        power = z.square().sum(1)
        better = torch.where(power > 0, (x * z).sum(1) / power.clamp_min(1), best)
        best = torch.minimum(torch.maximum(better, start * (1 - most)), start * (1 + most))
    return torch.maximum(best, 1e-8 * x.abs().amax(1)).to(step.dtype)


def fit_step(x: Tensor, format: Format) -> Tensor:
    """L2-optimal steps ``(groups,)`` for the rows of ``x: (groups, n)``; 1 for a row of zeros.

    Examples:
        >>> from torch import tensor
        >>> from fewbit.formats import Ternary
        >>> fit_step(tensor([[-2.0, 0.1, 2.0], [0.0, 0.0, 0.0]]), Ternary()).tolist()
        [2.0, 1.0]
    """
    x = x.detach().to(torch.float64)
    spread = x.square().mean(1).sqrt()
    wide = spread > 0
    # Where the best step lies: at one standard deviation for three levels, about 2/h of it for more.
    unit = torch.where(wide, spread, 1.0) * (1.0 if format.hi == 1 else 2.0 / format.hi)
    best = _search(x, format, unit, torch.linspace(0.1, 6.0, COARSE_STEPS, dtype=torch.float64))
    best = _search(x, format, best, torch.linspace(0.85, 1.15, FINE_STEPS, dtype=torch.float64))
    for _ in range(MAX_ITERATIONS):
        z = _codes(x, best, format)
        power = z.square().sum(1)
        step = torch.where(power > 0, (x * z).sum(1) / power.clamp_min(1), x.abs().amax(1))
        settled = (step - best).abs() <= 1e-6 * step
        best = step
        if bool(settled.all()):
            break
    return torch.where(wide, best, 1.0)


def _search(x: Tensor, format: Format, unit: Tensor, factors: Tensor) -> Tensor:
    """For each row, the best of ``unit * factors``."""
    best, least = unit, torch.full_like(unit, torch.inf)
    for factor in factors:
        error = _error(x, unit * factor, format)
        best, least = torch.where(error < least, unit * factor, best), torch.minimum(error, least)
    return best


def _codes(x: Tensor, step: Tensor, format: Format) -> Tensor:
    return round_half_away(x / step[:, None]).clamp(format.lo, format.hi)


def _error(x: Tensor, step: Tensor, format: Format) -> Tensor:
    return (x - _codes(x, step, format) * step[:, None]).square().sum(1)
