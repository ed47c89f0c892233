"""The choice of the next symbol from integer scores, with the same result on every machine.

    w_i = exp((s_i - max s) / (unit * T)),   P_i = w_i / sum w   over the smallest set of symbols that has probability p

The scores are integers and the same on every target. What follows is float64, by additions, products, quotients and
roundings in a fixed order, which IEEE 754 defines to the last bit; the exponential of a C library, or a sum in an order
that depends on the processor, may differ in it, and one different symbol changes all that follow.

References:
    Holtzman, Buys, Du, Forbes, Choi 2020, "The curious case of neural text degeneration" (arXiv 1904.09751), for the
    smallest set (top-p).
"""

from dataclasses import dataclass
from math import factorial, inf

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import ArgumentError
from fewbit.program.numerics import Integers

LN2 = 0.6931471805599453
COEFFICIENTS = [np.float64(1 / factorial(n)) for n in range(6, -1, -1)]
"""Of the series of exp, the highest power first; what it leaves out is below 1e-15 up to arguments of ln(2) / 32."""
SMALLEST = -700.0
"""Exponents below it count as it: float64 then has no subnormal numbers, and the probability is 0 for all purposes."""
COLDEST = 1e-12
"""Temperatures below it count as it: whatever the unit, lower scores then have no probability, and none overflows."""


@dataclass(frozen=True)
class Sampling:
    """How a symbol is chosen.

    Args:
        temperature: above 1 flattens the distribution, below 1 sharpens it; 0 takes the symbol of the highest score,
            the first of several.
        top_p: the smallest set of symbols whose probability reaches it is drawn from; of equal symbols, the first come
            first. 1 is all symbols.

    Raises:
        ArgumentError: the temperature is below 0 or not finite, or `top_p` is not above 0 and at most 1.
    """

    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < inf:
            raise ArgumentError(f"temperature={self.temperature}, wanted a finite number from 0 on (0: no chance)")
        if not 0 < self.top_p <= 1:
            raise ArgumentError(f"top_p={self.top_p}, wanted above 0 and at most 1 (1: all symbols)")

    def choose(self, scores: Integers, unit: float, chance: float) -> int:
        """The place of the chosen symbol.

        scores: of the symbols, ``(symbols,)``; `unit` is 1.0 among them.
        chance: a random number from 0 to below 1.
        """
        if self.temperature == 0:
            return int(scores.argmax())
        weights = exp_of_negative((scores - scores.max()) / unit / max(self.temperature, COLDEST))
        order = (-weights).argsort(kind="stable")
        sums = weights[order].cumsum()  # one after another; a sum in pairs would depend on the processor
        kept = int(sums.searchsorted(self.top_p * sums[-1])) + 1
        drawn = int(sums[:kept].searchsorted(chance * sums[kept - 1], side="right"))
        return int(order[min(drawn, kept - 1)])


def exp_of_negative(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """``exp(x)`` for ``x <= 0``, by products, sums and powers of two alone: the same bits everywhere."""
    x = np.maximum(x, SMALLEST)
    halvings = np.rint(x / LN2)
    rest = (x - halvings * LN2) / 16
    y = rest * COEFFICIENTS[0]
    for coefficient in COEFFICIENTS[1:-1]:
        y += coefficient
        y *= rest
    y += COEFFICIENTS[-1]
    for _ in range(4):  # exp(rest) ** 16
        y *= y
    return np.ldexp(y, halvings.astype(np.int32))
