"""The service is started and ended where it is there, and nobody needs it."""

import os

from studies.gpu.sharing import COMMAND, shared_gpu


def stand_in(folder, script):
    command = folder / COMMAND
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return str(folder) + os.pathsep + os.environ["PATH"]


def test_the_service_is_started_and_ended(tmp_path, monkeypatch):
    told = tmp_path / "told"
    monkeypatch.setenv(
        "PATH", stand_in(tmp_path, f'echo "$* $CUDA_MPS_PIPE_DIRECTORY" >> {told}; [ "$1" ] || cat >> {told}')
    )
    with shared_gpu(wanted=True) as variables:
        folder = variables["CUDA_MPS_PIPE_DIRECTORY"]
        assert told.read_text() == f"-d {folder}\n"
    assert told.read_text() == f"-d {folder}\n {folder}\nquit\n"


def test_without_the_service_there_are_no_variables(tmp_path, monkeypatch):
    with shared_gpu(wanted=False) as variables:
        assert variables == {}
    monkeypatch.setenv("PATH", stand_in(tmp_path, "exit 1"))
    with shared_gpu(wanted=True) as variables:
        assert variables == {}
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with shared_gpu(wanted=True) as variables:
        assert variables == {}
