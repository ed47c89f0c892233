"""The table of methods by name and paper: every page is in it, and all that it names is there."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from studies.registry import STUDIES
from tests.docs.documented import DOCS, METHODS, ROOT

INDEX = (DOCS / "methods" / "index.md").read_text()
ROWS = [line.split(" | ") for line in INDEX.splitlines() if line.startswith("| [")]
NAMES = (
    "SQWA SPEQ TI TSLD S-SGD HLSTM KD GSLR LSQ ECR GraphRNN SRU QRNN CTC-TR CTC-EM Kneser-Ney Online·CTC "
    "Multi-step·execution Macro-block·dropout"
)


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_method_page_has_a_row() -> None:
    linked = {match for row in ROWS for match in re.findall(r"\]\(([\w-]+\.md)\)", row[0])}
    assert linked == {page.name for page in METHODS}


@pytest.mark.parametrize("name", NAMES.split())
def test_a_method_is_found_by_its_name(name: str) -> None:
    assert [row for row in ROWS if name.replace("·", " ") in row[0]], f"no row has {name} in its first column"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("| "))
def test_what_a_row_names_is_there(row: list[str]) -> None:
    name, _, paper, source, study = row
    assert code(source)
    for path in code(source):
        assert (ROOT / "src" / "fewbit" / path).exists(), f"no src/fewbit/{path}"
    page = (DOCS / "methods" / re.findall(r"\]\(([\w-]+\.md)\)", name)[0]).read_text()
    for number, address in re.findall(r"\[([\d.]+)\]\(https://arxiv\.org/abs/([\d.]+)\)", paper):
        assert number == address
        assert number in page, f"the page does not name arXiv {number}"
    if study.strip("| ") == "see the page":
        assert "## Measured" in page
        return
    file, command = code(study)
    assert (ROOT / file).is_file(), f"no {file}"
    words = command.split()
    if words[:3] == ["python", "-m", "studies"]:
        assert STUDIES[words[3]] == Path(file).stem
    elif words[:2] == ["python", "-m"]:
        assert find_spec(words[2]) is not None
        assert words[2].replace(".", "/") == file.removesuffix(".py")
    else:
        assert words[0] == "make"
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
