"""What study 22 says of made-up rows."""

from dataclasses import replace

import pytest
import torch

from fewbit.errors import DataError
from studies.evidence import verdict
from studies.methods.generative_transfer import ARMS, BOOKS, MIXED, Scale, _streams, judge, recovered
from tests.studies.made_up import WILD, around, outcomes

GOOD = dict.fromkeys(ARMS, 2.0) | {"hard": 2.2, "other soft": 2.3, "ensemble": 1.8, "direct": 4.0}
NEAR, LABELS, TEACHERS, TERNARY = slice(0, 4), slice(4, 5), slice(5, 7), slice(7, 8)


def rows(**change):
    """Bits of every arm, in books and in both domains."""
    return [
        {"seed": seed, "arm": arm, BOOKS: value, MIXED: value}
        for place, (arm, middle) in enumerate((GOOD | change).items())
        for seed, value in enumerate(middle if isinstance(middle, list) else around(middle, place % 5, 0.1))
    ]


def test_the_claim_holds_where_all_parts_are_shown():
    parts = judge(rows())
    assert outcomes(parts) == ["shown"] * 8
    assert verdict(parts) == "holds"


@pytest.mark.parametrize(
    ("change", "part", "found"),
    [
        ({"teacher": 1.8}, NEAR, ["refuted", "refuted", "refuted", "shown"]),
        ({"own": 2.1}, NEAR, ["shown", "shown", "open", "shown"]),
        ({"small soft": 2.3}, NEAR, ["shown", "shown", "shown", "refuted"]),
        ({"hard": 2.0}, LABELS, ["open"]),
        ({"hard": 1.9}, LABELS, ["refuted"]),
        ({"ensemble": 2.1}, TEACHERS, ["refuted", "shown"]),
        ({"ensemble": [2.1 + wild for wild in WILD]}, TEACHERS, ["open", "open"]),
        ({"ternary generated": 2.5}, TERNARY, ["shown"]),
        ({"ternary generated": 2.6}, TERNARY, ["open"]),
        ({"ternary generated": 2.7}, TERNARY, ["refuted"]),
        ({"direct": []}, TERNARY, ["open"]),
    ],
)
def test_each_part_follows_from_its_arms(change, part, found):
    judged = outcomes(judge(rows(**change)))
    assert judged[part] == found
    assert set(judged[: part.start] + judged[part.stop :]) == {"shown"}


def test_nothing_is_decided_by_wild_seeds_and_nothing_holds_of_bad_students():
    wild = {"soft": 2.1, "longer": 2.1, "own": 2.1, "small soft": 2.1, "hard": 2.1, "other soft": 2.1}
    wild |= {"ensemble": 2.1, "ternary generated": 2.6}
    assert verdict(judge(rows(**wild))) == "undecided"
    assert verdict(judge(rows(**wild | {"hard": 1.9}))) == "does not hold"


def test_the_share_that_is_recovered_is_that_of_each_seed():
    found = recovered(rows(direct=[4.0] * 5, **{"ternary real": [2.0] * 5, "ternary generated": [2.5] * 5}))
    assert found.endswith("recovers 75.0 ± 0.0 %.")


def test_no_two_seeds_read_the_same_real_text():
    scale = Scale(hidden=2, small=2, characters=20, epochs=1, retrain_characters=10, streams=2, steps=3)
    read = [
        {int(letter) for batch in _streams(torch.arange(60), scale, 20, seed) for letter in batch[0].flatten()}
        for seed in range(3)
    ]
    assert all(read)
    assert not read[0] & read[1]
    assert not read[1] & read[2]
    with pytest.raises(DataError, match="seed 3: a text of 60 characters has no 20 for it; give fewer seeds"):
        _streams(torch.arange(60), scale, 20, 3)
    together = replace(scale, apart=False)
    first, fourth = (next(iter(_streams(torch.arange(60), together, 20, seed)))[0] for seed in (0, 3))
    assert torch.equal(first, fourth)
