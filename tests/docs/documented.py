"""What the documentation has to describe: the pages and the public names."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import fewbit

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
METHODS = sorted(set((DOCS / "methods").glob("*.md")) - {DOCS / "methods" / "index.md"})
PACKAGES = ["fewbit", *sorted(f"fewbit.{m.name}" for m in pkgutil.iter_modules(fewbit.__path__) if m.ispkg)]
DESCRIBED = [name for name in PACKAGES if getattr(import_module(name), "__all__", [])]


def page_of(package: str) -> Path:
    """The reference page of a package; what has no page of its own is on the first one."""
    short = package.removeprefix("fewbit.")
    return DOCS / "reference" / ("fewbit.md" if short == "shipped" else f"{short}.md")


def public(package: str) -> Iterator[tuple[str, Any]]:
    module = import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            yield f"{package}.{name}", value
