"""What study 04 says of made-up rows."""

import pytest

from fewbit.nn import LSTM
from fewbit.passes import Finetune, compress
from fewbit.quant import quantizers
from fewbit.train import CrossEntropy
from studies.evidence import verdict
from studies.methods.adaptive_step_size import compare_beside, judge, passes
from tests.studies.made_up import WILD, around, outcomes


def rows(fixed, adaptive, gradual):
    arms = {"fixed": fixed, "adaptive": adaptive, "gradual, adaptive": gradual}
    return [
        {"seed": seed, "arm": arm, "test": test} for arm, values in arms.items() for seed, test in enumerate(values)
    ]


GOOD = rows(around(9.0), around(7.0, 1), around(5.0, 2))


@pytest.mark.parametrize(
    ("found", "outcome", "wanted"),
    [
        (GOOD, ["shown", "shown"], "holds"),
        (rows(around(7.0), around(7.0, 1), around(5.0, 2)), ["open", "shown"], "holds in part"),
        (rows(around(9.0), around(7.0, 1), around(8.0, 2)), ["shown", "refuted"], "holds in part"),
        (rows(WILD, around(0.0), WILD), ["open", "open"], "undecided"),
        (rows(around(5.0), around(7.0, 1), around(9.0, 2)), ["refuted", "refuted"], "does not hold"),
        (rows([], around(7.0, 1), around(5.0, 2)), ["open", "shown"], "holds in part"),
    ],
)
def test_each_outcome_follows_from_the_rows(found, outcome, wanted):
    parts = judge(found, found)
    assert outcomes(parts) == outcome * 2
    assert verdict(parts) == wanted


def test_both_networks_count():
    assert outcomes(judge(GOOD, rows(around(5.0), around(5.0, 1), around(9.0, 2)))) == [
        "shown",
        "shown",
        "open",
        "refuted",
    ]


def test_only_arms_that_were_measured_are_compared_beside_the_claim():
    assert compare_beside(GOOD, "points", 2) == []
    learned = [{**row, "arm": "learned"} for row in GOOD if row["arm"] == "fixed"]
    (found,) = compare_beside([*GOOD, *learned], "points", 2)
    assert found.outcome == "worse"


def test_only_the_arm_of_that_name_clips_recurrent_masters():
    clips = {}
    for arm in ("adaptive", "with clip", "unclipped"):
        (quantize, _) = passes(arm, Finetune([], CrossEntropy(), 1))
        model = compress(LSTM(2, 3), quantize)
        clips[arm] = [quantizer.clip for _, quantizer in quantizers(model)]
    assert clips == {"adaptive": [False, False], "with clip": [True, True], "unclipped": [False, False]}
