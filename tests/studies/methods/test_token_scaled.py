"""What study 11 says of made-up rows."""

import pytest

from studies.evidence import verdict
from studies.methods import token_scaled
from studies.methods.token_scaled import ARMS, Scale, control, judge, over_fitting
from tests.studies.made_up import WILD, around, outcomes
from tests.studies.made_up_text import TINY, text_setting


def rows(gaps=None, **arms):
    gaps = gaps or {}
    return [
        {"seed": seed, "arm": arm.replace("_", "-"), "test": test, "dev 1": 3.0, "train 1": 3.0 - gaps.get(arm, 0.5)}
        for arm, values in arms.items()
        for seed, test in enumerate(values)
    ]


def made(**changes):
    bases = {"labels": around(5.0), "teacher": around(5.0, 2), "both": around(5.0, 3), "both_4": around(5.0, 4)}
    return bases | {"tokens": around(2.0, 1), "layers": around(5.0)} | changes


@pytest.mark.parametrize(
    ("arms", "found", "wanted"),
    [
        (made(), ["shown"] * 4 + ["open"], "holds in part"),
        (made(tokens=WILD), ["open"] * 5, "undecided"),
        (made(tokens=around(9.0, 1)), ["refuted"] * 4 + ["open"], "does not hold"),
        (made(both_4=around(2.0)), ["shown", "shown", "shown", "open", "open"], "holds in part"),
    ],
)
def test_each_outcome_follows_from_the_rows(arms, found, wanted):
    parts = judge(rows(**arms))
    assert outcomes(parts) == found
    assert verdict(parts) == wanted


def test_a_smaller_gap_to_the_training_text_is_a_part_of_its_own():
    less = rows(**made())
    for row in less:
        row["train 1"] += (0.2 if row["arm"] == "tokens" else 0.0) + row["seed"] / 1000 * (row["arm"] == "both")
    assert over_fitting(less[0]) == pytest.approx(0.5)
    assert outcomes(judge(less))[-1] == "shown"


def test_the_control_has_the_weight_of_the_scaled_loss_and_none_of_its_scaling():
    objectives = {arm: make(None) for arm, (_, make) in ARMS.items() if arm in ("both-4", "tokens", "both")}
    assert objectives["both-4"].weight(0.5) == objectives["tokens"].weight(0.5) == 4.0
    assert objectives["both"].weight(0.5) == 1.0
    assert objectives["both-4"].tau == objectives["both"].tau == 1e6
    assert objectives["tokens"].tau == 10.0
    assert [one.outcome for one in control(rows(**made(both_4=around(1.0))))] == ["better", "tie", "tie", "tie"]


def test_all_arms_start_alike_and_end_differently(tmp_path):
    setting, scale = text_setting(tmp_path), Scale(TINY, updates=12)
    found = [token_scaled._trial(setting, scale, seed=0, arm=arm, rate=1e-2) for arm in ARMS]
    assert len({row["dev 0"] for row in found}) == 1
    assert len({row["dev"] for row in found}) == len(ARMS)
