"""The site is complete: every public name, every command, every study, and every link into it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import typer

from fewbit.cli.main import app
from recipes.__main__ import app as recipes_app
from studies.__main__ import app as studies_app
from studies.evidence import read_study
from tests.docs.documented import DESCRIBED, DOCS, ROOT, page_of, public

INTO_DOCS = re.compile(r"\]\((docs/[\w/.-]+)\.md#([\w-]+)\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: what is not logged is not counted by --strict.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(ROOT / "mkdocs.yml"), "-d", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    return folder


def html(site: Path, page: str) -> str:
    """A page of the site by its path below ``docs``, without an ending."""
    return (site / page.removesuffix("index") / "index.html").read_text()


def test_every_public_name_is_shown(site: Path) -> None:
    missing = []
    for package in DESCRIBED[1:]:
        shown = set(re.findall(r'id="(fewbit[\w.]+)"', html(site, f"reference/{page_of(package).stem}")))
        missing += [name for name, _ in public(package) if name not in shown]
    assert missing == []


def commands(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{words} {name}")


@pytest.mark.parametrize(
    ("words", "program"), [("fewbit", app), ("python -m studies", studies_app), ("python -m recipes", recipes_app)]
)
def test_every_command_and_option_is_shown(site: Path, words: str, program: typer.Typer) -> None:
    sections = re.split(r"<h[2-5] id=", html(site, "reference/command-line"))
    missing = []
    for name, command in commands(typer.main.get_command(program), words):
        shown = [section for section in sections if f"<code>{name}</code>" in section.partition("</h")[0]]
        if len(shown) != 1:
            missing.append(f"{name}: {len(shown)} sections")
            continue
        for parameter in command.params:
            record = parameter.get_help_record(typer.Context(command))
            if record and parameter.name != "help" and record[0] not in unescape(shown[0]):
                missing.append(f"{name}: {record[0]}")
    assert missing == []


def test_an_app_without_options_has_no_empty_lists(site: Path) -> None:
    assert "<strong>Options</strong>:</p>\n<h" not in html(site, "reference/command-line")
    assert "<!-- commands" not in html(site, "reference/command-line")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_into_the_docs_lead_to_their_sections(site: Path, page: str) -> None:
    links = INTO_DOCS.findall((ROOT / page).read_text())
    assert [link for link in links if f'id="{link[1]}"' not in html(site, link[0].removeprefix("docs/"))] == []
    if page == "README.md":
        assert len(links) >= 5


def test_every_study_has_a_line_in_the_overview_that_leads_to_it(site: Path) -> None:
    overview = html(site, "results/index")
    paths = sorted((DOCS / "results").glob("*.json"))
    assert len(paths) > 10
    for path in paths:
        study = read_study(path)
        (link,) = re.findall(rf'<a href="([^"]+)">(?:{study.number} )?{re.escape(study.title)}</a>', overview)
        page, _, anchor = link.partition("#")
        shown = (site / "results" / page / "index.html").read_text()
        assert f'id="{anchor}"' in shown
        assert shown.count(study.command) >= 1


def test_navigation_is_short(site: Path) -> None:
    """A dozen links in sight, in the tabs and in the open part of each section."""
    tabs = re.findall(r'class="md-tabs__link"', html(site, "index"))
    assert 5 <= len(tabs) <= 8
    config = (ROOT / "mkdocs.yml").read_text()
    sections = re.split(r"^  - ", config.partition("nav:\n")[2], flags=re.MULTILINE)[1:]
    assert max(len(re.findall(r"^      - ", section, re.MULTILINE)) for section in sections) <= 12
