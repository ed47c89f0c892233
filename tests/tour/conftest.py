"""The digit recogniser that ships with fewbit: packed, and the same network in torch."""

from pathlib import Path

import pytest

from fewbit.data import spoken_digits
from fewbit.models import load_model
from fewbit.program import load
from fewbit.shipped import pretrained
from fewbit.tour import Recipe


@pytest.fixture(scope="session")
def small():
    """The recipe of the tour with all sizes cut down: for the commands, not for their results."""
    return Recipe(hidden=16, layers=1, epochs=1, retrain_epochs=1, utterances=48, batch_size=16)


@pytest.fixture(scope="session")
def digits():
    """The recordings in the package."""
    return spoken_digits()


@pytest.fixture(scope="session")
def program():
    """The packed network of the package."""
    return load(pretrained())


@pytest.fixture(scope="session")
def model():
    """The quantized torch network from which it was packed (`scripts/ship_digits.py` puts both in place)."""
    return load_model(Path(__file__).parent / "digits.safetensors").model
