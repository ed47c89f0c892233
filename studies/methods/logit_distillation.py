"""Study 05: soft labels in retraining, with a coefficient that stays or falls, at several temperatures.

References:
    Shin, Boo, Sung 2019 (arXiv 1909.01688).
"""

from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

from fewbit.analysis import Table, grid
from fewbit.distill import LogitKD
from fewbit.passes import Quantize, compress
from fewbit.plot import Panel, plot_curves
from fewbit.tasks import Task
from fewbit.train import linear
from studies.evidence.paired_tests import Comparison, difference, tested
from studies.evidence.rows import Rows, SealedRows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, as_good, better, comparisons_of, verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task

FALLING = "1 to 0"
MARGIN = 0.5
"""Points of test error: an arm is as good as its base if it is not worse by so much."""
TEACHERS = {"own": "the student's own float network", "wide": "a wider float network"}


@dataclass(frozen=True)
class Scale:
    """Networks, data and the grid of a run; `pictures` 0 stands for all."""

    pictures: int
    width: int
    wide: int
    epochs: int
    retrain_epochs: int
    lr: float
    temperatures: tuple[float, ...] = (1, 2, 4, 8)
    coefficients: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 1.0)


SMALL = Scale(pictures=2000, width=16, wide=128, epochs=20, retrain_epochs=20, lr=3e-3)
FULL = Scale(pictures=0, width=64, wide=512, epochs=60, retrain_epochs=60, lr=1e-3)


def run(setting: Setting) -> Study:
    """Fill the grid for both teachers and compare the best fixed cell with the falling coefficient."""
    scale = FULL if setting.full else SMALL
    soft = grid(teacher=TEACHERS, temperature=scale.temperatures, coefficient=[*map(str, scale.coefficients), FALLING])
    cells = [{"teacher": "none", "temperature": 0, "coefficient": "0"}, *soft]
    runs = setting.sweep(
        partial(_trial, setting, scale),
        [{"seed": seed} | cell for seed in setting.seeds for cell in cells],
        "soft-labels",
        "soft labels",
    )
    best = choose(runs)
    rows = runs.open()
    parts = judge(rows, best, scale)
    picture = setting.out / "05-logit-distillation.png"
    plot_curves(
        [_panel(rows, teacher, scale) for teacher in TEACHERS],
        "temperature T",
        picture,
        "Ternary perceptron: soft labels with a fixed coefficient, and with one that falls from 1 to 0",
        log=True,
        same_y=True,
    )
    size = sizes(rows, best)
    return Study(
        number="05",
        name="logit-distillation",
        title="Logit distillation with a falling coefficient",
        claim=(
            "Soft labels of a float teacher improve a network of 2 bits; a coefficient that falls to 0 during "
            "retraining gives at least what the best fixed one gives, and makes the choice of temperature uncritical."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *reaches(rows, scale), f"Size of the teacher: {size.sentence}."),
        setting=_describe(scale),
        command=f"python -m studies 05 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=tuple(_table(rows, teacher, scale) for teacher in TEACHERS),
        pictures=((picture.name, "Test error by temperature for each coefficient; the falling one is bold."),),
        comparisons=(*comparisons_of(parts), size),
        rows={"soft labels": rows},
    )


@dataclass(frozen=True)
class Best:
    """What development data choose for a teacher: the temperature of the falling coefficient, and a fixed cell."""

    falling: float
    temperature: float
    coefficient: str


def choose(runs: SealedRows) -> dict[str, Best]:
    """The best settings of each teacher by development data."""
    found = {}
    for teacher in TEACHERS:
        mine = [row for row in of(runs.dev, teacher=teacher) if row["coefficient"] != FALLING]
        cells = SealedRows([{**row, "cell": (row["temperature"], row["coefficient"])} for row in mine], runs.title)
        falling = runs.choose("temperature", teacher=teacher, coefficient=FALLING)
        found[teacher] = Best(falling, *cells.choose("cell"))
    return found


def judge(rows: Rows, best: dict[str, Best], scale: Scale) -> list[Part]:
    """The parts of the claim for both teachers: better than hard labels, as good as the best fixed coefficient, and
    less changed by the temperature than fixed coefficients from 0.5 on.
    """
    hard = ("hard labels only", of(rows, teacher="none"))
    helped, near, calm = [], [], []
    for teacher, told in TEACHERS.items():
        chosen = best[teacher]
        falling = _cell(rows, teacher, chosen.falling, FALLING)
        fixed = _cell(rows, teacher, chosen.temperature, chosen.coefficient)
        helped.append(
            (f"Soft labels with a falling coefficient improve on hard ones ({told})", difference(falling, hard))
        )
        near.append((f"A falling coefficient is as good as the best fixed one ({told})", difference(falling, fixed)))
        mine, others = _reach_rows(rows, teacher, scale)
        says = f"The temperature changes less with a falling coefficient than with fixed ones from 0.5 on ({told})"
        calm.append(
            (says, difference(("reach of the falling coefficient", mine), ("mean reach of the fixed ones", others)))
        )
    decided = better([*helped, *calm])
    return [*decided[: len(helped)], *as_good(near, MARGIN), *decided[len(helped) :]]


