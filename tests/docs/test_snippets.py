"""Every Python snippet of the README and the docs runs, and so does every example in a docstring.

The ``python`` blocks of a page share one namespace and run from first to last, in a folder that holds nothing but a
``recording.wav``. A block under a comment ``<!-- not run: why -->`` is not run. The site shows fences without any other
words only.
"""

import doctest
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import soundfile
import torch

import fewbit
from fewbit.data import spoken_digits
from fewbit.errors import ArgumentError

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?P<kept>^<!-- not run: [^\n]+ -->\n)?^```python\n(?P<code>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL
)


class Snippet(NamedTuple):
    line: int
    code: str


def snippets(page: Path) -> list[Snippet]:
    text = page.read_text()
    return [
        Snippet(text.count("\n", 0, match.start("code")), match["code"])
        for match in FENCE.finditer(text)
        if not match["kept"]
    ]


def run(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "snippet"}
    for snippet in snippets(page):
        # Empty lines first, so that a traceback names the line of the page.
        exec(compile("\n" * snippet.line + snippet.code, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_fences_have_one_word(page: Path) -> None:
    assert not re.findall(r"^```\w+ .*$", page.read_text(), re.MULTILINE)


def needs_shipped_network(text: str) -> None:
    if "pretrained(" in text:
        try:
            fewbit.pretrained()
        except ArgumentError as error:
            pytest.skip(str(error))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a recording in it; torch starts from a seed, on one core."""
    digits = spoken_digits()
    soundfile.write(tmp_path / "recording.wav", digits.stream(digits.unseen[:4])[0], digits.sample_rate)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield tmp_path
    torch.set_num_threads(threads)


WITH_SNIPPETS = [page for page in PAGES if snippets(page)]


@pytest.mark.parametrize("page", WITH_SNIPPETS, ids=lambda page: str(page.relative_to(ROOT)))
def test_snippets_of_a_page_run(page: Path, folder: Path) -> None:
    needs_shipped_network(page.read_text())
    run(page)


def test_snippets_are_found() -> None:
    assert len(WITH_SNIPPETS) >= 12
    assert sum(len(snippets(page)) for page in WITH_SNIPPETS) >= 45


@pytest.mark.parametrize(("page", "example"), [("how-many-bits", "one_digit"), ("retrain-a-language-model", "my_text")])
def test_the_guide_shows_the_example(page: str, example: str) -> None:
    code = (ROOT / "examples" / f"{example}.py").read_text().partition('"""\n\n')[2]
    assert snippets(ROOT / "docs" / "guides" / f"{page}.md")[0].code == code


def test_the_guide_shows_the_recipe() -> None:
    recipe = (ROOT / "examples" / "ternary_text.toml").read_text()
    assert f"```toml\n{recipe}```" in (ROOT / "docs" / "guides" / "retrain-a-language-model.md").read_text()


def test_a_broken_snippet_fails_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\na = 1\n```\n\nText.\n\n```python\nassert a == 1\nassert a == 2\n```\n")
    with pytest.raises(AssertionError) as broken:
        run(page)
    assert broken.traceback[-1].lineno + 1 == 11


def test_a_skipped_snippet_is_not_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python skip\nraise ValueError\n```\n\n```bash\nfalse\n```\n")
    assert snippets(page) == []


def examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder()
    names = ["fewbit", *(module.name for module in pkgutil.walk_packages(fewbit.__path__, "fewbit."))]
    found = [test for name in names for test in finder.find(import_module(name), name)]
    return [test for test in found if test.examples]


EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_of_a_docstring_runs(example: doctest.DocTest, folder: Path) -> None:
    needs_shipped_network(example.docstring or "")
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append, clear_globs=False)
    assert result.failed == 0, "".join(report)


def test_examples_are_found() -> None:
    assert len(EXAMPLES) >= 7
