"""How a result on a GPU is made again, and the machine of it in words."""

from typing import Any

COMMAND = "python studies/gpu/run.py --out build/gpu/out"


def machine(result: dict[str, Any]) -> str:
    """Card, driver and libraries."""
    known = result["machine"]
    driver = f", driver {known['driver']}" if "driver" in known else ""
    return (
        f"{known['card']}{driver}, torch {known['torch']}, CUDA {known['cuda']}, {known['cores']} cores of "
        f"{known['processor']}"
    )
