"""What study 16 says of made-up rows."""

import math

import pytest

from studies.evidence import verdict
from studies.methods.head_gates import DRAWS, HEADS, PRICES, SWITCHED, judge, peak_of
from tests.studies.made_up import NOISE, WILD, around, outcomes

TESTS = {
    "dense": around(4.0, spread=0.1),
    "learned": around(4.05, 1, spread=0.1),
    "magnitude": around(5.0, 2),
    "magnitude late": around(5.2, 3),
    "random": around(5.0),
    "random late": around(5.2, 2),
}
OPEN = {price: around(16 - 4 * i, i) for i, price in enumerate(PRICES)}
PEAKS = {f"price {SWITCHED:g}": around(8.0), "none": around(30.0, 1)}


def rows(tests=(), is_open=(), peaks=()):
    tests, is_open, peaks = TESTS | dict(tests), OPEN | dict(is_open), PEAKS | dict(peaks)
    arms = [*tests, *(f"price {price:g}" for price in PRICES), "none"]
    return [
        {
            "seed": seed,
            "arm": arm,
            "draw": draw,
            # Draws differ by far more than seeds, but not in their mean.
            "test": tests.get(arm, TESTS["dense"])[seed] + 10 * (draw - (DRAWS - 1) / 2) * arm.startswith("random"),
            "open": is_open.get(float(arm.removeprefix("price ")), TESTS["dense"])[seed] if "price" in arm else 12,
            "peak": peaks.get(arm, TESTS["dense"])[seed],
        }
        for arm in arms
        for draw in range(DRAWS if arm.startswith("random") else 1)
        for seed in range(len(tests[arm]) if arm in tests else 5)
    ]


def times(*shares):
    """Milliseconds that fall to these shares with every head."""
    ms = {HEADS: 1.0}
    for left, share in zip(range(HEADS - 1, 0, -1), shares, strict=True):
        ms[left] = ms[left + 1] * share
    return [{"seed": seed} | {f"ms {n}": t + 0.01 * NOISE[(seed + n) % 5] for n, t in ms.items()} for seed in range(5)]


FASTER = times(0.8, 0.7, 0.6)
SHOWN = ["shown"] * 12


def but(**places):
    """All parts shown, but for some."""
    return [places.get(f"at{i}", outcome) for i, outcome in enumerate(SHOWN)]


@pytest.mark.parametrize(
    ("changed", "timed", "found", "wanted"),
    [
        ({}, FASTER, SHOWN, "holds"),
        ({"is_open": {PRICES[1]: OPEN[PRICES[0]]}}, FASTER, but(at0="open"), "holds in part"),
        ({"is_open": {PRICES[1]: around(20.0)}}, FASTER, but(at0="refuted"), "holds in part"),
        ({"tests": {"learned": around(4.4, spread=0.1)}}, FASTER, but(at3="refuted"), "holds in part"),
        ({"tests": {"random": around(3.0), "magnitude": around(3.5)}}, FASTER, but(at4="refuted", at6="refuted"),
         "holds in part"),
        ({"tests": {"magnitude late": [4 + wild for wild in WILD]}}, FASTER, but(at5="open"), "holds in part"),
        ({"peaks": {"none": around(12.0)}}, FASTER, but(at8="refuted"), "holds in part"),
        ({}, times(0.8, 1.0, 1.2), but(at10="open", at11="refuted"), "holds in part"),
        ({"tests": {"learned": []}}, FASTER, but(**{f"at{i}": "open" for i in range(3, 8)}), "holds in part"),
    ],
)  # fmt: skip
def test_each_outcome_follows_from_the_rows(changed, timed, found, wanted):
    parts = judge(rows(**changed), timed)
    assert outcomes(parts) == found
    assert verdict(parts) == wanted


def test_a_peak_is_the_perplexity_of_the_worst_block():
    assert peak_of([0.0] * 30 + [1.0] * 10 + [0.0] * 30) == pytest.approx(math.e)
    assert peak_of([0.0] * 30 + [1.0] + [0.0] * 30) == pytest.approx(math.exp(0.1))
    assert peak_of([2.0, 4.0]) == pytest.approx(math.exp(3.0))
