"""What the tables of `kernel_results.py` say: for each format, how often it is faster than the best peer, and how much.

Formats differ, so a sentence speaks of one of them, or names them all.
"""

from collections.abc import Iterator, Sequence

from fewbit.analysis.report import Cell, Table

RATIO, OWN_WIDTH = "times as fast", "than the best of its width"
TIE = 0.05
"""A ratio within this of 1 is called neither faster nor slower."""
TITLE = "How often each format is faster than its best peer"
COLUMNS = ("format", "of what", "best peer of", "rows", "faster", "as fast, within 5 %", "slower", "times as fast")


def count(ratios: Sequence[float]) -> tuple[int, int, int]:
    """How many ratios are above 1, about 1, and below 1.

    Example:
        >>> count([2.0, 1.02, 0.5, 0.4])
        (1, 1, 2)
    """
    faster, slower = sum(ratio > 1 + TIE for ratio in ratios), sum(ratio < 1 - TIE for ratio in ratios)
    return faster, len(ratios) - faster - slower, slower


def findings(tables: Sequence[Table]) -> tuple[str, ...]:
    """All formats in one sentence for each kind of table, then one for each format with all of its rows."""
    summaries, sentences = [], []
    for table in tables:
        subject = "Recurrent networks" if "cell" in table.columns else "Products"
        parts = []
        for name in _formats(table):
            ratios = _numbers([row for row in _rows(table) if row["format"] == name], RATIO)
            if ratios:
                faster, tied, slower = count(ratios)
                parts.append(f"{name} in {faster} of {len(ratios)}")
                sentences.append(
                    f"{subject} with {name} weights: faster than the best peer of any width in {faster} of "
                    f"{len(ratios)} rows, as fast within {100 * TIE:.0f} % in {tied}, slower in {slower}; "
                    f"{min(ratios):.2f} to {max(ratios):.2f} times as fast."
                )
        if parts:
            summaries.append(f"{subject}, rows faster than the best peer of any width: {', '.join(parts)}.")
    return (*summaries, *sentences)


def counts(tables: Sequence[Table]) -> Table:
    """The same by vectors, blocks of frames and cells, and against peers of the same width."""
    rows: list[tuple[Cell, ...]] = []
    for table in tables:
        for name in _formats(table):
            for what, chosen in _parts(table, name):
                for width, column in (("any width", RATIO), ("its width", OWN_WIDTH)):
                    ratios = _numbers(chosen, column)
                    if ratios:
                        between = f"{min(ratios):.2f} to {max(ratios):.2f}"
                        rows.append((name, what, width, len(ratios), *count(ratios), between))
    return Table(TITLE, COLUMNS, tuple(rows))


def _parts(table: Table, name: str) -> Iterator[tuple[str, list[dict[str, Cell]]]]:
    rows = [row for row in _rows(table) if row["format"] == name]
    if "cell" in table.columns:
        for cell in dict.fromkeys(str(row["cell"]) for row in rows):
            yield cell.upper(), [row for row in rows if row["cell"] == cell]
    else:
        yield "a vector", [row for row in rows if row["frames"] == 1]
        yield "a block of frames", [row for row in rows if row["frames"] != 1]


def _rows(table: Table) -> list[dict[str, Cell]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _formats(table: Table) -> list[str]:
    return list(dict.fromkeys(str(row["format"]) for row in _rows(table)))


def _numbers(rows: Sequence[dict[str, Cell]], column: str) -> list[float]:
    return [value for row in rows if isinstance(value := row.get(column), float | int)]
