"""What the trainings of the recogniser of English say: findings, tests and tables from rows, or from older tables.

The ternary network is compared to the float network that it began with, and to the control, which was trained on for
the same epochs. Without a control, or where the float network was searched with weights of the language models that
were tuned for the ternary one, a difference is told with these reasons against it, and not tested.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import mean
from typing import Any

from fewbit.analysis.report import Cell, Table
from fewbit.errors import DataError
from fewbit.streams import KINDS
from recipes.english import CONTROL, FLOAT, TERNARY, EnglishRecipe
from studies.evidence import Study, of, spread
from studies.evidence.paired_tests import Comparison, difference, tested
from studies.evidence.rows import Rows

SENTENCES, STREAM = "sentence by sentence", "one endless stream"
STRONGEST = KINDS[-1]
COLUMNS = ("network", "epochs", "", "language model", "WER %", "CER %")
PAIRS = ((TERNARY, CONTROL), (TERNARY, FLOAT), (CONTROL, FLOAT))
COMMAND = "python -m studies.speech.english --out build/benchmarks --results docs/results SEED0 SEED1 SEED2"
SETTING = (
    "Means and standard deviations over trainings with different seeds; 130 sentences of 10 speakers of AN4 who were "
    "never trained on. A folder SEEDN is made by `python -m recipes english --control --seed N --out SEEDN`. Weights "
    "of the language models were tuned on 7 training speakers held out, "
)
OWN, TERNARYS = "for each network of its own.", "for the ternary network, and taken for the float network, too."


def study(rows: Rows, old: Study | None = None) -> Study:
    """The study of rows ``seed, bytes, network, epochs, own_search, where, lm, wer, cer``.

    Args:
        rows: of all trainings.
        old: the study as it was, from which the machine is taken.
    """
    names = list(dict.fromkeys(row["network"] for row in rows))
    epochs = {name: of(rows, network=name)[0]["epochs"] for name in names}
    seeds = tuple(sorted({int(row["seed"]) for row in rows}))
    cells = [
        (name, epochs[name], where, kind, *(spread([row[key] for row in found], 1) for key in ("wer", "cer")))
        for name in names
        for where in (SENTENCES, STREAM)
        for kind in KINDS
        if (found := of(rows, network=name, where=where, lm=kind))
    ]
    size = round(mean(row["bytes"] for row in of(rows, network=TERNARY)))
    findings = [_rates(len(seeds), size, cells)]
    own = all(row["own_search"] for row in rows)
    compared: list[Comparison] = []
    if CONTROL in names and own:
        compared = comparisons(rows)
        findings += [f"{one.sentence}." for one in compared]
    elif FLOAT in names:
        [gap] = comparisons([row for row in rows if row["network"] != CONTROL])
        values = gap.difference.values
        findings.append(untested(spread(values, 1), len(values), epochs, own, CONTROL in names))
    made = Study(
        number="",
        name="english",
        title="The recogniser of English",
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=SETTING + (OWN if own else TERNARYS),
        command=COMMAND,
        seeds=seeds,
        tables=(Table("Error rates", COLUMNS, tuple(cells)),),
        comparisons=tuple(compared),
        rows={"rates": rows},
    )
    return replace(made, machine=old.machine) if old else made


def comparisons(rows: Rows) -> list[Comparison]:
    """The pairs that were measured: words wrong sentence by sentence with characters and words, tested together."""
    best = of(rows, where=SENTENCES, lm=STRONGEST)
    arms = {
        name: (_told(name, found[0]["epochs"]), found)
        for name in (TERNARY, CONTROL, FLOAT)
        if (found := of(best, network=name))
    }
    pairs = [(arms[arm], arms[base]) for arm, base in PAIRS if arm in arms and base in arms]
    return tested([difference(arm, base, "wer", unit="points of WER") for arm, base in pairs])


def from_tables(old: Study) -> Study:
    """The study of trainings that are gone, before there was a control and a search for each network of its own.

    All figures are those of the file: the means of its table, and the size and the difference in its findings. Epochs
    are those of the recipe.

    Raises:
        DataError: the file lacks one of them.
    """
    recipe = EnglishRecipe()
    [table] = old.tables
    epochs = {name: recipe.epochs_of(name) for name in (FLOAT, TERNARY)}
    if "epochs" in table.columns:  # written by this function; the recipe may be another by now
        epochs = {str(row[0]): int(str(row[table.columns.index("epochs")])) for row in table.rows}
    places = [table.columns.index(column) for column in COLUMNS if column != "epochs"]
    kept = [tuple(row[place] for place in places) for row in table.rows]
    cells = [(row[0], epochs[str(row[0])], *row[1:]) for row in kept]
    size = int(_figure(r"([\d,]+) bytes", old.findings).replace(",", ""))
    gap = _figure(r"([-+]?[\d.]+ ± [\d.]+) points", old.findings)
    many = len(old.seeds)
    return replace(
        old,
        findings=(_rates(many, size, cells), untested(gap, many, epochs, own=False, control=False)),
        setting=SETTING + TERNARYS,
        command=COMMAND,
        tables=(replace(table, columns=COLUMNS, rows=tuple(cells)),),
    )


def untested(gap: str, many: int, epochs: dict[str, int], own: bool, control: bool) -> str:
    """The difference of ternary and float, and why it says nothing of ternary weights."""
    why = [f"the ternary network had {epochs[TERNARY]} epochs and the float network {epochs[FLOAT]}"]
    why += (
        [] if own else ["the float network was searched with weights of the language models tuned for the ternary one"]
    )
    why += [] if control else ["a float network trained on as long was not measured"]
    return (
        f"Ternary minus float, sentence by sentence with both: {gap} points, mean of {many} trainings. It was not "
        f"tested, and does not say what ternary weights cost: {'; '.join(why)}."
    )


def _rates(many: int, size: int, cells: Iterable[Sequence[Cell]]) -> str:
    sentences, stream = (
        next(row[4] for row in cells if (row[0], *row[2:4]) == (TERNARY, where, STRONGEST))
        for where in (SENTENCES, STREAM)
    )
    return (
        f"Ternary, {size:,} bytes, mean of {many} training{'s' * (many > 1)}: {sentences} % of the words wrong "
        f"sentence by sentence and {stream} % in one endless stream without reset, with characters and words."
    )


def _told(name: str, epochs: Any) -> str:
    return f"{name} ({epochs} epochs)"


def _figure(pattern: str, findings: Iterable[str]) -> str:
    for finding in findings:
        if found := re.search(pattern, finding):
            return found[1]
    raise DataError(f"english.json: no finding has {pattern!r}; train anew (python -m recipes english --control)")
