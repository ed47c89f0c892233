"""Study 11: ternary decoders from float teachers, by losses that weigh labels, teachers and tokens differently.

References:
    Kim, Lee, Lee, Hong, Chang, Sung, Choi 2023 (arXiv 2308.06744).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import nn

from fewbit.analysis import Table, grid
from fewbit.data import Windows
from fewbit.distill import LogitKD, TeacherIntervention, TokenScaledKD
from fewbit.passes import Finetune, compress
from fewbit.plot import Panel, plot_curves
from fewbit.train import CrossEntropy, Objective
from studies.evidence.paired_tests import Comparison, Difference, difference, tested
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.decoders import FEW_BITS, DecoderScale, Watched, decoder_task, few_bits, text_of, watches

WEIGHT = 4.0
"""Of the token-scaled loss: the authors sum it over batches of 4 sequences."""
EVEN = 1e6
"""A tau at which all tokens weigh the same."""
PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of retraining at which networks are measured."""
UNIT = "bits per character"

ARMS: Mapping[str, tuple[str, Callable[[nn.Module], Objective]]] = {
    "labels": ("labels", lambda teacher: CrossEntropy()),
    "teacher": ("the teacher's distributions", lambda teacher: LogitKD(teacher, temperature=1.0, weight=1.0)),
    "both": ("both", lambda teacher: TokenScaledKD(teacher, tau=EVEN, weight=1.0)),
    "both-4": (f"both, the teacher {WEIGHT:g} times", lambda teacher: TokenScaledKD(teacher, tau=EVEN, weight=WEIGHT)),
    "tokens": ("tokens scaled", lambda teacher: TokenScaledKD(teacher, weight=WEIGHT)),
    "layers": (
        "distributions and layers",
        lambda teacher: TeacherIntervention(teacher, share=0.0, taps=("hidden", "scores")),
    ),
}
"""What an arm is called, and what it minimises."""


@dataclass(frozen=True)
class Scale:
    """Decoders, updates of a retraining, and the learning rates that every arm is tried with."""

    decoder: DecoderScale = field(default_factory=DecoderScale)
    updates: int = 800
    rates: tuple[float, ...] = (1e-3, 3e-3)


SMALL = Scale()
FULL = Scale(
    DecoderScale(width=384, heads=6, layers=6, steps=256, batch_size=32, characters=1_000_000, updates=6000, lr=1e-3),
    updates=12_000,
    rates=(1e-4, 3e-4, 1e-3),
)


def run(setting: Setting) -> Study:
    """Retrain every arm of a seed from its float network, each at the rate that is best on development data."""
    scale = FULL if setting.full else SMALL
    runs = setting.sweep(
        partial(_trial, setting, scale),
        grid(seed=setting.seeds, arm=ARMS, rate=scale.rates),
        "token-scaled-distillation",
        "losses",
    )
    best = {arm: runs.choose("rate", arm=arm) for arm in ARMS}
    rows = runs.open(lambda row: row["rate"] == best[row["arm"]])
    parts = judge(rows)
    beside = control(rows)
    path = setting.out / "11-token-scaled-distillation.png"
    plot_curves([_panel(rows, part) for part in ("train", "dev")], "share of retraining", path, "Ternary decoders")
    return Study(
        number="11",
        name="token-scaled-distillation",
        title="Token-scaled logit distillation",
        claim=(
            "For ternary language models, distillation whose tokens weigh by the teacher's own error is better than "
            "labels, than distillation alone and than both with equal weights, and over-fits less than the last."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *(f"{one.sentence}." for one in beside)),
        setting=_describe(scale),
        command=f"python -m studies 11{' --full' if setting.full else ''} --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_table(rows),),
        pictures=((path.name, "Bits per character of training and development text along the retraining."),),
        comparisons=(*comparisons_of(parts), *beside),
        rows={"losses": rows},
    )


def judge(rows: Rows) -> list[Part]:
    """The parts of the claim: better than three losses, better than equal weights of its own size, and a smaller gap
    between training and development text than labels and teacher together.
    """
    mine = _arm(rows, "tokens")
    bases = ("labels", "teacher", "both", "both-4")
    statements = [
        (f"Scaled tokens are better than {_arm(rows, base)[0]}", _apart(mine, _arm(rows, base))) for base in bases
    ]
    gap = difference(mine, _arm(rows, "both"), over_fitting, unit="bits of gap", digits=3)
    return better([*statements, ("Scaled tokens over-fit less than both", gap)])


def control(rows: Rows) -> list[Comparison]:
    """What a larger weight of the teacher does without scaling, and what the losses of layers do."""
    pairs = (("both-4", "both"), ("layers", "teacher"), ("both", "labels"), ("both", "teacher"))
    return tested([_apart(_arm(rows, arm), _arm(rows, base)) for arm, base in pairs])


def over_fitting(row: Mapping[str, float]) -> float:
    """Development text minus training text after retraining, both measured alike."""
    return row["dev 1"] - row["train 1"]


def _apart(arm: tuple[str, Rows], base: tuple[str, Rows]) -> Difference:
    return difference(arm, base, unit=UNIT, digits=4)


def _arm(rows: Rows, arm: str) -> tuple[str, Rows]:
    return ARMS[arm][0], of(rows, arm=arm)


def _trial(setting: Setting, scale: Scale, seed: int, arm: str, rate: float) -> dict[str, Any]:
    task = decoder_task(setting, scale.decoder, seed)
    teacher = setting.network(task, seed)
    text, steps = text_of(setting, scale.decoder, seed), scale.decoder.steps
    watched = Watched(
        ARMS[arm][1](teacher), watches(text, scale.decoder), [(place, f"{place:g}") for place in PLACES[:-1]]
    )
    batches = Windows(text.train, scale.decoder.batch_size, steps, scale.updates, seed=1000 + seed)
    retrain = Finetune(batches, watched, 1, lr=rate, seed=seed, progress=False)
    student = compress(teacher, few_bits(text, steps), retrain)
    watched.measure(student, f"{PLACES[-1]:g}")
    return {
        "float dev": task.measure(teacher),
        "float test": task.score(teacher),
        "dev": task.measure(student),
        "test": task.score(student),
        **watched.found,
    }


def _panel(rows: Rows, part: str) -> Panel:
    curves = {
        told: {place: [row[f"{part} {place:g}"] for row in of(rows, arm=arm)] for place in PLACES[1:]}
        for arm, (told, _) in ARMS.items()
    }
    return Panel(f"bits per character, {'training' if part == 'train' else 'development'} text", curves)


def _table(rows: Rows) -> Table:
    floats = of(rows, arm="labels")
    before = spread([row["float test"] for row in floats], 3)
    cells: list[tuple[str, ...]] = [("float, before retraining", "", "", "", before)]
    for arm, (told, _) in ARMS.items():
        mine = of(rows, arm=arm)
        values = ([row["train 1"] for row in mine], [over_fitting(row) for row in mine], [row["test"] for row in mine])
        cells.append((told, f"{mine[0]['rate']:g}" if mine else "", *(spread(each, 3) for each in values)))
    columns = ("loss", "learning rate", "training text", "development - training", "test")
    return Table("Ternary decoders after equal updates, bits per character", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    one = scale.decoder
    return (
        f"{one.told(one.layers)}, then {scale.updates:,} updates with {FEW_BITS}. The rate of each arm is the better "
        f"of {' and '.join(f'{rate:g}' for rate in scale.rates)} on development text. Seeds share development and test "
        "text."
    )
