"""Two real processes over gloo train to the losses of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).parent / "distributed.py"
TOLERANCE = 1e-5
"""On losses and weights: two processes sum gradients in another order than one."""


def test_two_processes_equal_one(tmp_path):
    env = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run([sys.executable, SCRIPT, tmp_path / "one"], check=True, env=env)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    subprocess.run([*torchrun, SCRIPT, tmp_path / "two"], check=True, env=env)
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert np.allclose(one["losses"], two["losses"], atol=TOLERANCE, rtol=0)
    assert np.allclose(one["weights"], two["weights"], atol=TOLERANCE, rtol=0)
    assert one["losses"][-1] < one["losses"][0]
