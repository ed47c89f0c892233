"""Ratios on the command line."""

import pytest

from fewbit.cli.ratio_lists import split_ratios
from fewbit.errors import ArgumentError


@pytest.mark.parametrize(
    ("text", "ratios"),
    [
        ("0.1..0.9", [0.1, 0.3, 0.5, 0.7, 0.9]),
        ("0.1..0.8", [0.1, 0.3, 0.5, 0.7]),
        ("0.1..0.9:0.1", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]),
        ("0.25,0.5", [0.25, 0.5]),
        (" 0.5 , 0.25..0.5:0.25 , 0.0 ", [0.0, 0.25, 0.5]),
        ("0.5..0.5", [0.5]),
        (".3..0.35:1", [0.3]),
    ],
)
def test_lists_and_ranges(text: str, ratios: list[float]) -> None:
    assert split_ratios(text) == ratios


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1", "--ratio 1: 1 is no share; wanted shares from 0 to below 1, such as 0.1..0.9"),
        ("0.1..1.0", "1.0 is no share"),
        ("-0.1", "-0.1 is no share"),
        ("nan", "nan is no share"),
        ("0.1..nan", "nan is no share"),
        ("half", "'half' is no number; wanted shares"),
        ("", "'' is no number"),
        ("0.5,", "'' is no number"),
        ("0.1..", "'' is no number"),
        ("0.1..0.5..0.9", "'0.5..0.9' is no number"),
        ("0.9..0.1", "'0.9..0.1' goes down; wanted 0.1..0.9"),
        ("0.1..0.9:0", "the step of '0.1..0.9:0' is not above 0"),
        ("0.1..0.9:-0.1", "is not above 0"),
        ("0.1..0.9:nan", "is not above 0"),
        ("0.1..0.9:inf", "is not above 0"),
        ("0.1..0.9:", "'' is no number"),
        ("0.5:0.1", "'0.5:0.1' has a step and no range"),
        ("0.1..0.9:1e-9", "has more than 99 steps; wanted a larger step"),
    ],
)
def test_faults_name_what_was_seen(text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        split_ratios(text)
    assert message in str(refused.value)
