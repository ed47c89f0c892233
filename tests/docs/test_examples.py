"""Every public class and function has an example in its docstring; a list names those still without.

The list may only shrink; once it is empty, it goes.
"""

import doctest
import inspect
import re
from pathlib import Path
from typing import Any

from documented import DESCRIBED, public

LIST = Path(__file__).with_name("without_example.txt")


def has_example(value: Any) -> bool:
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    if not re.search(r"^\s*Examples?:$", text or "", re.MULTILINE):
        return False
    return bool(doctest.DocTestParser().get_examples(inspect.cleandoc(text or "")))


def without_example() -> list[str]:
    """By the name in the first package that exports it, the top level last."""
    seen: set[int] = set()
    found = []
    for package in [*DESCRIBED[1:], DESCRIBED[0]]:
        for name, value in public(package):
            if id(value) not in seen and not has_example(value):
                found.append(name)
            seen.add(id(value))
    return sorted(found)


def test_public_names_have_an_example() -> None:
    allowed = set(LIST.read_text().split())
    assert [name for name in without_example() if name not in allowed] == [], "write an `Example:` that runs"
