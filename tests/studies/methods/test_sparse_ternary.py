"""What study 28 says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods.sparse_ternary import judge, tell_bytes
from tests.studies.made_up import WILD, around, outcomes

PLAIN = (10.0, 11.0, 12.0, 10.5, 11.5)
BITS = (2.0, 2.5, 2.2, 2.4, 2.1)
HELP = {"gradual": around(-2.0, 1), "norm": around(-2.0, 2)}


def rows(base, sparse, gradual, norm, scale=1.0):
    """Rows of ternary, of 2 of 8 as distances from it, and of the two helps as distances from 2 of 8."""
    found = []
    for seed, plain in enumerate(base):
        direct = plain + scale * sparse[seed]
        figures = {
            "ternary": plain,
            "sparse8,2": direct,
            "gradual": direct + scale * gradual[seed],
            "sparse8,2+norm": direct + scale * norm[seed],
        }
        found += [{"arm": arm, "seed": seed, "dev": 0.0, "test": test} for arm, test in figures.items()]
    return found


def measured(sparse, gradual=HELP["gradual"], norm=HELP["norm"], share=None):
    """Both networks; that of text has `share` of the bits of ternary more, in %."""
    wild = around(0.0) if share is None else share
    bits = [plain * gap / 100 for plain, gap in zip(BITS, wild, strict=True)]
    return {
        "perceptron": rows(PLAIN, sparse, gradual, norm),
        "lstm": rows(BITS, [gap / 0.1 for gap in bits], gradual, norm, scale=0.1),
    }


@pytest.mark.parametrize(
    ("gaps", "outcome"),
    [
        (around(-2.0), "shown"),
        (around(0.5), "shown"),  # worse, but by less than a point
        (around(2.0), "refuted"),
        (WILD, "open"),
    ],
)
def test_the_perceptron_is_judged_by_a_margin_in_points(gaps, outcome):
    assert outcomes(judge(measured(gaps))) == [outcome, "shown", "shown", "shown", "shown", "shown"]


@pytest.mark.parametrize(
    ("share", "outcome"), [(around(2.0), "shown"), (around(2.8), "shown"), (around(3.5), "refuted"), (WILD, "open")]
)
def test_the_lstm_is_judged_by_a_margin_in_percent_of_the_bits_of_ternary(share, outcome):
    part = judge(measured(around(0.0), share=share))[1]
    assert part.outcome == outcome
    assert part.comparison.mean == pytest.approx(sum(share) / 5)
    assert "that it is worse by 3 % or more" in part.sentence


@pytest.mark.parametrize(
    ("gaps", "outcome"), [(around(-2.0), "shown"), (around(2.0), "refuted"), (WILD, "open"), ([0.0] * 5, "open")]
)
def test_each_help_is_compared_with_the_direct_arm(gaps, outcome):
    assert outcomes(judge(measured(around(0.0), gradual=gaps)))[2:] == [outcome, "shown"] * 2
    assert outcomes(judge(measured(around(0.0), norm=gaps)))[2:] == ["shown", outcome] * 2


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ({"sparse": around(0.0)}, "holds"),
        ({"sparse": around(2.0)}, "holds in part"),
        ({"sparse": around(0.0), "norm": WILD}, "holds in part"),
        ({"sparse": WILD, "gradual": WILD, "norm": WILD, "share": WILD}, "undecided"),
        ({"sparse": around(2.0), "gradual": WILD, "norm": WILD, "share": WILD}, "does not hold"),
    ],
)
def test_the_verdict_follows_from_all_parts(cell, wanted):
    assert verdict(judge(measured(**cell))) == wanted


def test_an_arm_that_is_missing_leaves_its_parts_open():
    found = measured(around(0.0))
    some = {network: [row for row in kept if row["arm"] != "gradual"] for network, kept in found.items()}
    assert outcomes(judge(some)) == ["shown", "shown", "open", "shown", "open", "shown"]
    none = {network: [row for row in kept if row["arm"] != "ternary"] for network, kept in found.items()}
    assert outcomes(judge(none)) == ["open", "open", "shown", "shown", "shown", "shown"]


def test_bytes_are_told_beside_codes_of_two_bits():
    sizes = {"sparse8,2": (4000, 4500), "ternary": (6400, 7000)}
    kept = [
        {"arm": arm, "seed": seed, "weights": 32_001, "codes": codes, "file": file}
        for arm, (codes, file) in sizes.items()
        for seed in (0, 1)
    ]
    assert tell_bytes("perceptron", kept) == (
        "Bytes of the perceptron: the codes of the sparse layers take 4,000 with 2 of 8, 6,400 with ternary codes as "
        "the file has them, five in a byte, and 8,001 with 2 bits each; the whole files 4,500 and 7,000."
    )
