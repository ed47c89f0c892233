"""What comes of a claim: its parts, each judged by a test, and the verdict of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from studies.evidence.paired_tests import LEVEL, Comparison, Difference, holm, margin_p, stated, tested

Verdict = Literal["holds", "holds in part", "undecided", "does not hold", "no claim"]


@dataclass(frozen=True)
class Part:
    """One statement of a claim, and what the figures say of it.

    Args:
        says: the statement.
        outcome: ``shown``, ``refuted``, or ``open`` where chance explains what was seen.
        sentence: the figures and their test, as a phrase.
        comparison: the pairs behind it, if it is about pairs.
    """

    says: str
    outcome: Literal["shown", "refuted", "open"]
    sentence: str
    comparison: Comparison | None = None

    @property
    def finding(self) -> str:
        """The part as the page tells it."""
        return f"{self.says}: {self.outcome} ({self.sentence})."


def verdict(parts: Sequence[Part]) -> Verdict:
    """Of all parts of a claim: it holds where all are shown, in part where some are; where none is, it does not hold
    if one is refuted, and else nothing is decided.
    """
    shown = [part.outcome == "shown" for part in parts]
    if parts and all(shown):
        return "holds"
    if any(shown):
        return "holds in part"
    return "does not hold" if any(part.outcome == "refuted" for part in parts) else "undecided"


def better(statements: Sequence[tuple[str, Difference]]) -> list[Part]:
    """Statements that an arm is better than a base, tested together: a tie leaves a statement open."""
    outcomes: dict[str, Literal["shown", "refuted", "open"]] = {"better": "shown", "worse": "refuted", "tie": "open"}
    found = tested([gap for _, gap in statements])
    return [
        Part(says, outcomes[one.outcome], one.figures, one) for (says, _), one in zip(statements, found, strict=True)
    ]


def as_good(statements: Sequence[tuple[str, Difference]], margin: float | Sequence[float]) -> list[Part]:
    """Statements that an arm is not worse than a base by `margin` or more, tested together.

    The margin is one for all statements, or one for each.

    A statement is shown if a one-sided paired t-test excludes that the arm is worse by `margin` or more, and refuted
    if the arm is worse by more than `margin` beyond chance. The margin is set before the runs.
    """
    found = tested([gap for _, gap in statements])
    margins = [margin] * len(statements) if isinstance(margin, int | float) else margin
    limits = list(zip([gap for _, gap in statements], margins, strict=True))
    near = holm([margin_p(gap.values, limit) for gap, limit in limits])
    far = holm([margin_p([-value for value in gap.values], -limit) for gap, limit in limits])
    parts = []
    for (says, gap), limit, one, p, q in zip(statements, margins, found, near, far, strict=True):
        enough = len(gap.values) > 1
        outcome: Literal["shown", "refuted", "open"] = "open"
        if enough and p < LEVEL:
            outcome = "shown"
        elif enough and q < LEVEL:
            outcome = "refuted"
        test = f", {stated(p)} that it is worse by {limit:g} {gap.unit} or more" if enough else ""
        parts.append(Part(says, outcome, f"{one.figures}{test}", one))
    return parts


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's coefficient; equal values share the mean of their ranks, 0 where all are equal."""
    left, right = (np.array([np.mean([(b < a) + (b <= a) for b in z]) for a in z], float) for z in (x, y))
    spreads = float(left.std() * right.std())
    return float(((left - left.mean()) * (right - right.mean())).mean()) / spreads if spreads else 0.0


def comparisons_of(parts: Sequence[Part]) -> tuple[Comparison, ...]:
    """The comparisons behind the parts."""
    return tuple(part.comparison for part in parts if part.comparison is not None)
