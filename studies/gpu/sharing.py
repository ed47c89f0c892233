"""CUDA's Multi-Process Service, by which kernels of several processes run on a GPU at once and not in turns.

It is a daemon of the driver's own that changes no setting of the card. Without it all works the same, but slower.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

COMMAND = "nvidia-cuda-mps-control"
PATIENCE = 15.0


@contextmanager
def shared_gpu(wanted: bool) -> Iterator[dict[str, str]]:
    """The variables by which processes find the service, which ends with the block; none where it does not start.

    Args:
        wanted: else nothing is started.
    """
    command = shutil.which(COMMAND) if wanted else None
    if command is None:
        yield {}
        return
    folder = tempfile.mkdtemp(prefix="mps")  # the names of its pipes may not be long
    variables = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
    try:
        subprocess.run([command, "-d"], env=os.environ | variables, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        yield {}
        return
    try:
        yield variables
    finally:
        _quit(command, variables)


def _quit(command: str, variables: dict[str, str]) -> None:
    try:
        subprocess.run([command], input=b"quit\n", env=os.environ | variables, timeout=PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError):
        return
