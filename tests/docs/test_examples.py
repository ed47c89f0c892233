"""Every public class and function has an example in its docstring."""

import doctest
import inspect
import re
from typing import Any

import pytest

from tests.docs.documented import DESCRIBED, public


def has_example(value: Any) -> bool:
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    if not re.search(r"^\s*Examples:$", text or "", re.MULTILINE):
        return False
    return bool(doctest.DocTestParser().get_examples(inspect.cleandoc(text or "")))


def without_example() -> dict[str, list[str]]:
    """By the first package that exports a name, the top level last."""
    seen: set[int] = set()
    found: dict[str, list[str]] = {}
    for package in [*DESCRIBED[1:], DESCRIBED[0]]:
        for name, value in public(package):
            if id(value) not in seen and not has_example(value):
                found.setdefault(package, []).append(name)
            seen.add(id(value))
    return found


@pytest.mark.parametrize("package", DESCRIBED)
def test_public_names_have_an_example(package: str) -> None:
    missing = without_example().get(package, [])
    assert missing == [], f"write `Examples:` that run: {', '.join(missing)}"
