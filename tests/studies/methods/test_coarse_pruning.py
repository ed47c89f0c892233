"""What study 27 says of made-up rows."""

import pytest
import torch

from fewbit.data import Images
from fewbit.passes import Finetune
from fewbit.prune import Magnitude
from studies.evidence import verdict
from studies.methods.coarse_pruning import ARMS, LEVELS, SMALL, judge, ratios, recipe, searched, told_sparsity
from studies.tasks.pruned_sizes import chain_of
from studies.tasks.staged_pictures import staged_network, staged_task
from tests.studies.made_up import WILD, around, outcomes

GOOD = {"dense": around(20.0), "maps": around(30.0, 1), "kernels": around(28.0, 2), "both": around(20.2, 3)}

FAR = [20 + wild for wild in WILD]


def rows(**arms):
    found = []
    for arm, tests in (GOOD | arms).items():
        for level in ("none",) if arm == "dense" else LEVELS:
            for seed, test in enumerate(tests):
                row = {"seed": seed, "arm": arm, "level": level, "test": test, "sparsity": 0.87}
                many = 2 if arm == "both" else int(arm != "dense")
                found.append(row | {"searches": [{"masks": 9, "best": 50.0 + i, "median": 60.0} for i in range(many)]})
    return found


@pytest.mark.parametrize(
    ("arms", "maps", "kernels", "near", "wanted"),
    [
        ({}, "shown", "shown", "shown", "holds"),
        ({"kernels": around(20.2, 1)}, "shown", "open", "shown", "holds in part"),
        ({"maps": around(15.0, 1)}, "refuted", "shown", "shown", "holds in part"),
        ({"dense": around(10.0)}, "shown", "shown", "refuted", "holds in part"),
        ({"dense": FAR, "maps": FAR, "kernels": FAR[::-1]}, "open", "open", "open", "undecided"),
        (
            {"dense": around(10.0), "maps": around(15.0, 1), "kernels": around(15.0, 2)},
            "refuted",
            "refuted",
            "refuted",
            "does not hold",
        ),
        ({"maps": [], "dense": []}, "open", "shown", "open", "holds in part"),
    ],
)
def test_each_outcome_follows_from_the_rows(arms, maps, kernels, near, wanted):
    parts = judge(rows(**arms))
    assert outcomes(parts) == [maps, kernels, maps, kernels, near]
    assert verdict(parts) == wanted


def test_a_level_is_judged_by_its_own_rows():
    measured = rows()
    for row in measured:
        row["test"] += 20.0 * (row["arm"] == "both" and row["level"] == "lower")
    assert outcomes(judge(measured)) == ["refuted", "refuted", "shown", "shown", "shown"]


def test_what_the_searches_saw_is_told_for_each_of_them():
    found = searched(rows())
    assert len(found) == 8
    assert found[2] == (
        "Development error (%) under 9 random masks of maps, lower sparsity, maps, then kernels: "
        "best 50.0 ± 0.0, median 60.0 ± 0.0."
    )
    assert "masks of kernels, lower sparsity, maps, then kernels: best 51.0" in found[3]
    assert told_sparsity(rows(), "higher") == "87.0 %"


@pytest.mark.parametrize("level", LEVELS)
def test_all_arms_of_a_level_leave_as_many_kernels(level):
    chain = chain_of(staged_network(3, SMALL.maps, 10))
    sparsities = [chain.sparsity(*ratios(arm, level, SMALL)) for arm in list(ARMS)[1:]]
    assert max(sparsities) - min(sparsities) < 0.002
    assert sparsities[0] == pytest.approx(LEVELS[level], abs=0.02)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_is_retrained_for_as_many_epochs(arm):
    images = Images(*[(torch.zeros(20, 3, 8, 8), torch.arange(20) % 3)] * 3, classes=3)
    passes = recipe(arm, "lower", SMALL, staged_task(images, size=4), 0, images.dev[0][:1], Magnitude())
    trained = [each.epochs for each in passes if isinstance(each, Finetune)]
    assert sum(trained) == SMALL.retrain
    assert len(trained) == 1 + (arm == "both")
    assert isinstance(passes[-1], Finetune)
