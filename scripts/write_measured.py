"""Write what the studies measured into `docs/results.md` and pages of methods and guides, and the README.

    python -m scripts.write_measured [--check]

A page says where: between the lines `<!-- measured:NN -->` and `<!-- /measured -->`. In the README stand single
findings, between `<!-- findings:NAME.PLACE ... -->` and `<!-- /findings -->`. With --check nothing is written, and
the exit code says whether all pages are as they would be.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

from studies.evidence import read_study, section, write_results

DOCS = Path(__file__).parent.parent / "docs"
README = DOCS.parent / "README.md"
FINDINGS = re.compile(r"(<!-- findings:([^>]*) -->\n).*?(<!-- /findings -->)", re.DOTALL)
PLACE = re.compile(r"(<!-- measured:(\S+) -->\n).*?(<!-- /measured -->)", re.DOTALL)


def pages() -> dict[Path, str]:
    """What every generated page holds now that the studies are as they are."""
    with tempfile.TemporaryDirectory() as folder:
        results = write_results(DOCS / "results", Path(folder) / "results.md").read_text(encoding="utf-8")
    studies = {(study.number or study.name): study for study in map(read_study, (DOCS / "results").glob("*.json"))}
    found = {DOCS / "results.md": results}
    for path in sorted([*(DOCS / "methods").glob("*.md"), *(DOCS / "guides").glob("*.md")]):

        def fill(match: re.Match[str], path: Path = path) -> str:
            study = studies.get(match[2])
            text = section(study, "../results", level=3) if study else "Not measured yet.\n"
            return f"{match[1]}\n{text}\n{match[3]}"

        text = path.read_text(encoding="utf-8")
        if PLACE.search(text):
            found[path] = PLACE.sub(fill, text)

    def list_findings(match: re.Match[str]) -> str:
        lines = []
        for wanted in match[2].split():
            name, place = wanted.split(".")
            study = studies[name]
            lines.append(f"- [{study.title}](docs/results.md): {study.findings[int(place)]}")
        return "\n".join([match[1], *lines, "", match[3]])

    found[README] = FINDINGS.sub(list_findings, README.read_text(encoding="utf-8"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = {path: text for path, text in pages().items() if path.read_text(encoding="utf-8") != text}
    for path, text in stale.items():
        print(f"{path.relative_to(DOCS.parent)} {'is out of date: make results' if check else 'written'}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
