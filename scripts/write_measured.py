"""Write what the studies measured into the pages of results, of methods and of guides, the README and model cards.

    python -m scripts.write_measured [--check]

A page says where. Between the lines `<!-- measured:NN -->` and `<!-- /measured -->` stands a whole study, between
`<!-- verdicts -->` and `<!-- /verdicts -->` how many claims hold, between `<!-- table:STUDY; TITLE -->` and
`<!-- /table -->` one of its tables, and between `<!-- cell:STUDY; ROW + ROW; COLUMN -->` and `<!-- /cell -->` one
figure: that of the only row of the study that has these cells (or `COLUMN=CELL`). With --check nothing is written, and
the exit code says whether all pages are as they would be.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fewbit.analysis.report import Cell, Table
from fewbit.errors import DataError
from studies.evidence import Study, cell_text, read_study, result_pages, section, summarize_verdicts, table_lines

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "results"
README = DOCS.parent / "README.md"
CARDS = DOCS.parent / "src" / "fewbit" / "shipped"
STUDY = re.compile(r"(<!-- measured:(\S+) -->\n).*?(<!-- /measured -->)", re.DOTALL)
CELL = re.compile(r"(<!-- cell:(.+?) -->).*?(<!-- /cell -->)")
TABLE = re.compile(r"(<!-- table:(.+?) -->\n).*?(<!-- /table -->)", re.DOTALL)
VERDICTS = re.compile(r"(<!-- verdicts -->\n).*?(<!-- /verdicts -->)", re.DOTALL)


def pages() -> dict[Path, str]:
    """The text that every generated page must have, by path."""
    studies = [read_study(path) for path in sorted(RESULTS.glob("*.json"))]
    found = {RESULTS / name: text for name, text in result_pages(studies).items()}
    by_name = {study.number or study.name: study for study in studies}
    filed = sorted([*DOCS.glob("methods/*.md"), *DOCS.glob("guides/*.md"), *CARDS.glob("*.md")])
    for path in (README, DOCS / "index.md", *filed):
        text = path.read_text(encoding="utf-8")
        filled = _fill(text, by_name, _way(path))
        if any(mark.search(text) for mark in (STUDY, TABLE, CELL, VERDICTS)):
            found[path] = filled
    return found


def stale_results(wanted: Mapping[Path, str]) -> list[Path]:
    """Pages of results that no topic has any longer."""
    return [path for path in sorted(RESULTS.glob("*.md")) if path not in wanted]


def _way(page: Path) -> str:
    """The path from a page to the folder of the results."""
    return "docs/results/" if page == README else "results/" if page.parent == DOCS else "../results/"


def _fill(text: str, studies: Mapping[str, Study], way: str) -> str:
    def whole(match: re.Match[str]) -> str:
        study = studies.get(match[2])
        text = section(study, way, level=3) if study else "Not measured yet.\n"
        return f"{match[1]}\n{text}\n{match[3]}"

    def figure(match: re.Match[str]) -> str:
        return f"{match[1]}{find_figure(match[2], studies)}{match[3]}"

    def verdicts(match: re.Match[str]) -> str:
        return f"{match[1]}{summarize_verdicts(list(studies.values()))}\n{match[2]}"

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}\n{find_table(match[2], studies)}\n\n{match[3]}"

    return VERDICTS.sub(verdicts, CELL.sub(figure, TABLE.sub(table, STUDY.sub(whole, text))))


def find_table(place: str, studies: Mapping[str, Study]) -> str:
    """The table at ``STUDY; TITLE`` as Markdown.

    Raises:
        DataError: no study, or no table of it, is so named.
    """
    name, _, title = (part.strip() for part in place.partition(";"))
    found = [table for table in _named(name, place, studies).tables if table.title == title]
    if len(found) != 1:
        raise DataError(f"{place}: {len(found)} tables of the study have this title")
    return "\n".join(table_lines(found[0]))


def _named(name: str, place: str, studies: Mapping[str, Study]) -> Study:
    if name not in studies:
        raise DataError(f"{place}: there is no study {name!r}; there are {', '.join(sorted(studies))}")
    return studies[name]


def find_figure(place: str, studies: Mapping[str, Study]) -> str:
    """The figure at ``STUDY; ROW + ROW; COLUMN``.

    Raises:
        DataError: no study, or not one row of it, is so named.
    """
    parts = [part.strip() for part in place.split(";")]
    if len(parts) != 3:
        raise DataError(f"{place}: a mark has a study, the cells of a row and a column, with `;` between them")
    name, row, column = parts
    measured = _named(name, place, studies)
    wanted = {word.strip() for word in row.split(" + ")}
    found = [
        cell_text(cells[table.columns.index(column)])
        for table in measured.tables
        for cells in table.rows
        if column in table.columns and wanted <= _names(table, cells)
    ]
    if len(found) != 1:
        raise DataError(f"{place}: {len(found)} rows have these cells and this column; name cells that one row has")
    return found[0]


def _names(table: Table, cells: Sequence[Cell]) -> set[str]:
    """The words that a mark may use for a row: its cells, with or without their columns."""
    texts = [str(cell) for cell in cells]
    return {*texts, *(f"{column}={text}" for column, text in zip(table.columns, texts, strict=True))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = pages()
    stale = {path: text for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        print(path.relative_to(DOCS.parent), "is out of date: python -m scripts.write_measured" if check else "written")
        if not check:
            path.write_text(text, encoding="utf-8")
    left = stale_results(wanted)
    for path in left:
        print(f"{path.relative_to(DOCS.parent)} {'belongs to no topic' if check else 'removed'}")
        if not check:
            path.unlink()
    return int(check and bool(stale or left))


if __name__ == "__main__":
    sys.exit(main())
