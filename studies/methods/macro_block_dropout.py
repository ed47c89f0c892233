"""Study 17: dropout of few large blocks against dropout of units and against none, at equal rates.

References:
    Kim, Indurti, Park, Sung 2022 (arXiv 2212.14149).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from fewbit.analysis import Table
from fewbit.nn import MacroBlockDropout
from fewbit.plot import Panel, plot_curves
from fewbit.tasks import Task
from studies.evidence.paired_tests import Comparison, difference, tested
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.speech import an4_task, character_error_rate, training_part

KINDS: dict[str, Callable[[float, int], nn.Module]] = {
    "units": lambda p, width: nn.Dropout(p),
    "locked units": lambda p, width: MacroBlockDropout(p, blocks=width),
    "macro blocks": lambda p, width: MacroBlockDropout(p, blocks=5),
}
"""What stands before each recurrent layer: a new mask for every unit and frame, one for every unit, one for a fifth."""


@dataclass(frozen=True)
class Scale:
    """Network, epochs and the rates of a run."""

    hidden: int
    layers: int
    epochs: int
    rates: tuple[float, ...] = (0.1, 0.2, 0.4)


SMALL = Scale(hidden=128, layers=3, epochs=20)
FULL = Scale(hidden=384, layers=4, epochs=120)


def run(setting: Setting) -> Study:
    """Train with every kind and rate from the same weights, and compare the best of each and equal rates."""
    scale = FULL if setting.full else SMALL
    arms = [("none", 0.0), *((kind, rate) for kind in KINDS for rate in scale.rates)]
    runs = setting.sweep(
        partial(_trial, setting, scale),
        [{"seed": seed, "kind": kind, "rate": rate} for seed in setting.seeds for kind, rate in arms],
        "macro-block-dropout",
        "dropout",
    )
    best = {kind: runs.choose("rate", kind=kind) for kind in KINDS}
    rows = runs.open()
    parts = judge(rows, best)
    beside = equal_rates(rows, scale)
    path = setting.out / "17-macro-block-dropout.png"
    curves = {
        kind: {rate: [row["test"] for row in of(rows, kind=kind, rate=rate)] for rate in scale.rates} for kind in KINDS
    }
    levels = {"no dropout": [row["test"] for row in of(rows, kind="none")]}
    plot_curves([Panel("character error rate (%)", curves, levels)], "rate", path, "Dropout before recurrent layers")
    return Study(
        number="17",
        name="macro-block-dropout",
        title="Macro-block dropout",
        claim=(
            "Dropout of a few large blocks of the inputs of recurrent layers gives fewer errors than dropout of single "
            "units, and than none."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *(f"{one.sentence}." for one in beside)),
        setting=_describe(scale),
        command=f"python -m studies 17 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_table(rows, arms),),
        pictures=((path.name, "Character error rate by kind and rate of dropout."),),
        comparisons=(*comparisons_of(parts), *beside),
        rows={"dropout": rows},
    )


def judge(rows: Rows, best: dict[str, float]) -> list[Part]:
    """The parts of the claim, each kind at the rate that is best for it on development data."""
    mine, units = (_arm(rows, kind, best[kind]) for kind in ("macro blocks", "units"))
    return better(
        [
            ("Macro blocks are better than units", difference(mine, units)),
            ("Macro blocks are better than no dropout", difference(mine, _arm(rows, "none", 0.0))),
        ]
    )


def equal_rates(rows: Rows, scale: Scale) -> list[Comparison]:
    """Macro blocks against units and against locked units at each rate, tested together."""
    return tested(
        [
            difference(_arm(rows, "macro blocks", rate), _arm(rows, kind, rate))
            for kind in ("units", "locked units")
            for rate in scale.rates
        ]
    )


def network(task: Task, seed: int, kind: str, rate: float, width: int) -> nn.Module:
    """The untrained network of a seed, with dropout of a kind before each recurrent layer."""
    model = task.new(seed)
    for name in [name for name, _ in model.named_children()]:
        if name.startswith("drop"):
            setattr(model, name, nn.Identity() if kind == "none" else KINDS[kind](rate, width))
    return model


def _arm(rows: Rows, kind: str, rate: float) -> tuple[str, Rows]:
    return "no dropout" if kind == "none" else f"{kind} at {rate:g}", of(rows, kind=kind, rate=rate)


def _trial(setting: Setting, scale: Scale, seed: int, kind: str, rate: float) -> dict[str, Any]:
    task = an4_task(setting, size=scale.hidden, layers=scale.layers, epochs=scale.epochs)
    model = task.training(seed)(network(task, seed, kind, rate, scale.hidden))
    heard = replace(task, evaluate=partial(character_error_rate, training_part(setting)))
    return {"train": heard.measure(model), "dev": task.measure(model), "test": task.score(model)}


def _table(rows: Rows, arms: list[tuple[str, float]]) -> Table:
    cells = []
    for kind, rate in arms:
        name, mine = _arm(rows, kind, rate)
        cells.append((name, *(spread([row[part] for row in mine]) for part in ("train", "dev", "test"))))
    columns = ("dropout", "training speakers (%)", "dev (%)", "test (%)")
    return Table("Character error rate, all arms at equal epochs", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    return (
        f"AN4, characters by CTC, best path without a language model: a convolution and {scale.layers} SRU layers of "
        f"{scale.hidden} units, {scale.epochs} epochs, voices and spectra varied in every arm. Dropout stands before "
        "each recurrent layer; macro blocks are 5 in number, and masks of blocks and of locked units are held over an "
        "utterance. The rate of each kind is chosen on development speakers. Seeds share the recordings, of which "
        "there is one corpus, and no weights or batches."
    )
