"""How long trainings are, by made-up trials."""

import pytest

from studies.gpu import budget, letters, pictures, speech
from studies.gpu.budget import Budget, cost, from_row, plan, size


def trials(seconds):
    updates = {"resnet20": 70, "hierarchical": 380, "an4": 120}
    arms = {"resnet20": pictures.TRIED, "hierarchical": letters.NAMES, "an4": speech.NAMES}
    return [
        {"kind": "trial", "group": group, "part": arm, "seconds": seconds, "updates": updates[group]}
        for group, names in arms.items()
        for arm in names
    ]


def test_all_jobs_fit_into_their_part_of_the_time():
    assert size([1.0, 3.0], seeds=2, slots=4, left=100, overhead=5.0, chain=0.1) == pytest.approx((170 - 10) / 4)
    assert size([1.0, 3.0], seeds=2, slots=400, left=100, overhead=5.0, chain=5.0) == pytest.approx(75 / 5)
    assert size([1.0], seeds=1, slots=1, left=1, overhead=9.0, chain=1.0) == 0.0


def test_a_fast_gpu_gives_all_that_was_wanted():
    found = plan(trials(1e-4), left=400, slots=14)
    assert found == Budget({"resnet20": 5, "hierarchical": 3, "an4": 3}, 150, 12, 60)


def test_a_group_alone_has_all_processes():
    slow = trials(0.03)
    shared, alone = plan(slow, left=400, slots=14), plan(slow, left=400, slots=14, groups=["an4"])
    assert shared.speech_epochs < alone.speech_epochs


def test_networks_that_wait_for_a_float_network_shorten_all_trainings():
    fast = trials(1e-4)
    slow = [row | {"seconds": 0.05} if row["part"] in ("ordinary", "ternary") else row for row in fast]
    left, each = 400.0, 0.05 * 120
    found = plan(slow, left=left, slots=1000, groups=["an4"]).speech_epochs
    assert found == int((budget.FILL * left - 2 * budget.OVERHEAD["an4"]) / (2 * each))


def test_a_slow_gpu_gives_fewer_seeds_first_and_then_fewer_epochs():
    medium, slow = (plan(trials(seconds), left=400, slots=14) for seconds in (0.02, 0.2))
    assert medium.seeds["resnet20"] in (3, 4)
    assert slow.seeds["resnet20"] == 3
    assert 2 <= slow.epochs < budget.ENOUGH <= medium.epochs
    assert plan(trials(0.5), left=400, slots=14).text_epochs < 1


def test_arms_without_a_trial_cost_what_their_like_does():
    rows = [
        {"kind": "trial", "group": "resnet20", "part": "retrained", "seconds": s, "updates": 10} for s in (0.1, 0.3)
    ]
    assert cost(rows, "resnet20", "+ SQWA") == pytest.approx(2.0)
    assert cost(rows, "resnet20", "+ SPEQ") == budget.ASSUMED["resnet20"]


def test_a_budget_is_kept_as_a_row():
    assert from_row(budget.SMALL.row()) == budget.SMALL


def test_sqwa_divides_its_epochs_as_published():
    full = pictures.scale_of(200)
    assert (full.warmup, full.cycles, full.cycle_epochs, full.finetune) == (60, 7, 15, 35)
    for epochs in (2, 5, 13, 14, 31, 60, 150):
        scale = pictures.scale_of(epochs)
        assert scale.warmup + scale.cycles * scale.cycle_epochs + scale.finetune == epochs
        assert scale.finetune >= 0
