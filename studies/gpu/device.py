"""Where the studies run, and what machine that is."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from studies.gpu.rows import Tell


def device() -> torch.device:
    """The GPU, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def probe(tell: Tell) -> None:
    """Tells whether a process can use the GPU; fails where there is a card that it cannot use."""
    there = device()
    if there.type == "cpu" and describe()["card"] != "none":
        raise RuntimeError("there is a card, but torch does not find it")
    total = float(torch.ones(64, 64, device=there).mm(torch.ones(64, 64, device=there)).sum())
    if total != 64**3:
        raise RuntimeError(f"a product came out as {total}, wanted {64**3}")
    tell({"kind": "probe", "device": str(there)})


def describe() -> dict[str, Any]:
    """Card, driver, libraries and processor; asks the driver's own command, so that no GPU is opened."""
    found = {"torch": torch.__version__, "cuda": torch.version.cuda, "python": platform.python_version()}
    asked = "name,driver_version,memory.total,clocks.max.sm"
    command = shutil.which("nvidia-smi")
    if command:
        done = subprocess.run(
            [command, f"--query-gpu={asked}", "--format=csv,noheader"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and done.stdout.strip():
            card, driver, memory, clock = (part.strip() for part in done.stdout.splitlines()[0].split(","))
            found |= {"card": card, "driver": driver, "memory": memory, "clock": clock}
    return {"card": "none", **found, "processor": _processor(), "cores": os.cpu_count()}


def measured_there(evaluate: Callable[[nn.Module], float], model: nn.Module) -> float:
    """A measure of a network on the GPU in plain float32; the network goes back to where it was."""
    home = next(model.parameters()).device
    with plain_float32():
        try:
            return float(evaluate(model.to(device())))
        finally:
            model.to(home)


@contextmanager
def plain_float32() -> Iterator[None]:
    """Inside, products keep all digits of float32; outside, training may use TF32."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def allow_tf32() -> None:
    """Let products of this process have ten digits, as most trainings on such GPUs do."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