def reaches(rows: Rows, scale: Scale) -> list[str]:
    """How much the temperature changes with each coefficient, by mean test errors."""
    found = []
    for teacher, told in TEACHERS.items():
        reach = {c: _reach(rows, teacher, c, scale) for c in (*map(str, scale.coefficients), FALLING)}
        text = ", ".join(f"{value:.2f} at {name}" for name, value in reach.items())
        found.append(
            f"Teacher: {told}. From the best to the worst temperature the mean error changes by (points): {text}."
        )
    return found


def sizes(rows: Rows, best: dict[str, Best]) -> Comparison:
    """Whether a larger teacher is a better one, each with a falling coefficient at its best temperature."""
    arms = []
    for teacher, told in TEACHERS.items():
        error = mean(row["test of the teacher"] for row in of(rows, teacher=teacher))
        name, mine = _cell(rows, teacher, best[teacher].falling, FALLING)
        arms.append((f"{told} (itself {error:.2f} %), {name}", mine))
    own, wide = arms
    return tested([difference(wide, own)])[0]


def _cell(rows: Rows, teacher: str, temperature: float, coefficient: str) -> tuple[str, Rows]:
    name = f"coefficient {coefficient} at T = {temperature:g}"
    return name, of(rows, teacher=teacher, temperature=temperature, coefficient=coefficient)


def _reach(rows: Rows, teacher: str, coefficient: str, scale: Scale) -> float:
    """From the best to the worst temperature, of mean test errors."""
    means: list[float] = [
        mean(row["test"] for row in _cell(rows, teacher, t, coefficient)[1]) for t in scale.temperatures
    ]
    return max(means) - min(means)


def _reach_rows(rows: Rows, teacher: str, scale: Scale) -> tuple[Rows, Rows]:
    """By seed, from the best to the worst temperature: of the falling coefficient, and of fixed ones on average."""
    seeds = sorted({row["seed"] for row in rows})
    fixed = [str(c) for c in scale.coefficients if c >= 0.5]
    mine, others = [], []
    for seed in seeds:
        one = of(rows, seed=seed)
        mine.append({"seed": seed, "test": _reach(one, teacher, FALLING, scale)})
        others.append({"seed": seed, "test": mean(_reach(one, teacher, c, scale) for c in fixed)})
    return mine, others


def _trial(
    setting: Setting,
    scale: Scale,
    seed: int,
    teacher: str,
    temperature: float,
    coefficient: str,
) -> dict[str, Any]:
    task = _task(setting, scale, seed)
    model = setting.network(task, seed)
    retraining = task.retraining(seed)
    taught: dict[str, Any] = {"test of the teacher": None}
    if teacher != "none":
        master = model if teacher == "own" else setting.network(task, seed, scale.wide)
        weight = linear(1.0, 0.0) if coefficient == FALLING else float(coefficient)
        objective = LogitKD(master, temperature, weight)
        retraining = task.retraining(seed, objective=objective)
        taught = {"test of the teacher": task.score(master)}
    result = compress(model, Quantize("ternary+adaptive"), retraining)
    return {"dev": task.measure(result), "test": task.score(result)} | taught


def _task(setting: Setting, scale: Scale, seed: int) -> Task:
    settings: dict[str, Any] = {
        "size": scale.width,
        "epochs": scale.epochs,
        "retrain_epochs": scale.retrain_epochs,
        "retrain_lr": scale.lr,
    }
    if scale.pictures:
        return few_images_task(setting, scale.pictures, seed, **settings)
    return named_task("perceptron", setting, **settings)


def _panel(rows: Rows, teacher: str, scale: Scale) -> Panel:
    curves = {}
    for coefficient in (FALLING, *map(str, scale.coefficients)):
        name = "coefficient falls from 1 to 0" if coefficient == FALLING else f"coefficient {coefficient}"
        curves[name] = {t: [row["test"] for row in _cell(rows, teacher, t, coefficient)[1]] for t in scale.temperatures}
    levels = {"hard labels only": [row["test"] for row in of(rows, teacher="none")]}
    return Panel("test error (%)", curves, levels, f"teacher: {TEACHERS[teacher]}")


def _table(rows: Rows, teacher: str, scale: Scale) -> Table:
    def at(coefficient: str, temperature: float) -> str:
        return spread([row["test"] for row in _cell(rows, teacher, temperature, coefficient)[1]])

    hard = spread([row["test"] for row in of(rows, teacher="none")])
    cells = [("0 (hard labels only)", *[hard] * len(scale.temperatures))]
    cells += [(c, *(at(c, t) for t in scale.temperatures)) for c in (*map(str, scale.coefficients), FALLING)]
    columns = ("coefficient", *(f"T = {t:g}" for t in scale.temperatures))
    return Table(f"Test error (%), teacher: {TEACHERS[teacher]}", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    data = f"{scale.pictures:,} training pictures of MNIST" if scale.pictures else "MNIST"
    return (
        f"{data}, perceptron of 2 hidden layers of {scale.width} units (the wider teacher: {scale.wide}), "
        f"{scale.epochs} epochs in float and {scale.retrain_epochs} of retraining at rate {scale.lr:g} with ternary "
        f"weights and adaptive steps; a seed has training pictures and float networks of its own. The coefficient is "
        "the share of soft labels in the loss. The best cell of fixed ones and the best temperature of falling ones "
        f"are chosen on development data. As good means: not worse by {MARGIN:g} point, set before the runs."
    )
