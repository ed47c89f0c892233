"""All of the studies in tiny, in processes, on noise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_everything_runs_in_small_and_again_it_has_nothing_to_do(tmp_path):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "FEWBIT_DATA": ""}
    command = [sys.executable, "-m", "studies.gpu.run", "--small", "--slots", "2", "--seconds", "300"]
    command += ["--out", tmp_path / "out", "--work", tmp_path / "work"]
    for _ in range(2):
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
    result = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert result["failed"] == {}
    assert result["not_ended"] == []
    kinds = [row["kind"] for row in result["rows"]]
    assert {kind: kinds.count(kind) for kind in ("resnet20", "hierarchical", "an4", "budget", "probe")} == {
        "resnet20": 10,
        "hierarchical": 3,
        "an4": 4,
        "budget": 1,
        "probe": 2,
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"rows.jsonl", "gpu.json"}
    assert result["seconds"] < 60  # of the second call
