"""What pairs of runs say: a difference counts only where a paired test says that chance does not explain it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Literal

from studies.evidence.rows import Rows, arm_of

LEVEL = 0.05
TIE = 1e-9
Outcome = Literal["better", "worse", "tie"]
"""A tie is what chance explains, and what is not measured."""


@dataclass(frozen=True)
class Difference:
    """A measure of an arm minus that of a base, by seed: below 0 where the arm is better.

    Args:
        arm, base: what they are called, for people.
        unit: of the measure.
        seeds: of the pairs; each has networks and batches of its own.
        values: one for each seed.
        digits: that a sentence shows.
    """

    arm: str
    base: str
    unit: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    digits: int = 2


@dataclass(frozen=True)
class Comparison:
    """An arm against a base, tested together with others.

    Args:
        difference: the pairs.
        p: of the two-sided paired t-test.
        held: the same after Holm's correction for all comparisons made beside it.
    """

    difference: Difference
    p: float
    held: float

    @property
    def mean(self) -> float:
        """Of the differences; 0 for none."""
        return mean(self.difference.values) if self.difference.values else 0.0

    @property
    def outcome(self) -> Outcome:
        """What the corrected test allows to say."""
        if len(self.difference.values) < 2 or self.held >= LEVEL:
            return "tie"
        return "better" if self.mean < 0 else "worse"

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean difference by Student's t, without correction; none for one pair."""
        values = self.difference.values
        if len(values) < 2:
            return None
        reach = student_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
        return self.mean - reach, self.mean + reach

    @property
    def word(self) -> str:
        """The outcome for people."""
        many = len(self.difference.values)
        if many < 2:
            return "a single pair, nothing to test" if many else "not measured"
        return "no difference beyond chance" if self.outcome == "tie" else self.outcome

    @property
    def figures(self) -> str:
        """The mean difference, its interval and its corrected test, as a phrase."""
        told, values = self.difference, self.difference.values
        if not values:
            return self.word
        apart = f"{self.mean:+.{told.digits}f} {told.unit}"
        interval = self.interval
        if interval is None:
            return f"{apart}, {self.word}"
        low, high = (f"{end:+.{told.digits}f}" for end in interval)
        return f"{apart}, 95 % interval {low} to {high}, {stated(self.held)} after Holm"

    @property
    def sentence(self) -> str:
        """Both arms, the figures and what they allow to say; without a full stop."""
        pair = f"{self.difference.arm} against {self.difference.base}: {self.figures}"
        return pair if self.interval is None else f"{pair}: {self.word}"


def difference(
    arm: tuple[str, Rows],
    base: tuple[str, Rows],
    measure: str | Callable[[Mapping[str, float]], float] = "test",
    *,
    unit: str = "points",
    digits: int = 2,
) -> Difference:
    """The pairs of two arms by seed, over the seeds that both have; an arm is its name and its rows.

    Raises:
        ValueError: an arm has two rows of one seed, which are no independent pairs.

    Example:
        >>> rows = [{"seed": 0, "test": 1.0}], [{"seed": 0, "test": 3.0}]
        >>> difference(("new", rows[0]), ("old", rows[1])).values
        (-2.0,)
    """
    get = measure if callable(measure) else lambda row: row[measure]
    found = []
    for name, rows in (arm, base):
        values = {row["seed"]: float(get(row)) for row in rows}
        if len(values) < len(rows):
            raise ValueError(f"{name}: {len(rows)} rows of {len(values)} seeds; wanted one row a seed")
        found.append(values)
    mine, theirs = found
    return by_seed((arm[0], mine), (base[0], theirs), unit=unit, digits=digits)


def by_seed(
    arm: tuple[str, Mapping[int, float]],
    base: tuple[str, Mapping[int, float] | float],
    *,
    unit: str = "points",
    digits: int = 2,
) -> Difference:
    """The pairs of two numbers that seeds have, or of one number and a bound that was set before the runs.

    Example:
        >>> by_seed(("gap", {0: 0.5, 1: 0.7}), ("1 point", 1.0)).values
        (-0.5, -0.30000000000000004)
    """
    mine, theirs = arm[1], base[1]
    if not isinstance(theirs, Mapping):
        theirs = dict.fromkeys(mine, theirs)
    seeds = tuple(sorted(mine.keys() & theirs.keys()))
    return Difference(arm[0], base[0], unit, seeds, tuple(mine[seed] - theirs[seed] for seed in seeds), digits)


def tested(differences: Sequence[Difference]) -> list[Comparison]:
    """All comparisons of a claim, each with its test and Holm's correction for all of them."""
    ps = [t_p(one.values) for one in differences]
    return [Comparison(*one) for one in zip(differences, ps, holm(ps), strict=True)]


def compare(
    rows: Rows,
    pairs: Sequence[tuple[str, str]],
    measure: str,
    names: Mapping[str, str],
    *,
    unit: str = "points",
    digits: int = 2,
) -> list[Comparison]:
    """`tested` for pairs of values of ``arm``, each over the seeds that both arms have."""
    arms = {arm: arm_of(rows, names, arm) for pair in pairs for arm in pair}
    return tested([difference(arms[arm], arms[base], measure, unit=unit, digits=digits) for arm, base in pairs])


def with_rows(rows: Rows, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those pairs of values of ``arm`` of which both have rows, for arms that only some networks have.

    Example:
        >>> with_rows([{"arm": "a"}, {"arm": "b"}], [("a", "b"), ("a", "c")])
        [('a', 'b')]
    """
    known = {row.get("arm") for row in rows}
    return [(arm, base) for arm, base in pairs if {arm, base} <= known]


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
        0.0049
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


def student_quantile(freedom: int, chance: float = LEVEL) -> float:
    """The t that Student's t is further from 0 than with this chance.

    Example:
        >>> round(student_quantile(4), 3)
        2.776
    """
    low, high = 0.0, 1e6
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_tail(middle, freedom) > chance else (low, middle)
    return high


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


def digits_of(p: float) -> str:
    """A p with two digits."""
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def stated(p: float) -> str:
    """A p as a sentence has it.

    Example:
        >>> stated(0.034), stated(1e-6)
        ('p = 0.034', 'p < 0.0001')
    """
    return f"p {digits_of(p)}" if p < 1e-4 else f"p = {digits_of(p)}"
