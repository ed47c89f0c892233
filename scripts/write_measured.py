"""Write what the studies measured into the pages of results, of methods and of guides, and into the README.

    python -m scripts.write_measured [--check]

A page says where: between the lines `<!-- measured:NN -->` and `<!-- /measured -->` stands a whole study, between
`<!-- findings:NAME.PLACE ... -->` and `<!-- /findings -->` a table of single findings, and between `<!-- verdicts -->`
and `<!-- /verdicts -->` how many claims hold. With --check nothing is written, and the exit code says whether all pages
are as they would be.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from fewbit.errors import DataError
from studies.evidence import Study, link_to, read_study, result_pages, section, summarize_verdicts

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "results"
README = DOCS.parent / "README.md"
STUDY = re.compile(r"(<!-- measured:(\S+) -->\n).*?(<!-- /measured -->)", re.DOTALL)
FINDINGS = re.compile(r"(<!-- findings:([^>]*) -->\n).*?(<!-- /findings -->)", re.DOTALL)
VERDICTS = re.compile(r"(<!-- verdicts -->\n).*?(<!-- /verdicts -->)", re.DOTALL)


def pages() -> dict[Path, str]:
    """The text that every generated page must have, by path."""
    studies = [read_study(path) for path in sorted(RESULTS.glob("*.json"))]
    found = {RESULTS / name: text for name, text in result_pages(studies).items()}
    by_name = {study.number or study.name: study for study in studies}
    for path in (README, DOCS / "index.md", *sorted([*DOCS.glob("methods/*.md"), *DOCS.glob("guides/*.md")])):
        text = path.read_text(encoding="utf-8")
        filled = _fill(text, by_name, _way(path))
        if any(mark.search(text) for mark in (STUDY, FINDINGS, VERDICTS)):
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

    def findings(match: re.Match[str]) -> str:
        rows = []
        for wanted in match[2].split():
            name, _, places = wanted.partition(".")
            try:
                study = studies[name]
                text = " ".join(study.findings[int(place)] for place in places.split(","))
            except (KeyError, ValueError, IndexError):
                raise DataError(
                    f"{wanted}: no such finding; write the name of a study and the places of its findings, such as "
                    "`digits.0,1`"
                ) from None
            rows.append(f"| [{study.title}]({way}{link_to(study)}) | {text} |")
        return "\n".join([match[1], "| study | measured |", "| --- | --- |", *rows, "", match[3]])

    def verdicts(match: re.Match[str]) -> str:
        return f"{match[1]}{summarize_verdicts(list(studies.values()))}\n{match[2]}"

    return VERDICTS.sub(verdicts, FINDINGS.sub(findings, STUDY.sub(whole, text)))


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
