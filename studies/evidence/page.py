"""The page of results, written from the files of the studies and never by hand."""

from collections.abc import Sequence
from pathlib import Path

from fewbit.analysis.report import Cell, Table
from studies.evidence.study import Study, read_study

HEAD = """# Results

This page is written by `make results`, `make speech` and `make kernels` from the files beside it; do not edit it by
hand. Figures are means and standard deviations over the seeds named. Unless a section says otherwise, settings were
chosen on development data and what is shown was measured on test data.

"""
LEAST_SECONDS = 60
"""A study that took less found its rows in the cache, so its time says nothing."""


def write_results(folder: str | Path, page: str | Path) -> Path:
    """Write one Markdown page of all studies whose files lie in `folder`.

    Raises:
        FileFormatError: a file in `folder` is no study.
    """
    page = Path(page)
    studies = [read_study(path) for path in sorted(Path(folder).glob("*.json"))]
    studies.sort(key=lambda study: (not study.number, study.number, study.name))
    parts = [HEAD, _overview(studies)]
    parts += [section(study, Path(folder).name) for study in studies]
    page.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    return page


def section(study: Study, pictures: str, level: int = 2) -> str:
    """A study as Markdown; `pictures` is the way to its pictures from the page."""
    title = f"{study.number} {study.title}" if study.number else study.title
    lines = [f"{'#' * level} {title}", ""]
    if study.claim:
        lines += [f"**Claim.** {study.claim}", "", f"**Here.** It {_VERDICTS[study.verdict]}.", ""]
    lines += [*(f"- {finding}" for finding in study.findings), ""]
    for table in study.tables:
        lines += [f"{table.title}:", "", *_table(table), ""]
    for file, caption in study.pictures:
        lines += [f"![{caption}]({pictures}/{file})", ""]
    seeds = ", ".join(map(str, study.seeds))
    took = f"{study.seconds:,.0f} s on " if study.seconds >= LEAST_SECONDS else ""
    lines += [f"{study.setting} Seeds {seeds}; {took}{study.machine}. Again: `{study.command}`.", ""]
    return "\n".join(lines)


_VERDICTS = {
    "holds": "holds",
    "holds in part": "holds in part",
    "does not hold": "does not hold",
    "no claim": "is no claim that can hold or not",
}


def _overview(studies: Sequence[Study]) -> str:
    claims = [study for study in studies if study.claim]
    if not claims:
        return ""
    rows = tuple((study.number, study.title, study.claim, study.verdict) for study in claims)
    return "\n".join([*_table(Table("", ("", "method", "claim", "here"), rows)), ""])


def _table(table: Table) -> list[str]:
    numeric = [
        all(
            row[place] == "" or isinstance(row[place], int | float | None) or "±" in str(row[place])
            for row in table.rows
        )
        for place in range(len(table.columns))
    ]
    lines = [
        f"| {' | '.join(table.columns)} |",
        f"| {' | '.join('---:' if right else '---' for right in numeric)} |",
    ]
    return [*lines, *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows)]


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
