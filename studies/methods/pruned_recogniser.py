"""A recogniser of speech with half of its units pruned and ternary weights, against the ternary one of full width.

The passes are those of the recogniser in the package (`recipes.english`): ternary weights with a step for each row,
signals of 8 bits, the float network as the teacher whose part falls to nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from torch import nn

from fewbit.analysis import Table, grid
from fewbit.distill import LogitKD
from fewbit.lower import pack
from fewbit.passes import Finetune, Pass, PruneUnits, Quantize, compress
from fewbit.plot import plot_arms
from fewbit.program import Program, cost
from fewbit.prune import RandomMask, Taylor
from fewbit.speed.timing import measure_in_turns
from fewbit.tasks import Task
from fewbit.train import CTC, linear
from studies.evidence.paired_tests import by_seed, difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, as_good, better, comparisons_of, verdict
from studies.tasks.speech import FEATURES, an4_task

RATIO = 0.5
ARMS = {
    "ternary": "full width",
    "pruned": "half of the units pruned",
    "rested": "half pruned, a third of the epochs in float",
    "narrow": "half the width from the start",
}
"""Arms and what they are called; all have ternary weights and as many epochs of retraining."""
PRUNED = ("pruned", "rested")
"""Two ways to spend the epochs behind the cut, of which the better one is chosen on development data."""
MARGIN = 1.0
"""Points of word error by which the pruned recogniser may be worse."""
ARRIVING = 0.8
"""The part of the promised gain that must arrive."""
STRIDE = 4
"""Frames for each output of the network."""
BATCHES = 8
"""Of an importance, and of a calibration."""


@dataclass(frozen=True)
class Scale:
    """Network, epochs and rates of a run; `blocks` are the outputs of a timed call."""

    hidden: int
    layers: int
    epochs: int
    retrain_epochs: int
    lr: float = 2e-3
    retrain_lr: float = 1e-3
    temperature: float = 2.0
    blocks: tuple[int, ...] = (1, 32)
    seconds: float = 1.0


SMALL = Scale(hidden=384, layers=4, epochs=60, retrain_epochs=30)
FULL = Scale(hidden=384, layers=4, epochs=120, retrain_epochs=60)


def run(setting: Setting) -> Study:
    """Retrain all arms of a seed from its float networks, pack, and compare errors, bytes and times."""
    scale = FULL if setting.full else SMALL
    configs = grid(seed=setting.seeds, arm=ARMS)
    runs = setting.sweep(partial(_trial, setting, scale), configs, "pruned-recogniser", "pruned recogniser")
    chosen = runs.choose("arm", cut=True)
    rows = runs.open()
    timed = setting.sweep(partial(_timed, setting, scale), grid(seed=setting.seeds), "pruned-recogniser-times", "times")
    times = timed.open()
    parts = judge(rows, times, chosen, scale)
    path = setting.out / "pruned-recogniser.png"
    values = {told: [row["test"] for row in of(rows, arm=arm)] for arm, told in ARMS.items()}
    plot_arms(values, "word error rate (%)", path, "Ternary recognisers of AN4, best path")
    return Study(
        number="",
        name="pruned-recogniser",
        title="A recogniser of half its units in ternary weights",
        claim=(
            "A recogniser of which half of the units are pruned before ternary retraining has about the word error of "
            "the ternary one of full width, and its file and its time fall as its multiply-accumulates do."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), f"On development data the better arm is: {ARMS[chosen]}."),
        setting=_describe(scale),
        command=f"python -m studies pruned-recogniser{' --full' if setting.full else ''} --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_table(rows), _time_table(times, scale)),
        pictures=((path.name, "Word error rate of ternary recognisers at equal epochs of retraining."),),
        comparisons=comparisons_of(parts),
        rows={"recognisers": rows, "times": times},
    )


def judge(rows: Rows, times: Rows, chosen: str, scale: Scale) -> list[Part]:
    """The parts of the claim: words as good within the margin; better than a narrow network; bytes and times.

    Bytes and times are shares of what they were over the share of multiply-accumulates that is left: at `ARRIVING` of
    the gain the quotient is ``1 / ARRIVING``.
    """
    mine = (ARMS[chosen], of(rows, arm=chosen))
    near = difference(mine, (ARMS["ternary"], of(rows, arm="ternary")))
    narrow = difference(mine, (ARMS["narrow"], of(rows, arm="narrow")))
    told = f"at most {1 / ARRIVING:g} times the share of multiply-accumulates"
    left = {"of the file": _left(times, "file"), "of the codes and steps": _left(times, "bytes")}
    left |= {f"of the time of a call of {many} outputs": _left(times, f"us {many}") for many in scale.blocks}
    arrived = [
        (f"The share {what} is {told}", by_seed(("the quotient", found), (f"{1 / ARRIVING:g}", 1 / ARRIVING), unit=""))
        for what, found in left.items()
    ]
    return [
        *as_good([(f"{_first_upper(ARMS[chosen])} is as good as full width", near)], MARGIN),
        *better([(f"{_first_upper(ARMS[chosen])} is better than half the width from the start", narrow)]),
        *better(arrived),
    ]


def _left(times: Rows, what: str) -> dict[int, float]:
    """By seed, the share of something that pruning leaves over that of multiply-accumulates."""
    shares = {row["seed"]: row[f"pruned {what}"] / row[f"whole {what}"] for row in times}
    return {row["seed"]: shares[row["seed"]] * row["whole macs"] / row["pruned macs"] for row in times}


def _trial(setting: Setting, scale: Scale, seed: int, arm: str) -> dict[str, Any]:
    words, letters = (_task(setting, scale, words) for words in (True, False))
    teacher = setting.network(words, seed)
    model = setting.network(words, seed, scale.hidden // 2) if arm == "narrow" else teacher
    result = compress(model, *passes(arm, words, scale, seed, teacher))
    return {
        "cut": arm in PRUNED,
        "dev": words.measure(result),
        "test": words.score(result),
        "letters dev": letters.measure(result),
        "letters test": letters.score(result),
        "float dev": words.measure(model),
        "float test": words.score(model),
    }


def passes(arm: str, task: Task, scale: Scale, seed: int, teacher: nn.Module) -> list[Pass]:
    """The passes of an arm."""
    few = list(islice(task.batches(seed), BATCHES))
    in_float = scale.retrain_epochs // 3 if arm == "rested" else 0
    found: list[Pass] = []
    if arm in PRUNED:
        found.append(PruneUnits(RATIO, few[0].inputs[:1], Taylor(few, CTC())))
    if in_float:
        found.append(_retraining(task, scale, seed + 1000, in_float, teacher))
    found.append(_quantize(few))
    found.append(_retraining(task, scale, seed, scale.retrain_epochs - in_float, teacher))
    return found


def _quantize(batches: Any) -> Quantize:
    return Quantize({"head": "int8", "*": "ternary:row"}, "int8", calibration=batches)


def _retraining(task: Task, scale: Scale, seed: int, epochs: int, teacher: nn.Module) -> Finetune:
    objective = LogitKD(teacher, temperature=scale.temperature, weight=linear(1.0, 0.0), hard=CTC())
    return task.retraining(seed, epochs=epochs, lr=scale.retrain_lr, objective=objective)


def _timed(setting: Setting, scale: Scale, seed: int) -> dict[str, Any]:
    """Bytes, multiply-accumulates and times of both widths, in turns; weights and masks are random, and change none."""
    task = _task(setting, scale, words=True)
    model = task.new(seed)
    frames = next(iter(task.batches(seed))).inputs[:1]
    whole = pack(compress(model, _quantize([frames])), example=frames)
    pruned = pack(compress(model, PruneUnits(RATIO, frames, RandomMask(seed)), _quantize([frames])), example=frames)
    row: dict[str, Any] = {}
    calls: dict[str, tuple[Callable[[], object], int, float]] = {}
    for name, program in (("whole", whole), ("pruned", pruned)):
        found = cost(program)
        row[f"{name} macs"] = sum(op.macs for op in found.ops)
        row[f"{name} bytes"], row[f"{name} file"] = found.weight_bytes, found.file_bytes
        for many in scale.blocks:
            calls[f"{name} us {many}"] = (_call(program, many), 1, scale.seconds)
    return row | {name: timing.median_us for name, timing in measure_in_turns(calls).items()}


def _call(program: Program, outputs: int) -> Callable[[], object]:
    frames = np.random.default_rng(0).normal(size=(outputs * STRIDE, FEATURES.mels)).astype(np.float32)
    states = [program.init_state()]

    def step() -> None:
        _, states[0] = program.step(frames, states[0])

    return step


def _task(setting: Setting, scale: Scale, words: bool) -> Task:
    return an4_task(
        setting,
        words=words,
        size=scale.hidden,
        layers=scale.layers,
        epochs=scale.epochs,
        lr=scale.lr,
        retrain_epochs=scale.retrain_epochs,
        retrain_lr=scale.retrain_lr,
    )


def _table(rows: Rows) -> Table:
    cells = []
    for arm, told in ARMS.items():
        mine = of(rows, arm=arm)
        parts = ("float test", "dev", "test", "letters test")
        cells.append((told, *(spread([row[part] for row in mine], 1) for part in parts)))
    columns = ("ternary network", "its float network, words (%)", "dev, words (%)", "words (%)", "characters (%)")
    return Table("Errors of the best path, equal epochs of retraining", columns, tuple(cells))


def _time_table(times: Rows, scale: Scale) -> Table:
    told = {"macs": "multiply-accumulates", "bytes": "bytes of codes and steps", "file": "bytes of the file"}
    told |= {f"us {many}": f"µs of a call of {many} outputs" for many in scale.blocks}
    cells = []
    for what, name in told.items():
        left = [row[f"pruned {what}"] / row[f"whole {what}"] for row in times]
        ends = (spread([row[f"{which} {what}"] for row in times], 0) for which in ("whole", "pruned"))
        cells.append((name, *ends, spread(left, 3)))
    return Table("What half of the units leaves, in turns", ("", "full width", "pruned", "left"), tuple(cells))


def _first_upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _describe(scale: Scale) -> str:
    return (
        f"AN4, best path of CTC without a language model: a convolution and {scale.layers} SRU layers of "
        f"{scale.hidden} units, {scale.epochs} epochs in float and {scale.retrain_epochs} of retraining with the float "
        f"network of full width as the teacher (temperature {scale.temperature:g}, its part falls to nothing); ternary "
        f"weights with a step for each row, signals and the head of 8 bits. Units are chosen by Taylor on {BATCHES} "
        "training batches. Times: one thread, both networks in turns."
    )
