"""What study 17 says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods.macro_block_dropout import judge
from tests.studies.made_up import WILD, around, outcomes

BEST = {"macro blocks": 0.2, "units": 0.4}


def rows(**arms):
    rates = {"none": 0.0, "units": 0.4, "blocks": 0.2}
    kinds = {"blocks": "macro blocks"}
    return [
        {"seed": seed, "kind": kinds.get(kind, kind), "rate": rate, "test": test}
        for kind, values in arms.items()
        for rate in {rates[kind], 0.9 if kind != "none" else 0.0}
        for seed, test in enumerate(values if rate == rates[kind] else [0.0] * len(values))
    ]


@pytest.mark.parametrize(
    ("arms", "found", "wanted"),
    [
        ({"none": around(9.0), "units": around(8.0, 1), "blocks": around(5.0, 2)}, ["shown", "shown"], "holds"),
        ({"none": around(9.0), "units": around(5.0, 1), "blocks": around(5.0, 2)}, ["open", "shown"], "holds in part"),
        (
            {"none": around(4.0), "units": around(8.0, 1), "blocks": around(5.0, 2)},
            ["shown", "refuted"],
            "holds in part",
        ),
        ({"none": WILD, "units": WILD[::-1], "blocks": around(0.0)}, ["open", "open"], "undecided"),
        (
            {"none": around(4.0), "units": around(4.0, 1), "blocks": around(5.0, 2)},
            ["refuted", "refuted"],
            "does not hold",
        ),
        ({"units": around(8.0, 1), "blocks": around(5.0, 2)}, ["shown", "open"], "holds in part"),
    ],
)
def test_each_outcome_follows_from_the_rows_at_the_chosen_rates(arms, found, wanted):
    parts = judge(rows(**arms), BEST)
    assert outcomes(parts) == found
    assert verdict(parts) == wanted
