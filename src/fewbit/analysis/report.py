"""Results of an analysis: tables of plain values, saved as CSV and JSON."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from fewbit.atomic_file import write_atomically

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """Columns (with units in their names) and rows; ``None`` stands for what was not measured.

    Examples:
        >>> table = Table("errors", ("weights", "error (%)"), (("float", 9.5), ("ternary", None)))
        >>> len(table.rows)
        2
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Report(Protocol):
    """What every analysis returns: a dataclass of plain values that can be shown as tables.

    Examples:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Errors:
        ...     float_error: float
        ...     def tables(self):
        ...         return [Table("errors", ("error (%)",), ((self.float_error,),))]
        >>> report: Report = Errors(9.5)
        >>> report.tables()[0].rows
        ((9.5,),)
    """

    def tables(self) -> Sequence[Table]:
        """The tables for a reader, the most important first."""
        ...


def save_report(report: Report, folder: str | Path, stem: str) -> list[Path]:
    """Write ``stem.json`` (everything) and ``stem.csv``, ``stem-2.csv``, ... (the tables) and return the files.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from fewbit.analysis import SizedNetwork, Resilience
        >>> report = Resilience("toy", "error (%)", (SizedNetwork(8, "float", 0, 9, 36, 0.0, 9.0, 9.0, 9.5, 9.5),))
        >>> with TemporaryDirectory() as folder:
        ...     print([file.name for file in save_report(report, folder, "toy")])
        ['toy.json', 'toy.csv']
    """
    folder = Path(folder)
    text = json.dumps(asdict(cast(Any, report)), indent=1, ensure_ascii=False)
    files = [write_atomically(folder / f"{stem}.json", f"{text}\n")]
    for number, table in enumerate(report.tables(), 1):
        files.append(folder / (f"{stem}.csv" if number == 1 else f"{stem}-{number}.csv"))
        with files[-1].open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows(table.rows)
    return files
