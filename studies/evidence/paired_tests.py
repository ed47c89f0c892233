"""What pairs of runs say: a difference counts only where a paired test says that chance does not explain it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import mean, stdev

from studies.evidence.pairs import Rows, of

LEVEL = 0.05
TIE = 1e-9


@dataclass(frozen=True)
class Comparison:
    """An arm against a base: differences of a measure by seed, below 0 where the arm is better.

    held: the p of the paired t-test after Holm's correction for all comparisons made beside it.
    """

    arm: str
    base: str
    differences: tuple[float, ...]
    p: float
    held: float

    @property
    def word(self) -> str:
        """What may be said of it."""
        if not self.differences:
            return "not measured"
        if len(self.differences) < 2:
            return "a single pair, nothing to test"
        if self.held >= LEVEL:
            return "no difference beyond chance"
        return "better" if mean(self.differences) < 0 else "worse"

    def sentence(self, unit: str, digits: int) -> str:
        """The differences, both tests, and what they allow to say."""
        if not self.differences:
            return f"{self.arm} against {self.base}: not measured."
        many = len(self.differences)
        apart = f"{self.arm} against {self.base}: {mean(self.differences):+.{digits}f}"
        if many == 1:
            return f"{apart} {unit} ({self.word})."
        lower, ties = sum(gap < -TIE for gap in self.differences), sum(abs(gap) <= TIE for gap in self.differences)
        return (
            f"{apart} ± {stdev(self.differences):.{digits}f} {unit}, lower in {lower} of {many} pairs"
            f"{f', {ties} tied' if ties else ''} (paired t-test p = {told(self.p)}, {told(self.held)} after Holm; sign "
            f"flips p = {told(flip_p(self.differences))}): {self.word}."
        )


def compare(rows: Rows, pairs: Sequence[tuple[str, str]], measure: str, names: dict[str, str]) -> list[Comparison]:
    """All comparisons of a study, each over the seeds that both arms have."""
    found = []
    for arm, base in pairs:
        known = {row["seed"]: row[measure] for row in of(rows, arm=base)}
        mine = sorted(of(rows, arm=arm), key=lambda row: row["seed"])
        gaps = tuple(row[measure] - known[row["seed"]] for row in mine if row["seed"] in known)
        found.append((names[arm], names[base], gaps))
    ps = [t_p(gaps) for _, _, gaps in found]
    return [Comparison(*one, p, held) for one, p, held in zip(found, ps, holm(ps), strict=True)]


def flip_p(differences: Sequence[float]) -> float:
    """The exact two-sided p of a sign-flip permutation test of mean 0: at least ``2 / 2**n``.

    Example:
        >>> flip_p([-1.0, -2.0, -1.5])
        0.25
    """
    seen = abs(sum(differences)) - TIE
    signs = list(product((1, -1), repeat=len(differences)))
    flips = [abs(sum(sign * gap for sign, gap in zip(chosen, differences, strict=True))) for chosen in signs]
    return sum(flip >= seen for flip in flips) / len(flips)


def t_p(differences: Sequence[float]) -> float:
    """The two-sided p of a paired t-test of mean 0; 1 for fewer than two pairs.

    Example:
        >>> round(t_p([1.0, 2.0, 3.0]), 4)
        0.0742
    """
    many = len(differences)
    if many < 2 or max(map(abs, differences)) <= TIE:
        return 1.0
    spread = stdev(differences)
    if spread <= TIE:
        return 0.0
    return student_tail(mean(differences) / (spread / math.sqrt(many)), many - 1)


def margin_p(differences: Sequence[float], margin: float) -> float:
    """The one-sided p of a paired t-test that the mean is `margin` or more: small where an arm is not worse by so much.

    Example:
        >>> round(margin_p([0.1, -0.2, 0.1], 1.0), 4)
        0.0051
    """
    apart = [difference - margin for difference in differences]
    both = t_p(apart)
    return both / 2 if apart and mean(apart) < 0 else 1 - both / 2


def student_tail(t: float, freedom: int) -> float:
    """Chance that Student's t with whole degrees of freedom is further from 0 than `t`.

    References:
        Abramowitz, Stegun 1964, 26.7.3 and 26.7.4.
    """
    angle = math.atan2(abs(t), math.sqrt(freedom))
    square = math.cos(angle) ** 2
    term, total = 1.0, 0.0
    for k in range(2 if freedom % 2 == 0 else 3, freedom + 1, 2):
        total += term
        term *= square * (k - 1) / k
    if freedom % 2 == 0:
        inside = math.sin(angle) * total
    else:
        inside = 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total)
    return max(0.0, 1 - inside)


def holm(ps: Sequence[float]) -> list[float]:
    """The p of each of several tests, corrected so that one false alarm among all is as rare as each was.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    held, worst = [0.0] * len(ps), 0.0
    for place, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        worst = max(worst, min(1.0, ps[i] * (len(ps) - place)))
        held[i] = worst
    return held


def told(p: float) -> str:
    """A p with two digits."""
    return f"{p:.2g}" if p >= 1e-4 else "below 0.0001"
