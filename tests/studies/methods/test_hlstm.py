"""What study 21 says of made-up rows."""

from pathlib import Path

import pytest
import torch

from fewbit.data import Characters
from fewbit.errors import DataError
from studies.evidence import verdict
from studies.methods import hlstm
from studies.methods.hlstm import judge
from tests.studies.made_up import WILD, around, outcomes


def arm(name, values):
    return [{"seed": seed, "arm": name, "test": value} for seed, value in enumerate(values)]


def words(values):
    return [{"seed": seed, "kind": "words", "order": 5, "test": value} for seed, value in enumerate(values)]


def judged(best, flat, no_reset, counted):
    return judge([*arm("HLSTM-B", best), *arm("flat", flat), *arm("no reset", no_reset)], words(counted))


OTHERS = (around(3.0, 1), around(3.0, 2), around(3.0, 3))


@pytest.mark.parametrize(
    ("best", "found", "wanted"),
    [
        (around(2.0), ["shown"] * 3, "holds"),
        (around(3.0), ["open"] * 3, "undecided"),
        ([3 + wild for wild in WILD], ["open"] * 3, "undecided"),
        (around(4.0), ["refuted"] * 3, "does not hold"),
    ],
)
def test_each_outcome_follows_from_the_rows(best, found, wanted):
    parts = judged(best, *OTHERS)
    assert outcomes(parts) == found
    assert verdict(parts) == wanted


def test_each_base_has_its_part():
    best = around(2.0)
    assert outcomes(judged(best, around(1.0, 1), *OTHERS[1:])) == ["refuted", "shown", "shown"]
    assert outcomes(judged(best, OTHERS[0], around(2.0, 2), OTHERS[2])) == ["shown", "open", "shown"]
    assert outcomes(judged(best, *OTHERS[:2], [])) == ["shown", "shown", "open"]


def test_arms_that_change_places_change_the_outcome():
    assert outcomes(judged(OTHERS[0], around(2.0), *OTHERS[1:]))[0] == "refuted"


def test_no_two_seeds_read_the_same_training_text(monkeypatch):
    whole = Characters(torch.arange(10), torch.arange(3), torch.arange(4), "ab")
    monkeypatch.setattr(hlstm, "_whole", lambda folder: whole)
    parts = [hlstm._books(Path(), 0.4, seed) for seed in range(2)]
    assert [part.train.tolist() for part in parts] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert all(part.test is whole.test for part in parts)
    with pytest.raises(
        DataError, match="seed 2: each seed reads 40% of the training text for itself; give fewer seeds"
    ):
        hlstm._books(Path(), 0.4, 2)
    assert hlstm._books(Path(), 1.0, 5) is whole
