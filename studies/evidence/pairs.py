"""Arms of a comparison in pairs: two runs that differ in the arm only, from the same network on the same batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from studies.evidence.study import spread

Rows = Sequence[Mapping[str, Any]]


def of(rows: Rows, **where: Any) -> list[Mapping[str, Any]]:
    """The rows that have these values."""
    return [row for row in rows if all(row.get(key) == value for key, value in where.items())]


def chosen(rows: Rows, knob: str) -> Any:
    """The value of `knob` with the least mean on development data."""
    values = list(dict.fromkeys(row[knob] for row in rows))
    return min(values, key=lambda value: mean(row["dev"] for row in of(rows, **{knob: value})))


@dataclass(frozen=True)
class Pairs:
    """Differences of a measure, one for each pair of runs: below 0 the first arm is better."""

    arm: str
    base: str
    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the differences."""
        return mean(self.differences)

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return stdev(self.differences) / len(self.differences) ** 0.5 if len(self.differences) > 1 else 0.0

    @property
    def better(self) -> bool:
        """Whether the first arm is better by more than the standard error."""
        return self.mean < -self.error

    @property
    def worse(self) -> bool:
        """Whether the first arm is worse by more than the standard error."""
        return self.mean > self.error

    def sentence(self, unit: str, digits: int = 2) -> str:
        """The differences in words, such as "A against B: -0.50 ± 0.20 points, better in 3 of 3"."""
        count = sum(difference < 0 for difference in self.differences)
        told = f"{self.arm} against {self.base}: {spread(self.differences, digits)} {unit}"
        judged = "better" if self.better else "worse" if self.worse else "no difference beyond the standard error"
        return f"{told}, lower in {count} of {len(self.differences)} pairs ({judged})"


def pairs(arm: tuple[str, Rows], base: tuple[str, Rows], measure: str = "test") -> Pairs:
    """Pairs of the runs of two arms by seed and repetition; each arm is its name and its rows."""
    known = {(row["seed"], row.get("repeat", 0)): row[measure] for row in base[1]}
    found = [(row[measure], known.get((row["seed"], row.get("repeat", 0)))) for row in arm[1]]
    return Pairs(arm[0], base[0], tuple(a - b for a, b in found if b is not None))
