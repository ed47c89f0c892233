"""Few training pictures: each seed has its own, and all have the same test pictures."""

import numpy as np
import pytest
import torch

from fewbit.errors import DataError
from studies.evidence import Setting
from studies.tasks.few_images import few_images_task


@pytest.fixture
def setting(tmp_path):
    (tmp_path / "mnist").mkdir()
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 50), ("test", 20)):
        arrays[f"x_{part}"] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(count, dtype=np.uint8) % 10
    np.savez(tmp_path / "mnist" / "mnist.npz", **arrays)
    return Setting(tmp_path, tmp_path, data=tmp_path)


def test_no_two_seeds_train_on_the_same_picture(setting):
    seen = []
    for seed in range(3):
        task = few_images_task(setting, 15, seed, size=3)
        pictures = torch.cat([x for x, _ in task.batches(seed)]).flatten(1)
        assert len(pictures) == 15
        seen.append({tuple(picture.tolist()) for picture in pictures})
    assert len(set.union(*seen)) == 45


def test_test_pictures_are_the_same_for_all_seeds(setting):
    model = few_images_task(setting, 15, 0, size=3).new(0)
    scores = {few_images_task(setting, 15, seed, size=3).score(model) for seed in range(3)}
    assert len(scores) == 1


def test_a_seed_without_pictures_of_its_own_is_refused(setting):
    with pytest.raises(DataError, match="seed 3: MNIST has 45 training pictures, and each seed has 15 of its own"):
        few_images_task(setting, 15, 3)
