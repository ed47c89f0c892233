"""Settings as plain values: what passes, objectives and optimizers take from a recipe file, and its checks.

A parameter says its check in its annotation, ``lr: Annotated[float, number(above=True)]``; `keys_of` reads the checks
off a class or a function. So a setting is declared once, where it is used.

A check takes a value as TOML or JSON gives it and where it stands, and returns the value as a recipe keeps it: plain,
numbers as float, lists as tuples, patterns as pairs in their order. What does not fit is a `DataError` that says where,
what was seen and what is wanted.
"""

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, get_args, get_origin, get_type_hints

from fewbit.errors import DataError, FormatError

Check = Callable[[Any, str], Any]


class Keys(NamedTuple):
    """Keys of a table with the check of each, and those that must be there."""

    checks: Mapping[str, Check]
    required: tuple[str, ...] = ()


def keys_of(kind: Callable[..., Any], nested: Mapping[str, Check] | None = None, skip: Collection[str] = ()) -> Keys:
    """The settings of a class or a function: each parameter with a check in its annotation.

    Plain ``bool``, ``str`` and ``Literal`` are their own check.

    Args:
        kind: what the settings are given to.
        nested: checks by name of parameter, for values that are made of settings themselves, such as an objective.
        skip: parameters that no file can give.

    Examples:
        >>> def shrink(by: Annotated[float, number(0, 1)], name: str = "", hook: object = None) -> None: ...
        >>> found = keys_of(shrink)
        >>> list(found.checks), found.required
        (['by', 'name'], ('by',))
    """
    hints = get_type_hints(vars(kind).get("__init__", kind) if isinstance(kind, type) else kind, include_extras=True)
    nested = nested or {}
    checks: dict[str, Check] = {}
    required = []
    for name, parameter in inspect.signature(kind).parameters.items():
        check = None if name in skip else nested.get(name) or _check_of(hints.get(name))
        if check is not None:
            checks[name] = check
            required += [name] if parameter.default is parameter.empty and name not in nested else []
    return Keys(checks, tuple(required))


def _check_of(hint: Any) -> Check | None:
    """The check that an annotation stands for."""
    if get_origin(hint) is Annotated:
        return next((note for note in hint.__metadata__ if callable(note)), None)
    if get_origin(hint) is Literal:
        return choice(*get_args(hint))
    return {bool: boolean, str: text}.get(hint)


def number(low: float = 0.0, high: float = math.inf, above: bool = False) -> Check:
    """A finite number in ``low..high``; with `above`, `low` itself is not allowed."""
    wanted = f"a number {'above' if above else 'from'} {low:g}" + (f" to {high:g}" if high < math.inf else "")

    def check(value: Any, where: str) -> float:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        if not real or not math.isfinite(value) or not low <= value <= high or (above and value == low):
            refuse(where, value, wanted)
        return float(value)

    return check


def whole(low: int, high: int | None = None) -> Check:
    """A whole number of at least `low`, and of at most `high`."""
    wanted = f"a whole number of at least {low}" + ("" if high is None else f" and at most {high}")

    def check(value: Any, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
            refuse(where, value, wanted)
        return value

    return check


def boolean(value: Any, where: str) -> bool:
    """Either true or false."""
    return value if isinstance(value, bool) else refuse(where, value, "true or false")


def text(value: Any, where: str) -> str:
    """Any text."""
    return value if isinstance(value, str) else refuse(where, value, "a text")


def choice(*names: str) -> Check:
    """One of `names`."""

    def check(value: Any, where: str) -> str:
        if value not in names:
            refuse(where, value, _one_of(value, names))
        return str(value)

    return check


def spec(parse: Callable[[str], Any]) -> Check:
    """A spec that `parse` takes, such as "ternary"."""

    def check(value: Any, where: str) -> str:
        try:
            parse(text(value, where))
        except FormatError as error:
            raise DataError(f"{where}: {error}") from error
        return str(value)

    return check


def selection(parse: Callable[[str], Any]) -> Check:
    """A spec, or a table of patterns with a spec or "float" for each; the first pattern that matches wins."""
    one = spec(parse)

    def check(value: Any, where: str) -> str | tuple[tuple[str, str], ...]:
        if isinstance(value, str):
            return str(one(value, where))
        pairs = list(value.items()) if isinstance(value, dict) else value
        if not isinstance(pairs, list | tuple) or not pairs or not all(_is_pair(pair) for pair in pairs):
            refuse(where, value, 'a spec such as "ternary", or a table of patterns such as { "head" = "int8" }')
        if len(dict(pairs)) < len(pairs):
            refuse(where, pairs, "each pattern once")
        for pattern, wanted in pairs:
            if isinstance(wanted, dict):
                refuse(f"{where}.{pattern}", wanted, "a spec; put a pattern with a dot in quotes")
            if wanted != "float":
                one(wanted, f"{where}.{pattern}")
        return tuple((pattern, wanted) for pattern, wanted in pairs)

    return check


def listed(one: Check, least: int = 0) -> Check:
    """A list of at least `least` values of one kind."""

    def check(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) < least:
            refuse(where, value, f"a list of at least {least}")
        return tuple(one(item, f"{where}[{place}]") for place, item in enumerate(value, 1))

    return check


def curve(low: float = 0.0, high: float = math.inf) -> Check:
    """A number, or a table that says how it changes over training."""
    level = number(low, high)
    shape, rise = choice("linear", "cosine"), number(0, 0.99)
    keys = Keys({"from": level, "to": level, "shape": shape, "warmup": rise}, ("from", "to"))

    def check(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            return level(value, where)
        found = table(value, keys, where)
        if "warmup" in found and found.get("shape") != "cosine":
            raise DataError(f'{where}: warmup belongs to shape = "cosine"; add it or leave warmup out')
        return found

    return check


def kinded(kinds: Mapping[str, Keys]) -> Check:
    """A table with a `kind`, whose other keys depend on it; without other keys the kind alone will do."""

    def check(value: Any, where: str) -> dict[str, Any]:
        given = {"kind": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or "kind" not in given:
            refuse(where, value, f"a table with a kind, one of {', '.join(kinds)}")
        kind = choice(*kinds)(given["kind"], f"{where}.kind")
        rest = {key: item for key, item in given.items() if key != "kind"}
        return {"kind": kind} | table(rest, kinds[kind], where)

    return check


def table(value: dict[str, Any], keys: Keys, where: str) -> dict[str, Any]:
    """A table whose keys are all known and all there; they come back in the order of `keys`."""
    for key in value:
        if key not in keys.checks:
            raise DataError(f"{where}: unknown key {key!r}; wanted {_one_of(key, tuple(keys.checks))}")
    for key in keys.required:
        if key not in value:
            raise DataError(f"{where}: {key!r} is missing; saw {sorted(value) or 'no keys'}")
    return {key: check(value[key], f"{where}.{key}") for key, check in keys.checks.items() if key in value}


def refuse(where: str, value: Any, wanted: str) -> NoReturn:
    """Raise the error for a value that does not fit."""
    seen = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
    raise DataError(f"{where}: saw {seen} ({type(value).__name__}); wanted {wanted}")


def _one_of(seen: Any, names: tuple[str, ...]) -> str:
    near = get_close_matches(str(seen), names, 1)
    hint = f" (nearest: {near[0]!r})" if near else ""
    return (f"one of {', '.join(names)}" if names else "no keys at all") + hint


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str)
