"""Study 10: signals of the teacher in the student's place for the first updates of ternary retraining, by depth.

References:
    Kim, Shim, Park, Sung, Choi 2023 (arXiv 2302.11812).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from fewbit.analysis import Table, grid
from fewbit.data import Windows
from fewbit.distill import LogitKD, TeacherIntervention
from fewbit.distill.teacher_intervention import Order
from fewbit.inference import inference_mode
from fewbit.passes import Finetune, compress
from fewbit.plot import Panel, plot_curves
from fewbit.train import Objective
from studies.evidence.paired_tests import Comparison, Difference, difference, tested
from studies.evidence.rows import Rows, SealedRows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.decoders import FEW_BITS, DecoderScale, Watched, decoder_task, few_bits, text_of, watches

ARMS: Mapping[str, str] = {
    "gradual": "gradual intervention",
    "inverted": "inverted intervention",
    "none": "no intervention",
    "one": "no intervention, one schedule",
}
"""All minimise the same loss; all but the last begin with a short schedule of its own, as intervention does."""
PLACES = ("0", "0.125", "0.25", "0.5", "1")
"""Shares of the updates that follow the intervention, at which networks are measured."""
EARLY = "dev 0.125"
UNIT = "bits per character"


@dataclass(frozen=True)
class Scale:
    """Decoders, their depths, updates with and behind intervention, and the rates that every arm is tried with."""

    decoder: DecoderScale = field(default_factory=DecoderScale)
    depths: tuple[int, ...] = (3, 6)
    first: int = 60
    updates: int = 420
    rates: tuple[float, ...] = (1e-3, 3e-3)


SMALL = Scale()
FULL = Scale(
    DecoderScale(width=384, heads=6, steps=256, batch_size=32, characters=1_000_000, updates=6000, lr=1e-3),
    depths=(3, 6, 8),
    first=120,
    updates=3000,
    rates=(1e-4, 3e-4, 1e-3),
)


def run(setting: Setting) -> Study:
    """Retrain every arm of a seed and depth from its float network, each at its best rate on development data."""
    scale = FULL if setting.full else SMALL
    runs = setting.sweep(
        partial(_trial, setting, scale),
        grid(seed=setting.seeds, layers=scale.depths, arm=ARMS, rate=scale.rates),
        "teacher-intervention",
        "intervention",
    )
    best = choose(runs, scale)
    rows = runs.open(lambda row: row["rate"] == best[row["layers"], row["arm"]])
    parts = judge(rows, scale.depths)
    beside = schedules(rows, scale.depths)
    path = setting.out / "10-teacher-intervention.png"
    plot_curves(
        [_panel(rows, depth) for depth in scale.depths],
        "share of the updates behind the intervention",
        path,
        "Ternary decoders, measured without intervention",
    )
    return Study(
        number="10",
        name="teacher-intervention",
        title="Teacher intervention",
        claim=(
            "A ternary network whose inner signals are the teacher's for the first updates of retraining converges "
            "faster and ends better than one with the same loss alone; going from the output to the map is the better "
            "order."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *(f"{one.sentence}." for one in beside)),
        setting=_describe(scale),
        command=f"python -m studies 10{' --full' if setting.full else ''} --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=tuple(_table(rows, depth) for depth in scale.depths),
        pictures=((path.name, "Bits per character of development text along the retraining, by depth."),),
        comparisons=(*comparisons_of(parts), *beside),
        rows={"intervention": rows},
    )


def choose(runs: SealedRows, scale: Scale) -> dict[tuple[int, str], float]:
    """The rate of each depth and arm by development data at the end."""
    return {(depth, arm): runs.choose("rate", layers=depth, arm=arm) for depth in scale.depths for arm in ARMS}


def judge(rows: Rows, depths: tuple[int, ...]) -> list[Part]:
    """The parts of the claim at each depth: better early, better at the end, and the order matters."""
    statements = []
    for depth in depths:
        gradual, none, inverted = (_arm(rows, depth, arm) for arm in ("gradual", "none", "inverted"))
        statements += [
            (f"With {depth} blocks, intervention is ahead early", _apart(gradual, none, EARLY)),
            (f"With {depth} blocks, intervention ends better", _apart(gradual, none)),
            (f"With {depth} blocks, gradual ends better than inverted", _apart(gradual, inverted)),
        ]
    return better(statements)


def schedules(rows: Rows, depths: tuple[int, ...]) -> list[Comparison]:
    """Intervention beside the same updates in one schedule, and how near the layers come to the teacher's."""
    found = []
    for depth in depths:
        gradual = _arm(rows, depth, "gradual")
        found.append(_apart(gradual, _arm(rows, depth, "one")))
        found.append(difference(gradual, _arm(rows, depth, "none"), "layers dev", unit="of layer error", digits=4))
    return tested(found)


