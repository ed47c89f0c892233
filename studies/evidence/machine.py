"""What machine this is, as far as the speed of kernels depends on it."""

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

FLAGS = ("avx", "amx", "gfni", "fma", "ssse3", "asimd", "sve", "i8mm", "bf16")


def describe() -> dict[str, Any]:
    """Model, instruction sets, caches, cores and load; what the system does not tell is left out."""
    found: dict[str, Any] = {
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }
    if Path("/proc/cpuinfo").exists():
        facts: dict[str, str] = dict(re.findall(r"^(.*?)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
        found["cpu"] = facts.get("model name", "unknown")
        numbers = (facts.get(name, "?") for name in ("cpu family", "model", "stepping"))
        found["family_model_stepping"] = " ".join(numbers)
        flags = facts.get("flags", facts.get("Features", "")).split()
        found["flags"] = sorted(flag for flag in flags if flag.startswith(FLAGS))
    found["caches"] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size, shared = (
            (folder / name).read_text().strip() for name in ("level", "type", "size", "shared_cpu_list")
        )
        found["caches"][f"L{level} {kind.lower()}"] = {"size": size, "shared_by_cpus": shared}
    return found


def load_sentence() -> str:
    """What else the machine did in the last minute, for the setting of a benchmark.

    Example:
        >>> load_sentence().split(" was ")[0]
        'The load of the last minute, this program included,'
    """
    return (
        f"The load of the last minute, this program included, was {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    )


def compiler(command: str) -> str:
    """The first line of a compiler's version."""
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
