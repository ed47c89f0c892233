"""What a study finds: one file of plain values, from which every page of results is written."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from fewbit.analysis.report import Table
from fewbit.atomic_file import write_atomically
from fewbit.errors import FileFormatError
from studies.evidence.paired_tests import Comparison, Difference
from studies.evidence.rows import Rows
from studies.evidence.verdicts import Verdict


@dataclass(frozen=True)
class Study:
    """A claim of a paper, and what came of it in small.

    Args:
        number: of the method, two digits; empty where several methods are compared.
        name: of the method, as file name.
        title: of the method, for people.
        claim: what the paper says, in one sentence.
        verdict: whether it holds here; a function of the figures, never set by hand.
        findings: sentences with the figures behind the verdict, and the explanation where it does not hold.
        setting: data, networks and schedules in one or two sentences.
        command: what makes it again.
        seeds: over which means and spreads are taken.
        tables: the figures.
        pictures: files beside the study's own, with a caption for each.
        comparisons: the pairs behind the findings, as numbers, with their tests.
        rows: every run that was measured, by the name of its sweep; what the verdict is a function of.
    """

    number: str
    name: str
    title: str
    claim: str
    verdict: Verdict
    findings: tuple[str, ...]
    setting: str
    command: str
    seeds: tuple[int, ...]
    tables: tuple[Table, ...]
    pictures: tuple[tuple[str, str], ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    rows: Mapping[str, Rows] = field(default_factory=dict)
    seconds: float = 0.0
    machine: str = field(default_factory=lambda: f"{_processor()}, {os.cpu_count()} cores")

    @property
    def stem(self) -> str:
        """What its files are called, ``NN-name``."""
        return "-".join(part for part in (self.number, self.name) if part)

    @property
    def is_older(self) -> bool:
        """Whether this is the claim of a paper whose verdict rests on no test, as before the rule of evidence."""
        return bool(self.claim and self.number and not self.rows)

    def save(self, folder: str | Path) -> Path:
        """Write ``NN-name.json`` into `folder`; a row of a sweep is a line."""
        values = asdict(self)
        sweeps = values.pop("rows")
        text = json.dumps(values, indent=1, ensure_ascii=False).removesuffix("\n}")
        lines = {
            name: ",\n".join(f"   {json.dumps(row, ensure_ascii=False)}" for row in rows)
            for name, rows in sweeps.items()
        }
        kept = ",\n".join(f"  {json.dumps(name)}: [\n{rows}\n  ]" for name, rows in lines.items())
        text += f',\n "rows": {{\n{kept}\n }}\n}}\n'
        return write_atomically(Path(folder) / f"{self.stem}.json", text)


def read_study(path: str | Path) -> Study:
    """Read a study back.

    Raises:
        FileFormatError: the file is no study.
    """
    try:
        values: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        tables = tuple(
            Table(table["title"], tuple(table["columns"]), tuple(tuple(row) for row in table["rows"]))
            for table in values.pop("tables")
        )
        pictures = tuple((file, caption) for file, caption in values.pop("pictures"))
        comparisons = tuple(_comparison(one) for one in values.pop("comparisons", []))
        lists: dict[str, Any] = {name: tuple(values.pop(name)) for name in ("findings", "seeds")}
        return Study(**values, **lists, tables=tables, pictures=pictures, comparisons=comparisons)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path}: no study: {error}") from error


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation as text.

    Example:
        >>> spread([1.0, 2.0, 3.0], 1)
        '2.0 ± 1.0'
    """
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{mean(values):.{digits}f} ± {stdev(values):.{digits}f}"


def _comparison(values: Mapping[str, Any]) -> Comparison:
    pairs = values["difference"]
    lists: dict[str, Any] = {name: tuple(pairs[name]) for name in ("seeds", "values")}
    return Comparison(Difference(**{**pairs, **lists}), values["p"], values["held"])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
