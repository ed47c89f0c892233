"""What study 01 says of made-up networks."""

import pytest

from fewbit.analysis import Resilience, SizedNetwork
from studies.evidence import verdict
from studies.methods.size_resilience import SPECS, describe_gaps, judge
from tests.studies.made_up import NOISE, WILD, outcomes

SIZES = (4, 8, 16, 32)


def network(size, spec, seed, direct, retrained):
    return SizedNetwork(size, spec, seed, size * 10, size * 40, 0.0, direct, retrained, direct, retrained)


def report(gap, loss, floats=lambda size: 2 + 8 / size):
    """Networks of which `gap(size, seed)` is left and of which direct quantization loses `loss(size, seed)`."""
    found = [network(size, "float", seed, 9.0, floats(size)) for size in SIZES for seed in range(5)]
    found += [
        network(size, spec, seed, floats(size) + loss(size, seed), floats(size) + gap(size, seed))
        for spec in SPECS
        for size in SIZES
        for seed in range(5)
    ]
    return Resilience("toy", "error (%)", tuple(found))


def falling(size, seed):
    return 20 / size + NOISE[seed]


def steady(size, seed):
    return 5 + NOISE[seed] * size / 4


def large(size, seed):
    return 40 + 10 * NOISE[seed - 2]


@pytest.mark.parametrize(
    ("gap", "loss", "found", "wanted"),
    [
        (falling, large, ["shown"] * 4, "holds"),
        (steady, large, ["refuted"] * 2 + ["shown"] * 2, "holds in part"),
        (falling, lambda size, seed: 1.0 + NOISE[seed - 1], ["shown"] * 2 + ["refuted"] * 2, "holds in part"),
        (steady, lambda size, seed: 6.0 + NOISE[seed - 1], ["refuted"] * 4, "does not hold"),
        (lambda size, seed: 3 + WILD[seed], lambda size, seed: 6 + WILD[seed - 2], ["open"] * 4, "undecided"),
        (lambda size, seed: 0.0, large, ["open"] * 2 + ["shown"] * 2, "holds in part"),  # no gap, so none to shrink
    ],
)
def test_each_outcome_follows_from_the_networks(gap, loss, found, wanted):
    parts = judge([report(gap, loss)])
    assert outcomes(parts) == found
    assert verdict(parts) == wanted


def test_a_gap_must_shrink_below_a_quarter():
    def to(share):
        return lambda size, seed: (8.0 if size == SIZES[0] else 8 * share) + NOISE[seed]

    assert outcomes(judge([report(to(0.2), large)]))[0] == "shown"
    assert outcomes(judge([report(to(0.3), large)]))[0] == "refuted"


def test_what_was_not_measured_leaves_its_part_open():
    whole = report(falling, large)
    some = Resilience(
        "toy", "error (%)", tuple(row for row in whole.rows if (row.spec, row.size) != ("int3", SIZES[-1]))
    )
    parts = judge([some])
    assert outcomes(parts) == ["shown", "open", "shown", "open"]
    assert parts[1].sentence.endswith("not measured")


def test_two_families_are_tested_together():
    one, two = judge([report(falling, large)]), judge([report(falling, large)] * 2)
    assert len(two) == 2 * len(one)
    assert min(part.comparison.held for part in two) >= 2 * min(part.comparison.held for part in one)


def test_explanations_are_hypotheses():
    limited = report(steady, large, floats=lambda size: 200 / size)
    told = " ".join(describe_gaps([limited], judge([limited])))
    assert "a hypothesis, which no arm tests: the largest networks are still limited by their size" in told
    poor = report(falling, lambda size, seed: 6.0 if size == SIZES[0] else 40.0)
    told = " ".join(describe_gaps([poor], judge([poor])))
    assert "toy, ternary: retraining wins back less than half of the loss, by means, at size 4." in told
    assert "hypothesis" not in told
