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
from studies.evidence.pairs import Rows, chosen, of, pairs
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task

FALLING = "1 to 0"
TEACHERS = {"own": "the student's own float network", "wide": "a wider float network"}


@dataclass(frozen=True)
class Scale:
    """Networks, data and the grid of a run; `pictures` 0 stands for all."""

    pictures: int
    width: int
    wide: int
    epochs: int
    retrain_epochs: int
    repeats: int
    lr: float
    temperatures: tuple[float, ...] = (1, 2, 4, 8)
    coefficients: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 1.0)


SMALL = Scale(pictures=2000, width=16, wide=128, epochs=20, retrain_epochs=20, repeats=2, lr=3e-3)
FULL = Scale(pictures=0, width=64, wide=512, epochs=60, retrain_epochs=60, repeats=2, lr=1e-3)


def run(setting: Setting) -> Study:
    """Fill the grid for both teachers and compare the best fixed cell with the falling coefficient."""
    scale = FULL if setting.full else SMALL
    soft = grid(teacher=TEACHERS, temperature=scale.temperatures, coefficient=[*map(str, scale.coefficients), FALLING])
    cells = [{"teacher": "none", "temperature": 0, "coefficient": "0"}, *soft]
    runs = grid(seed=setting.seeds, repeat=range(scale.repeats))
    rows = setting.sweep(
        partial(_trial, setting, scale),
        [run | cell for run in runs for cell in cells],
        "soft-labels",
        "soft labels",
    )
    parts, findings = [], []
    for teacher in TEACHERS:
        for judged, sentence in judge(rows, teacher, scale):
            parts.append(judged)
            findings.append(sentence)
    picture = setting.out / "05-logit-distillation.png"
    plot_curves(
        [_panel(rows, teacher, scale) for teacher in TEACHERS],
        "temperature T",
        picture,
        "Ternary perceptron: soft labels with a fixed coefficient, and with one that falls from 1 to 0",
        log=True,
        same_y=True,
    )
    return Study(
        number="05",
        name="logit-distillation",
        title="Logit distillation with a falling coefficient",
        claim=(
            "Soft labels of a float teacher improve a network of 2 bits; a coefficient that falls to 0 during "
            "retraining gives at least what the best fixed one gives, and makes the choice of temperature uncritical."
        ),
        verdict=verdict(parts),
        findings=(*findings, sizes(rows)),
        setting=_describe(scale),
        command="python -m studies 05",
        seeds=setting.seeds,
        tables=tuple(_table(rows, teacher, scale) for teacher in TEACHERS),
        pictures=((picture.name, "Test error by temperature for each coefficient; the falling one is bold."),),
    )


def judge(rows: Rows, teacher: str, scale: Scale) -> list[tuple[bool, str]]:
    """The three parts of the claim for one teacher: better than hard labels, than fixed coefficients, uncritical."""
    hard, falling, fixed = arms(rows, teacher)
    helped, against = pairs(falling, hard), pairs(falling, fixed)
    every = [pairs(_cell(rows, teacher, t, FALLING), hard) for t in scale.temperatures]
    reach = {c: _reach(rows, teacher, c, scale) for c in (*map(str, scale.coefficients), FALLING)}
    others = [reach[str(c)] for c in scale.coefficients if c >= 0.5]
    worst = max(every, key=lambda pair: pair.mean)
    where = f"Teacher: {TEACHERS[teacher]}."
    beaten = ""
    if against.worse:
        cells, mine = len(scale.temperatures) * len(scale.coefficients), len(scale.temperatures)
        beaten = (
            f" That fixed cell is the best of {cells} on development data, the falling one the best of {mine}: tuning "
            f"both knobs gains {against.mean:.2f} points at the price of {cells - mine} more trainings."
        )
    return [
        (helped.better, f"{where} {helped.sentence('points')}."),
        (not against.worse, f"{where} {against.sentence('points')}.{beaten}"),
        (
            not worst.worse and reach[FALLING] < min(others),
            f"{where} From the best to the worst temperature, the falling coefficient loses {reach[FALLING]:.2f} "
            f"points, fixed ones from 0.5 on lose {min(others):.2f} to {max(others):.2f}; at its worst temperature "
            f"the falling one is {worst.mean:+.2f} points from hard labels.",
        ),
    ]


def arms(rows: Rows, teacher: str) -> list[tuple[str, Rows]]:
    """Hard labels; the falling and the best fixed coefficient, both with what is best on development data."""
    hard = ("hard labels only", of(rows, teacher="none"))
    mine = of(rows, teacher=teacher)
    temperature = chosen(of(mine, coefficient=FALLING), "temperature")
    cells = [{**row, "cell": (row["temperature"], row["coefficient"])} for row in mine if row["coefficient"] != FALLING]
    best = chosen(cells, "cell")
    return [hard, _cell(rows, teacher, temperature, FALLING), _cell(rows, teacher, *best)]


def sizes(rows: Rows) -> str:
    """Whether a larger teacher is a better one, each with a falling coefficient at its best temperature."""
    own, wide = (arms(rows, teacher)[1] for teacher in TEACHERS)
    pair = pairs((f"wider teacher, {wide[0]}", wide[1]), (f"own float network, {own[0]}", own[1]))
    floats = ", ".join(
        f"{TEACHERS[teacher]} {mean(row['teacher test'] for row in of(rows, teacher=teacher)):.2f} %"
        for teacher in TEACHERS
    )
    return f"Size of the teacher: {pair.sentence('points')}. Errors of the teachers themselves: {floats}."


def _cell(rows: Rows, teacher: str, temperature: float, coefficient: str) -> tuple[str, Rows]:
    name = f"coefficient {coefficient} at T = {temperature:g}"
    return name, of(rows, teacher=teacher, temperature=temperature, coefficient=coefficient)


def _reach(rows: Rows, teacher: str, coefficient: str, scale: Scale) -> float:
    """From the best to the worst temperature, of mean test errors."""
    means: list[float] = [
        mean(row["test"] for row in _cell(rows, teacher, t, coefficient)[1]) for t in scale.temperatures
    ]
    return max(means) - min(means)


def _trial(
    setting: Setting,
    scale: Scale,
    seed: int,
    repeat: int,
    teacher: str,
    temperature: float,
    coefficient: str,
) -> dict[str, Any]:
    task = _task(setting, scale)
    model = setting.network(task, seed)
    retraining = task.retraining(1000 * repeat + seed)
    taught: dict[str, Any] = {"teacher test": None}
    if teacher != "none":
        master = model if teacher == "own" else setting.network(task, seed, scale.wide)
        weight = linear(1.0, 0.0) if coefficient == FALLING else float(coefficient)
        objective = LogitKD(master, temperature, weight)
        retraining = task.retraining(1000 * repeat + seed, objective=objective)
        taught = {"teacher test": task.score(master)}
    result = compress(model, Quantize("ternary+adaptive"), retraining)
    return {"dev": task.measure(result), "test": task.score(result)} | taught


def _task(setting: Setting, scale: Scale) -> Task:
    settings: dict[str, Any] = {
        "size": scale.width,
        "epochs": scale.epochs,
        "retrain_epochs": scale.retrain_epochs,
        "retrain_lr": scale.lr,
    }
    if scale.pictures:
        return few_images_task(setting, scale.pictures, **settings)
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
        f"weights and adaptive steps, {scale.repeats} retrainings a seed. The coefficient is the share of soft labels "
        "in the loss. The best cell of fixed ones and the best temperature of falling ones are chosen on development "
        "data."
    )