def _apart(arm: tuple[str, Rows], base: tuple[str, Rows], measure: str = "test") -> Difference:
    return difference(arm, base, measure, unit=UNIT, digits=4)


def _arm(rows: Rows, depth: int, arm: str) -> tuple[str, Rows]:
    return f"{ARMS[arm]}, {depth} blocks", of(rows, layers=depth, arm=arm)


def _trial(setting: Setting, scale: Scale, seed: int, layers: int, arm: str, rate: float) -> dict[str, Any]:
    task = decoder_task(setting, scale.decoder, seed, layers)
    teacher = setting.network(task, seed)
    text, steps = text_of(setting, scale.decoder, seed), scale.decoder.steps
    total = scale.first + scale.updates
    restart = arm != "one"
    begin = 0.0 if restart else scale.first / total  # of the second part, as a share of its schedule
    plain = TeacherIntervention(teacher, share=0.0)
    watched = Watched(
        plain, watches(text, scale.decoder), [(begin + float(place) * (1 - begin), place) for place in PLACES[:-1]]
    )
    student = compress(teacher, few_bits(text, steps))
    if restart:
        first: Objective = plain if arm == "none" else TeacherIntervention(teacher, share=1.0, order=cast(Order, arm))
        student = _retraining(scale, text.train, seed, scale.first, first, rate)(student)
    updates = scale.updates if restart else total
    student = _retraining(scale, text.train, seed + 100, updates, watched, rate)(student)
    watched.measure(student, PLACES[-1])
    return {
        "float dev": task.measure(teacher),
        "float test": task.score(teacher),
        "dev": task.measure(student),
        "test": task.score(student),
        "layers dev": layer_error(teacher, text.dev[: 16 * steps + 1], steps, student),
        **watched.found,
    }


def _retraining(
    scale: Scale, stream: torch.Tensor, seed: int, updates: int, objective: Objective, rate: float
) -> Finetune:
    batches = Windows(stream, scale.decoder.batch_size, scale.decoder.steps, updates, seed=1000 + seed)
    return Finetune(batches, objective, 1, lr=rate, seed=seed, progress=False)


def layer_error(teacher: nn.Module, stream: torch.Tensor, steps: int, student: nn.Module) -> float:
    """Mean squared distance of the hidden signals of both networks, summed over layers."""
    windows = (len(stream) - 1) // steps
    batch = tuple(stream[i : i + windows * steps].view(windows, steps) for i in (0, 1))
    near = TeacherIntervention(teacher, share=0.0, taps=("hidden",))
    scores = LogitKD(teacher, temperature=1.0, weight=1.0)
    with inference_mode(student):
        return float(near(student, batch, 0.0)) - float(scores(student, batch, 0.0))


def _panel(rows: Rows, depth: int) -> Panel:
    curves = {
        told: {float(place): [row[f"dev {place}"] for row in of(rows, layers=depth, arm=arm)] for place in PLACES}
        for arm, told in ARMS.items()
    }
    return Panel("bits per character, development text", curves, title=f"{depth} blocks")


def _table(rows: Rows, depth: int) -> Table:
    floats = of(rows, layers=depth, arm="none")
    before = spread([row["float test"] for row in floats], 3)
    cells: list[tuple[str, ...]] = [("float, before retraining", "", "", "", "", before)]
    for arm, told in ARMS.items():
        mine = of(rows, layers=depth, arm=arm)
        values = (spread([row[key] for row in mine], 3) for key in ("dev 0", EARLY, "layers dev", "test"))
        cells.append((told, f"{mine[0]['rate']:g}" if mine else "", *values))
    columns = ("retraining", "learning rate", "behind it", "an eighth later", "error of layers", "test")
    return Table(f"{depth} blocks, bits per character", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    depths = " or ".join(map(str, scale.depths))
    return (
        f"{scale.decoder.told(depths)}, then {scale.first} updates with intervention and {scale.updates} without, "
        f"{FEW_BITS}. All arms have one loss: distributions of the teacher, hidden signals, scores and outputs "
        "of attention. The rate of each arm and depth is the better of "
        f"{' and '.join(f'{rate:g}' for rate in scale.rates)} on development text. Seeds share development and test "
        "text."
    )
