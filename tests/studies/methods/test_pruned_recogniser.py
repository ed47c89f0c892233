"""What the study of a pruned recogniser says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods.pruned_recogniser import SMALL, judge
from tests.studies.made_up import WILD, around, outcomes

WHOLE = (26.0, 27.0, 25.5, 26.5, 27.5)
AS_GOOD, MUCH_BETTER = around(0.0), around(-3.0)
QUOTIENTS = 4
"""Shares that are judged: of the file, of codes and steps, of the time of a call in two sizes."""


def rows(pruned, narrow):
    """Rows of the full width, of the pruned network as distances from it, of the narrow one as distances from that."""
    found = []
    for seed, whole in enumerate(WHOLE):
        mine = whole + pruned[seed]
        figures = {"ternary": whole, "pruned": mine, "rested": mine + 50, "narrow": mine - narrow[seed]}
        found += [{"arm": arm, "seed": seed, "dev": 0.0, "test": test} for arm, test in figures.items()]
    return found


def times(more):
    """A quarter of the multiply-accumulates, and so much of all else times ``1 + more``."""
    found = []
    for seed in range(len(WHOLE)):
        row = {"seed": seed, "whole macs": 400.0, "pruned macs": 100.0}
        for what in ("file", "bytes", *(f"us {many}" for many in SMALL.blocks)):
            row |= {f"whole {what}": 40.0, f"pruned {what}": 10.0 * (1 + more[seed])}
        found.append(row)
    return found


def parts(pruned=AS_GOOD, narrow=MUCH_BETTER, more=(0.05,) * 5):
    return judge(rows(pruned, narrow), times(more), "pruned", SMALL)


@pytest.mark.parametrize(
    ("gaps", "outcome"), [(around(-2.0), "shown"), (around(0.3), "shown"), (around(4.0), "refuted"), (WILD, "open")]
)
def test_words_are_judged_by_a_margin_of_a_point(gaps, outcome):
    assert outcomes(parts(pruned=gaps))[0] == outcome


@pytest.mark.parametrize(
    ("gaps", "outcome"), [(around(-3.0), "shown"), (around(3.0), "refuted"), ([0.0] * 5, "open"), (WILD, "open")]
)
def test_a_narrow_network_is_the_control(gaps, outcome):
    assert outcomes(parts(narrow=gaps))[1] == outcome


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ((0.05, 0.06, 0.04, 0.05, 0.07), "shown"),
        ((0.24, 0.23, 0.24, 0.235, 0.24), "shown"),  # nearly all of the quarter that may be lost
        ((0.9, 0.8, 0.95, 0.85, 0.9), "refuted"),
        ((0.25, 0.1, 0.4, 0.2, 0.3), "open"),
    ],
)
def test_bytes_and_times_must_fall_as_multiply_accumulates_do(more, outcome):
    assert outcomes(parts(more=more))[2:] == [outcome] * QUOTIENTS


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, "holds"),
        ({"pruned": around(4.0)}, "holds in part"),
        ({"pruned": WILD, "narrow": WILD, "more": (0.25, 0.1, 0.4, 0.2, 0.3)}, "undecided"),
        ({"pruned": around(4.0), "narrow": WILD, "more": (0.9, 0.8, 0.95, 0.85, 0.9)}, "does not hold"),
    ],
)
def test_the_verdict_follows_from_all_parts(told, wanted):
    assert verdict(parts(**told)) == wanted


def test_without_rows_nothing_is_shown():
    assert outcomes(judge([], [], "pruned", SMALL)) == ["open"] * (2 + QUOTIENTS)
