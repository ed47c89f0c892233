"""Generated text takes the same memory after many tokens as after a few."""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.endless_text import TOKENS, WARM, measure, measured_apart, write_network
from fewbit.program import Program

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="memory of a process is read from /proc"
)
long = pytest.mark.skipif(not os.environ.get("FEWBIT_LONG"), reason="takes minutes: make long")
LEAK_MB = 1.0
"""One byte more for each token of the long text, or 58 of the short one, is seen."""


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [20_000, pytest.param(TOKENS, marks=long)])
def test_memory_stays_as_it_is(tokens: int, tmp_path: Path) -> None:
    found = measured_apart(write_network(tmp_path / "endless.fewbit"), tokens)
    assert found["tokens"] == tokens
    assert not found["torch_loaded"]
    assert found["characters_after_warm_up"] > (tokens - WARM) / 2  # some bytes are held back, but there is text
    assert found["mb_more"] < LEAK_MB


def test_scores_that_are_kept_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, step = [], Program.step

    def keeping(self, x, state, last=False):
        y, after = step(self, x, state, last)
        kept.append(np.repeat(y, 4, axis=0))
        return y, after

    monkeypatch.setattr(Program, "step", keeping)
    assert measure(write_network(tmp_path / "endless.fewbit"), WARM + 1_000)["mb_more"] > LEAK_MB
