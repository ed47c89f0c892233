from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra web is not installed")

from fewbit.web import app
from tests.web.web_server import RATE, Server, running


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """Two seconds about which the listener has much to say; exact in 16 bits."""
    pcm = np.random.default_rng(0).integers(-16_000, 16_000, 2 * RATE)
    return (pcm / 32768).astype(np.float32)


@pytest.fixture
def server(listener: Any) -> Iterator[Server]:
    with running(app(listener)) as found:
        yield found
