"""A result on a GPU as a study: how it is made again, and the machine in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from fewbit.analysis.report import Table
from studies.evidence import Rows, Study
from studies.evidence.paired_tests import Comparison

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
    rows: Mapping[str, Rows],
    seeds: tuple[int, ...] = (0,),
    comparisons: Sequence[Comparison] = (),
) -> Study:
    """A study without a claim of a paper."""
    return Study(
        number="",
        name=name,
        title=title,
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=setting,
        command=COMMAND,
        seeds=seeds,
        tables=tables,
        comparisons=tuple(comparisons),
        rows=rows,
        machine=machine(result),
    )
