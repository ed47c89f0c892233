"""Ratios on the command line: lists and ranges."""

import math

from fewbit.errors import ArgumentError

STEP = 0.2
_MOST = 99
_WANTED = "wanted shares from 0 to below 1, such as 0.1..0.9, 0.1..0.9:0.1 or 0.25,0.5"


def split_ratios(text: str) -> list[float]:
    """Numbers and ranges between commas, each from 0 to below 1, in order and once.

    A range ``FIRST..LAST:STEP`` goes on while it is not above LAST; without a step it goes by 0.2.

    Raises:
        ArgumentError: a part is no number or range of shares.

    Examples:
        >>> split_ratios("0.1..0.9"), split_ratios("0.5,0.25"), split_ratios("0.1..0.4:0.1")
        ([0.1, 0.3, 0.5, 0.7, 0.9], [0.25, 0.5], [0.1, 0.2, 0.3, 0.4])
    """
    return sorted({ratio for part in text.split(",") for ratio in _part(part.strip(), text)})


def _part(part: str, text: str) -> list[float]:
    ends, given, step_text = part.partition(":")
    first_text, ranged, last_text = ends.partition("..")
    if given and not ranged:
        raise ArgumentError(f"--ratio {text}: {part!r} has a step and no range; {_WANTED}")
    first = _share(first_text, text)
    if not ranged:
        return [first]
    last, step = _share(last_text, text), _number(step_text, text) if given else STEP
    if last < first:
        raise ArgumentError(f"--ratio {text}: {part!r} goes down; wanted {last_text}..{first_text}")
    if not 0 < step < math.inf:
        raise ArgumentError(f"--ratio {text}: the step of {part!r} is not above 0; {_WANTED}")
    if (last - first) / step > _MOST:
        raise ArgumentError(f"--ratio {text}: {part!r} has more than {_MOST} steps; wanted a larger step")
    count = math.floor((last - first) / step + 1e-9) + 1  # 0.1 + 8 * 0.1 is not quite 0.9
    return [round(first + place * step, 9) for place in range(count)]


def _share(part: str, text: str) -> float:
    ratio = _number(part, text)
    if not 0 <= ratio < 1:
        raise ArgumentError(f"--ratio {text}: {part.strip()} is no share; {_WANTED}")
    return ratio


def _number(part: str, text: str) -> float:
    try:
        return float(part)
    except ValueError as error:
        raise ArgumentError(f"--ratio {text}: {part.strip()!r} is no number; {_WANTED}") from error
