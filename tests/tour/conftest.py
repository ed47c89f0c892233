"""A digit recogniser trained for a few seconds on real speech: poor, but real."""

import pytest

from fewbit.data import spoken_digits
from fewbit.passes import compress
from fewbit.tour import Recipe
from fewbit.tour.recipe import batches, direct, new_model, retrain, train_float


@pytest.fixture(scope="session")
def small():
    """The recipe of the tour with all sizes cut down."""
    return Recipe(hidden=32, layers=1, epochs=2, retrain_epochs=1, utterances=160, batch_size=16)


@pytest.fixture(scope="session")
def digits():
    """The recordings in the package."""
    return spoken_digits()


@pytest.fixture(scope="session")
def networks(small, digits):
    """(float network, quantized and retrained network)."""
    loader = batches(digits, small, seed=0)
    teacher = new_model(digits, small, loader, seed=0)
    train_float(teacher, loader, small, seed=0)
    passes = [direct(loader, "ternary", "int8"), retrain(teacher, loader, small, seed=0)]
    return teacher.eval(), compress(teacher, *passes).eval()
