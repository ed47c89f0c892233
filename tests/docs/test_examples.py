"""Every public class and function has an example in its docstring, but for as many as are allowed for now."""

import doctest
import inspect
import re
from typing import Any

import pytest
from documented import DESCRIBED, public

WITHOUT_EXAMPLE: dict[str, int] = {
    "fewbit.analysis": 40,
    "fewbit.data": 26,
    "fewbit.decode": 19,
    "fewbit.demo": 5,
    "fewbit.distill": 11,
    "fewbit.features": 4,
    "fewbit.nn": 27,
    "fewbit.passes": 7,
    "fewbit.quant": 24,
    "fewbit.shipped": 3,
    "fewbit.speed": 9,
    "fewbit.streams": 11,
    "fewbit.tasks": 11,
    "fewbit.text": 13,
    "fewbit.train": 24,
    "fewbit.web": 4,
    "fewbit": 1,
}
"""How many public names of a package may lack an example; a number may only go down, and goes with the last name."""


def has_example(value: Any) -> bool:
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    if not re.search(r"^\s*Examples?:$", text or "", re.MULTILINE):
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
    assert len(missing) <= WITHOUT_EXAMPLE.get(package, 0), f"write an `Example:` that runs: {', '.join(missing)}"
