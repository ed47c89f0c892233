"""What study 03 says of made-up ratios."""

import pytest

from fewbit.analysis import Resilience, SizedNetwork
from studies.evidence import verdict
from studies.methods.compression_ratio import SPECS, judge, ratios
from tests.studies.made_up import NOISE, WILD, outcomes

SIZES = (4, 8, 16, 32)


def rows(ratio, limit=lambda spec, size: ""):
    """Rows of ratios by ``ratio(size, seed)``."""
    return [
        {"seed": seed, "spec": spec, "size": size, "ratio": ratio(size, seed), "limit": limit(spec, size)}
        for spec in SPECS
        for size in SIZES
        for seed in range(5)
    ]


def growing(size, seed):
    return 2 + size / 8 + NOISE[seed]


def shrinking(size, seed):
    return 6 - size / 8 + NOISE[seed]


@pytest.mark.parametrize(
    ("ratio", "found", "wanted"),
    [
        (growing, ["shown"] * 6, "holds"),
        (shrinking, ["shown"] * 4 + ["refuted"] * 2, "holds in part"),
        (lambda size, seed: 0.5 * shrinking(size, seed) / 6, ["refuted"] * 6, "does not hold"),
        (lambda size, seed: 1 + NOISE[(seed + size // 4) % 5], ["open"] * 6, "undecided"),
        (lambda size, seed: 2.0 ** (WILD[(seed + size // 4) % 5]), ["open"] * 6, "undecided"),
    ],
)
def test_each_outcome_follows_from_the_ratios(ratio, found, wanted):
    parts = judge(rows(ratio))
    assert outcomes(parts) == found
    assert verdict(parts) == wanted


def test_the_network_that_is_worth_least_counts():
    parts = judge(rows(lambda size, seed: 0.8 + NOISE[seed] if size == 8 else growing(size, seed)))
    assert outcomes(parts)[:4] == ["refuted"] * 4
    assert "of size 8, the one that is worth least" in parts[0].comparison.sentence


def test_sizes_with_an_upper_bound_only_are_left_out():
    parts = judge(rows(growing, lambda spec, size: "<" if size == SIZES[0] and spec == "ternary" else ""))
    assert outcomes(parts) == ["shown"] * 6
    assert "ternary network of size 8" in parts[0].comparison.sentence
    assert "int3 network of size 4" in parts[1].comparison.sentence
    assert outcomes(judge(rows(growing, lambda spec, size: "<"))) == ["open"] * 6


def test_ratios_are_those_of_each_seed():
    def network(size, spec, seed):
        error, bytes = (16 / size, 100 * size) if spec == "float" else (16 / size / (1 + seed), 10 * size)
        return SizedNetwork(size, spec, seed, 100, bytes, 0.0, error, error, error, error)

    networks = tuple(
        network(size, spec, seed) for spec in ("float", "ternary") for size in (2, 4, 8) for seed in range(2)
    )
    found = ratios(Resilience("toy", "error (%)", networks))
    assert [(row["seed"], row["spec"], row["size"]) for row in found] == [
        (seed, "ternary", size) for seed in range(2) for size in (2, 4, 8)
    ]
    assert [round(row["ratio"]) for row in found] == [10, 10, 10, 20, 20, 10]
    assert [row["limit"] for row in found] == ["", "", ">=", "", ">=", ">="]
