"""Rows of figures in a file of JSON lines: written by many processes, one line at a time, and read back."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Tell = Callable[[Row], None]
DONE = "done"
"""Kind of the row that says that a job has told all it had to tell."""


def append(path: Path, row: Row) -> None:
    """Add a row: one write to the end of the file, so that lines of several processes never mix."""
    line = json.dumps(row, ensure_ascii=False) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def read(path: Path) -> list[Row]:
    """All rows; of those with the same job and part the last one. A line that a killed process left is skipped."""
    found: dict[str, Row] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and "job" in row:
                found[json.dumps([row["job"], row.get("kind"), row.get("part")])] = row
    return list(found.values())


def done(rows: Iterable[Row]) -> dict[str, float]:
    """Jobs that need not run again, and the seconds that each took."""
    return {row["job"]: row["seconds"] for row in rows if row.get("kind") == DONE}


def of(rows: Iterable[Row], **where: Any) -> list[Row]:
    """The rows that have these values."""
    return [row for row in rows if all(row.get(key) == value for key, value in where.items())]
