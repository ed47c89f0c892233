"""What study 10 says of made-up rows."""

import pytest

from studies.evidence import SealedRows, verdict
from studies.methods import teacher_intervention
from studies.methods.teacher_intervention import ARMS, EARLY, Scale, choose, judge, layer_error, schedules
from studies.tasks.decoders import decoder_task, text_of
from tests.studies.made_up import WILD, around, outcomes
from tests.studies.made_up_text import TINY, text_setting


def rows(early, end):
    """Rows of one depth: figures early and at the end by arm."""
    return [
        {"seed": seed, "layers": 3, "arm": arm, EARLY: early[arm][seed], "test": test, "layers dev": test / 10}
        for arm, values in end.items()
        for seed, test in enumerate(values)
    ]


SAME = {"gradual": around(5.0), "none": around(5.0, 1), "inverted": around(5.0, 2), "one": around(5.0, 3)}
AHEAD = SAME | {"gradual": around(2.0)}
BEHIND = SAME | {"gradual": around(9.0)}
UNKNOWN = SAME | {"gradual": list(WILD)}


@pytest.mark.parametrize(
    ("early", "end", "found", "wanted"),
    [
        (AHEAD, AHEAD, ["shown"] * 3, "holds"),
        (AHEAD, SAME, ["shown", "open", "open"], "holds in part"),
        (BEHIND, AHEAD, ["refuted", "shown", "shown"], "holds in part"),
        (BEHIND, SAME, ["refuted", "open", "open"], "does not hold"),
        (UNKNOWN, UNKNOWN, ["open"] * 3, "undecided"),
    ],
)
def test_each_outcome_follows_from_the_rows(early, end, found, wanted):
    parts = judge(rows(early, end), (3,))
    assert outcomes(parts) == found
    assert verdict(parts) == wanted


def test_a_single_schedule_and_the_error_of_layers_stand_beside():
    assert [one.outcome for one in schedules(rows(SAME, AHEAD), (3,))] == ["better", "better"]
    assert schedules(rows(SAME, AHEAD), (3,))[0].difference.base == "no intervention, one schedule, 3 blocks"


def test_rates_are_chosen_for_each_depth_and_arm_by_development_data():
    found = [
        {"seed": 0, "layers": depth, "arm": arm, "rate": rate, "dev": abs(rate - best), "test": -abs(rate - best)}
        for depth, best in ((3, 1), (6, 2))
        for arm in ("gradual", "inverted", "none", "one")
        for rate in (1, 2)
    ]
    chosen = choose(SealedRows(found, "toy"), Scale(depths=(3, 6)))
    assert {rate for (depth, _), rate in chosen.items() if depth == 3} == {1}
    assert {rate for (depth, _), rate in chosen.items() if depth == 6} == {2}


def test_all_arms_end_differently(tmp_path):
    setting, scale = text_setting(tmp_path), Scale(TINY, first=6, updates=12)
    found = [teacher_intervention._trial(setting, scale, seed=0, layers=2, arm=arm, rate=1e-2) for arm in ARMS]
    assert len({row["dev"] for row in found}) == len(ARMS)
    assert all(row["layers dev"] > 0 for row in found)


def test_a_teacher_is_at_no_distance_from_itself(tmp_path):
    setting = text_setting(tmp_path)
    teacher = decoder_task(setting, TINY, 0).new(0)
    assert layer_error(teacher, text_of(setting, TINY, 0).dev[:81], 8, teacher) == pytest.approx(0.0, abs=1e-6)
