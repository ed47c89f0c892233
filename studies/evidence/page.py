"""The pages of results, written from the files of the studies and never by hand."""

import re
from collections.abc import Sequence
from pathlib import Path

from fewbit.analysis.report import Cell, Table
from studies.evidence.paired_tests import Comparison, digits_of
from studies.evidence.study import Study, read_study, spread
from studies.evidence.topics import Topic, by_topic

HEAD = """# Results

What was measured, by topic; each line leads to its tables, its pictures and the command that reproduces it. Figures
are means and standard deviations over the seeds named. Unless a section says otherwise, settings were chosen on
development data and figures were measured on test data.

`make results`, `make speech` and `make kernels` write these pages; do not edit them by hand.

"""
EARLIER = "This verdict is older than the rule: it counts a difference beyond one standard error, without a test."
"""Said of a claim whose runs are not in its file."""
LEAST_SECONDS = 60
"""A study that took less found its rows in the cache, so its time says nothing."""


def write_results(folder: str | Path) -> list[Path]:
    """Write the overview ``index.md`` and a page for each topic beside the studies in `folder`.

    Raises:
        FileFormatError: a JSON file in `folder` is no study.
        DataError: a study belongs to no topic.
    """
    folder = Path(folder)
    pages = result_pages([read_study(path) for path in sorted(folder.glob("*.json"))])
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def result_pages(studies: Sequence[Study]) -> dict[str, str]:
    """The overview and the page of each topic that has studies, by file name.

    Raises:
        DataError: a study belongs to no topic.
    """
    topics = by_topic(studies)
    pages = {"index.md": HEAD + "\n".join(_overview(topic, members) for topic, members in topics.items())}
    for topic, members in topics.items():
        parts = [f"# {topic.title}\n\n{topic.subject} [All results](index.md).\n"]
        parts += [section(study) for study in members]
        pages[f"{topic.page}.md"] = "\n".join(parts)
    return {name: text.rstrip() + "\n" for name, text in pages.items()}


def summarize_verdicts(studies: Sequence[Study]) -> str:
    """How many of the measured claims hold, in one sentence."""
    verdicts: list[str] = [study.verdict for study in studies if study.claim]
    counted = [(verdicts.count(verdict), words) for verdict, words in _COUNTED.items()]
    counts = ", ".join(f"{count} {words[count != 1]}" for count, words in counted)
    older = sum(study.is_older for study in studies)
    words = "is older than the rule and rests" if older == 1 else "are older than the rule and rest"
    rest = f" Of these verdicts, {older} {words} on no test." if older else ""
    return f"{len(verdicts)} {'claim was' if len(verdicts) == 1 else 'claims were'} measured: {counts}.{rest}"


def _heading(study: Study) -> str:
    return f"{study.number} {study.title}" if study.number else study.title


def _anchor(heading: str) -> str:
    """The anchor that both the site and common viewers of Markdown give a heading."""
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def section(study: Study, pictures: str = "", level: int = 2) -> str:
    """A study as Markdown; `pictures` is the path from the page to the folder of its pictures, with the last slash."""
    lines = [f"{'#' * level} {_heading(study)}", ""]
    if study.claim:
        old = f" {EARLIER}" if study.is_older else ""
        lines += [f"**Claim.** {study.claim}", "", f"**Result:** {study.verdict}.{old}", ""]
    lines += [*(f"- {finding}" for finding in study.findings), ""]
    for table in (*study.tables, *_tests(study.comparisons)):
        lines += [f"{table.title}:", "", *table_lines(table), ""]
    for file, caption in study.pictures:
        lines += [f"![{caption}]({pictures}{file})", ""]
    seeds = ", ".join(map(str, study.seeds))
    took = f"{study.seconds:,.0f} s on " if study.seconds >= LEAST_SECONDS else ""
    lines += [f"{study.setting} Seeds {seeds}; {took}{study.machine}.", ""]
    lines += [f"Reproduce with `{study.command}`. Data: [`{study.stem}.json`]({pictures}{study.stem}.json).", ""]
    return "\n".join(lines)


def _tests(comparisons: Sequence[Comparison]) -> list[Table]:
    """What was tested, if anything was."""
    if not comparisons:
        return []
    columns = ("arm", "against", "difference", "seeds", "95 % interval", "p", "p after Holm", "the test says")
    title = "Paired t-tests of arm less base by seed, below 0 where the arm is better"
    return [Table(title, columns, tuple(_tested(one) for one in comparisons))]


def _tested(one: Comparison) -> tuple[Cell, ...]:
    pairs = one.difference
    if one.interval is None:
        return (
            pairs.arm,
            pairs.base,
            f"{one.mean:+.{pairs.digits}f} {pairs.unit}" if pairs.values else "",
            len(pairs.values),
            "",
            "",
            "",
            one.word,
        )
    low, high = (f"{end:+.{pairs.digits}f}" for end in one.interval)
    apart = f"{spread(pairs.values, pairs.digits)} {pairs.unit}"
    ps = (digits_of(p) for p in (one.p, one.held))
    return (pairs.arm, pairs.base, apart, len(pairs.values), f"{low} to {high}", *ps, one.word)


_COUNTED = {
    "holds": ("holds", "hold"),
    "holds in part": ("holds in part", "hold in part"),
    "undecided": ("is undecided", "are undecided"),
    "does not hold": ("does not hold", "do not hold"),
}
_FIGURE = re.compile(r"[-+]?\d[\d,.]*( ± \d[\d,.]*)?( \S{1,8})?")
"""A number, perhaps with its deviation and a unit."""


def _overview(topic: Topic, studies: Sequence[Study]) -> str:
    rows = []
    for study in studies:
        link = f"[{_heading(study)}]({topic.page}.md#{_anchor(_heading(study))})"
        rows.append((link, study.claim or study.findings[0], study.verdict))
    table = table_lines(Table("", ("study", "claim, or first finding", "verdict"), tuple(rows)))
    return "\n".join([f"## [{topic.title}]({topic.page}.md)", "", topic.subject, "", *table, ""])


def table_lines(table: Table) -> list[str]:
    """A table as lines of Markdown; columns of figures stand at the right."""
    right = [
        all(
            row[place] == "" or isinstance(row[place], int | float | None) or _FIGURE.fullmatch(str(row[place]))
            for row in table.rows
        )
        for place in range(len(table.columns))
    ]
    lines = [
        f"| {' | '.join(table.columns)} |",
        f"| {' | '.join('---:' if numbers else '---' for numbers in right)} |",
    ]
    return [*lines, *(f"| {' | '.join(cell_text(cell) for cell in row)} |" for row in table.rows)]


def cell_text(value: Cell) -> str:
    """A figure as the pages show it."""
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
