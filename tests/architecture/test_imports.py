"""The floors, the walls and the public names, as tests."""

import ast
import pkgutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import fewbit
from fewbit.program import Program

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "fewbit"
PARTS = {f"fewbit.{module.name}" for module in pkgutil.iter_modules(fewbit.__path__)}
PACKAGES = ["fewbit", *sorted(f"fewbit.{m.name}" for m in pkgutil.iter_modules(fewbit.__path__) if m.ispkg)]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def contract(kind: str) -> dict[str, list[str]]:
    return next(c for c in CONTRACTS if c["type"] == kind)


LAYERS = contract("layers")["layers"]


def python(code: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_import_contracts_are_kept() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    result = python(code, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in result.stdout


def test_every_part_stands_on_a_floor() -> None:
    floors = {part for layer in LAYERS for part in layer.split(" | ")}
    assert floors == PARTS


def test_torch_free_half_is_all_that_stands_below_torch_side() -> None:
    first = next(i for i, layer in enumerate(LAYERS) if "fewbit.torch_side" in layer)
    below = {part for layer in LAYERS[first:] for part in layer.split(" | ")} - {"fewbit.torch_side"}
    assert set(contract("forbidden")["source_modules"]) == below


def order(name: str) -> tuple[int, str]:
    """Constants, classes, functions, as ruff sorts ``__all__``."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def exported(package: str) -> set[str]:
    """Public names that the package defines, or takes from its own modules (the root: from any)."""
    tree = ast.parse(Path(str(import_module(package).__file__)).read_text())
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module)) if module.startswith(f"{package}."):
                names |= {alias.asname or alias.name for alias in node.names}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_sorted_and_are_what_is_there(package: str) -> None:
    module = import_module(package)
    names = getattr(module, "__all__", [])
    assert list(names) == sorted(names, key=order)
    assert [name for name in names if not hasattr(module, name)] == []
    assert set(names) == exported(package)


def test_lazy_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING")
    seen = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == fewbit._PLACES
    assert set(seen) == set(fewbit.__all__) <= set(dir(fewbit))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'fewbit' has no attribute 'compres'$"):
        _ = fewbit.compres


def test_importing_fewbit_imports_nothing_heavy() -> None:
    heavy = "torch accelerate tqdm matplotlib sounddevice typer rich numpy importlib.metadata"
    result = python("import sys, fewbit; print(*(set(sys.argv[1].split()) & set(sys.modules)))", heavy)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


BLOCK = """
import sys
for name in ("torch", "accelerate", "tqdm", "matplotlib"):
    sys.modules[name] = None
import fewbit
"""


TORCH_SIDE = [
    name
    for name, place in fewbit._PLACES.items()
    if place in "|".join(LAYERS[: LAYERS.index("fewbit.quant | fewbit.nn") + 1]).replace(" ", "").split("|")
]
ABOVE = [
    part.removeprefix("fewbit.")
    for layer in LAYERS[: LAYERS.index("fewbit.quant | fewbit.nn") + 1]
    for part in layer.split(" | ")
    if part not in ("fewbit.cli", "fewbit.plot")
]
"""Packages that need torch; the command line needs it for some commands only."""


@pytest.fixture(scope="module")
def messages() -> dict[str, str]:
    """What is raised where torch is not installed, for every name and every package that needs it."""
    code = f"""{BLOCK}
from importlib import import_module
for name in sys.argv[1:]:
    try:
        getattr(fewbit, name) if name in fewbit.__all__ else import_module(f"fewbit.{{name}}")
    except Exception as error:
        print(f"{{name}}\\t{{type(error).__name__}}: {{error}}")
"""
    result = python(code, *TORCH_SIDE, *ABOVE)
    assert result.returncode == 0, result.stderr
    return dict(line.split("\t") for line in result.stdout.splitlines())


@pytest.mark.parametrize("name", sorted([*TORCH_SIDE, *ABOVE]))
def test_without_torch_the_message_names_the_extra(name: str, messages: dict[str, str]) -> None:
    assert messages[name] == (
        "MissingExtraError: training and compressing need torch and accelerate and tqdm; install the extra train: "
        "pip install 'fewbit[train]', or '.[train]' in a clone (running packed networks does not)"
    )


def test_without_matplotlib_the_message_names_the_extra() -> None:
    result = python(f"{BLOCK}\nimport fewbit.plot")
    assert result.returncode == 1
    assert "fewbit.errors.MissingExtraError: pictures need matplotlib; install the extra plot: pip" in result.stderr


def test_without_torch_a_packed_network_runs(listener: Program, tmp_path: Path) -> None:
    path = listener.save(tmp_path / "listener.fewbit")
    code = f"""{BLOCK}
import numpy as np
sound = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
print(repr(fewbit.stream(fewbit.load(sys.argv[1]), [sound[:3000], sound[3000:]]).text))
from fewbit.cli.main import main
sys.exit(main(["show", sys.argv[1], "--json"]))
"""
    result = python(code, str(path))
    assert result.returncode == 0, result.stderr
    text, shown = result.stdout.splitlines()
    assert len(text) > 2
    assert shown.startswith('{"file": ')
