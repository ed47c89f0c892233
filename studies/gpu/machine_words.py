"""A result on a GPU as a study: how it is made again, and the machine in words."""

from collections.abc import Sequence
from typing import Any

from fewbit.analysis.report import Table
from studies.evidence import Study

COMMAND = "python -m studies.gpu.run --out build/gpu/out"


def machine(result: dict[str, Any]) -> str:
    """Card, driver and libraries."""
    known = result["machine"]
    driver = f", driver {known['driver']}" if "driver" in known else ""
    return (
        f"{known['card']}{driver}, torch {known['torch']}, CUDA {known['cuda']}, {known['cores']} cores of "
        f"{known['processor']}"
    )


def study_of(
    result: dict[str, Any],
    name: str,
    title: str,
    findings: Sequence[str],
    setting: str,
    tables: tuple[Table, ...],
    seeds: tuple[int, ...] = (0,),
) -> Study:
    """A study without a claim of a paper."""
    words = machine(result)
    return Study("", name, title, "", "no claim", tuple(findings), setting, COMMAND, seeds, tables, machine=words)
