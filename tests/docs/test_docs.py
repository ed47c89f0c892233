"""The documentation is complete, and what it names is there."""

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fewbit
from fewbit.program import ops
from fewbit.program.fields import own_fields
from fewbit.program.numerics import Integers, Points, Rescale
from fewbit.program.ops import KINDS
from tests.docs.documented import DESCRIBED, DOCS, METHODS, PAGES, ROOT, page_of, public

NAME = re.compile(r"(?<![\w./*-])(?<!\]\()fewbit(?:\.[A-Za-z_]\w*)+")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)\s]*)?\)")
TYPES: dict[Any, str] = {
    str: "text",
    int: "integer",
    NDArray[np.float32]: "floats",
    Integers: "integers",
    Rescale: "rescale",
    ops.Matrix: "matrix",
    ops.Parts: "parts",
    ops.Grid: "grid",
    Points: "points",
}


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def described(owner: Any, text: str | None) -> bool:
    # A dataclass without a docstring gets its signature as one.
    return bool(text) and not (is_dataclass(owner) and str(text).startswith(f"{owner.__name__}("))


def methods(kind: type) -> Iterator[tuple[str, bool]]:
    """Public methods and properties of a class, and whether they or what they override have a docstring."""
    for name, member in vars(kind).items():
        if name.startswith("_") or not (inspect.isroutine(member) or isinstance(member, property)):
            continue
        yield name, any(getattr(vars(base).get(name), "__doc__", None) for base in kind.__mro__)


@pytest.mark.parametrize("package", [*DESCRIBED, "fewbit.errors", "fewbit.program.ops", "fewbit.program.numerics"])
def test_public_names_have_docstrings(package: str) -> None:
    module = import_module(package)
    assert module.__doc__, f"{package} has no docstring"
    if not hasattr(module, "__all__"):
        return
    missing = [name for name, value in public(package) if not described(value, value.__doc__)]
    for name, value in public(package):
        if inspect.isclass(value):
            missing += [f"{name}.{method}" for method, has in methods(value) if not has]
    assert missing == []


@pytest.mark.parametrize("package", DESCRIBED)
def test_every_package_has_a_reference_page(package: str) -> None:
    page = page_of(package)
    assert page.is_file(), f"{package} has no page {page.relative_to(ROOT)}"
    if package != "fewbit":
        assert f"::: {package}\n" in page.read_text() + "\n"


def test_names_of_the_top_level_are_listed() -> None:
    text = (DOCS / "reference" / "fewbit.md").read_text()
    assert [name for name in fewbit.__all__ if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_names_on_a_page_can_be_imported(page: Path) -> None:
    # Prose and tables only: snippets are run.
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [name for name in sorted(set(NAME.findall(prose))) if not _resolves(name)] == []


def _resolves(name: str) -> bool:
    first, *rest = name.split(".")
    value: Any = import_module(first)
    path = first
    for part in rest:
        path = f"{path}.{part}"
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = import_module(path)
            except ImportError:
                return False
    return True


@pytest.mark.parametrize("page", METHODS, ids=page_id)
def test_method_page_names_what_it_describes(page: Path) -> None:
    text = page.read_text()
    assert NAME.search(text), "the page names nothing of fewbit"
    for heading in ("## Equation", "## How to call it", "## Pitfalls", "## Reference"):
        assert heading in text, f"no section {heading!r}"
    for word in ("**What.**", "**When.**", "arXiv"):
        assert word in text, f"no {word}"
    assert f"]({page.name})" in (DOCS / "methods" / "index.md").read_text(), "the index does not list it"


def test_no_page_holds_the_marks_of_a_merge() -> None:
    pages = [*ROOT.glob("*.md"), *PAGES]
    assert [page_id(page) for page in pages if re.search(r"^(<<<<<<<|>>>>>>>) ", page.read_text(), re.MULTILINE)] == []


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES], ids=page_id
)
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = {link: (page.parent / link).resolve() for link in LINK.findall(text)}
    assert [link for link, path in targets.items() if not path.exists()] == []


def test_file_format_names_the_fields_of_every_op() -> None:
    text = (DOCS / "internals" / "file-format.md").read_text()
    found = {}
    for kind, section in re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL):
        found[kind] = re.findall(r"^\| `(\w+)` \| (\w+) \|", section, re.MULTILINE)
    wanted = {kind: [(f.name, TYPES[f.type]) for f in own_fields(op)] for kind, op in KINDS.items()}
    assert found == wanted


def test_architecture_shows_the_floors_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert "\n".join(["```", *floors, "```"]) in (DOCS / "internals" / "architecture.md").read_text()


def test_install_page_lists_the_extras_and_what_they_bring() -> None:
    rows = (DOCS / "install.md").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    parts = {"none": project["dependencies"]} | project["optional-dependencies"]
    named = {"numpy": "NumPy", "fewbit": "train"}  # as the page writes them
    assert len(parts) > 5
    for extra, wanted in parts.items():
        (row,) = [row for row in rows if row.startswith(f"| {extra if extra == 'none' else f'`{extra}`'} |")]
        libraries = {re.split(r"[>=\[]", requirement)[0] for requirement in wanted}
        if extra == "dev":  # tools of this repository: the page names what they are for
            continue
        missing = [library for library in libraries if named.get(library, library) not in row]
        assert missing == [], f"{extra} brings {missing}, and the page does not say so"


def test_changelog_has_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## \[{re.escape(version)}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_exports_are_found_by_a_parser_as_well() -> None:
    """`__all__` is a literal, so that editors and the reference read what Python reads."""
    for package in DESCRIBED:
        tree = ast.parse(Path(str(import_module(package).__file__)).read_text())
        literal = [
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
        ]
        assert literal == [import_module(package).__all__], package
