"""Rows of a sweep; their test figures stay sealed until every choice is made."""

import re
from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

from fewbit.errors import DataError

Rows = Sequence[Mapping[str, Any]]


def of(rows: Rows, **where: Any) -> list[Mapping[str, Any]]:
    """The rows that have these values."""
    return [row for row in rows if all(row.get(key) == value for key, value in where.items())]


def arm_of(rows: Rows, names: Mapping[str, str], arm: str) -> tuple[str, Rows]:
    """What an arm is called, and its rows.

    Example:
        >>> arm_of([{"arm": "a", "test": 1.0}], {"a": "new"}, "a")
        ('new', [{'arm': 'a', 'test': 1.0}])
    """
    return names[arm], of(rows, arm=arm)


def is_test(key: str) -> bool:
    """Whether a figure was measured on test data: its name has the word "test".

    Example:
        >>> [is_test(key) for key in ("test", "ternary test", "test, requantized", "direct_test", "dev", "latest")]
        [True, True, True, True, False, False]
    """
    return "test" in re.split(r"[\W_]+", key)


class SealedRows:
    """Rows of which settings are chosen by development data, and which then hand out their test figures once.

    Args:
        rows: of a sweep.
        title: of the sweep, for errors.

    Example:
        >>> runs = SealedRows([{"lr": 1, "dev": 2.0, "test": 1.0}, {"lr": 2, "dev": 1.0, "test": 3.0}], "toy")
        >>> best = runs.choose("lr")
        >>> runs.dev
        [{'lr': 1, 'dev': 2.0}, {'lr': 2, 'dev': 1.0}]
        >>> runs.open(lambda row: row["lr"] == best)
        [{'lr': 2, 'dev': 1.0, 'test': 3.0}]
    """

    def __init__(self, rows: Rows, title: str) -> None:
        self._rows, self.title, self.opened = rows, title, False

    @property
    def dev(self) -> list[dict[str, Any]]:
        """The rows without what was measured on test data."""
        return [{key: value for key, value in row.items() if not is_test(key)} for row in self._rows]

    def choose(self, knob: str, **where: Any) -> Any:
        """The value of `knob` with the least mean on development data, among the rows that have these values.

        Raises:
            DataError: the test figures are known already, or no row has these values.
        """
        if self.opened:
            raise DataError(f"{self.title}: {knob} is to be chosen after the test figures were seen; choose before")
        rows = of(self.dev, **where)
        if not rows:
            raise DataError(f"{self.title}: no row has {where}, so there is no {knob} to choose")
        values = list(dict.fromkeys(row[knob] for row in rows))
        return min(values, key=lambda value: mean(row["dev"] for row in of(rows, **{knob: value})))

    def open(self, keep: Callable[[Mapping[str, Any]], bool] = lambda row: True) -> list[Mapping[str, Any]]:
        """The rows that `keep` holds true of, with their test figures.

        Raises:
            DataError: they were handed out already.
        """
        if self.opened:
            raise DataError(f"{self.title}: the test figures were handed out already; open the rows once")
        self.opened = True
        return [row for row in self._rows if keep(row)]
