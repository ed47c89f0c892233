"""Study 28: ternary weights with at most k non-zeros in eight, directly, in stages and with equal row sizes.

References:
    Boo, Sung 2017 (arXiv 1707.03684).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from fewbit.analysis import Table, grid
from fewbit.lower import pack
from fewbit.models import CharLM
from fewbit.passes import Pass, Quantize, compress, gradual
from fewbit.plot import plot_arms
from fewbit.program import cost
from fewbit.quant import weight_names
from fewbit.tasks import Task
from studies.evidence.paired_tests import Comparison, Difference, by_seed, difference, tested
from studies.evidence.rows import Rows, arm_of, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, as_good, better, comparisons_of, verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task

ARMS = {
    "ternary": "ternary",
    "sparse8,8": "8 of 8: ternary, the step fitted anew",
    "sparse8,4": "4 of 8",
    "sparse8,3": "3 of 8",
    "sparse8,2": "2 of 8",
    "sparse8,1": "1 of 8",
    "sparse8,2+norm": "2 of 8, equal row sizes",
    "gradual": "2 of 8, in stages",
}
"""Specs of the arms (and one that is made in stages), and what they are called."""
STAGES = ("sparse8,8", "sparse8,6", "sparse8,4", "sparse8,3", "sparse8,2")
FAMILIES = {"perceptron": ("test error (%)", "points", 2), "lstm": ("test, bits per character", "bits", 3)}
"""Networks, and of each the measure, the unit of differences and the digits shown."""
MARGINS = {"perceptron": 1.0, "lstm": 3.0}
"""By how much 2 of 8 may be worse than ternary: points of test error; % of the bits per character."""


@dataclass(frozen=True)
class Scale:
    """Networks, data, epochs and rates of a run; `pictures` 0 stands for all, an epoch of text has `updates`."""

    pictures: int
    layers: int
    width: int
    epochs: int
    retrain_epochs: int
    hidden: int
    updates: int
    text_epochs: int
    text_retrain_epochs: int
    lrs: tuple[float, ...] = (3e-3, 1e-2)
    text_lrs: tuple[float, ...] = (3e-3, 1e-2)


SMALL = Scale(
    pictures=2000,
    layers=4,
    width=64,
    epochs=20,
    retrain_epochs=20,
    hidden=32,
    updates=25,
    text_epochs=14,
    text_retrain_epochs=8,
)
FULL = Scale(
    pictures=0,
    layers=4,
    width=1024,
    epochs=60,
    retrain_epochs=60,
    hidden=512,
    updates=150,
    text_epochs=60,
    text_retrain_epochs=40,
)


def run(setting: Setting) -> Study:
    """Retrain all arms of a seed from one float network at the rate best for each arm, pack and compare them."""
    scale = FULL if setting.full else SMALL
    measured, tables, pictures = {}, [], []
    for network, (measure, _, digits) in FAMILIES.items():
        rows = measured[network] = _measured(setting, scale, network)
        tables += [_table(network, rows), _layers(network, rows)]
        path = setting.out / f"28-sparse-ternary-{network}.png"
        values = {name: [row["test"] for row in of(rows, arm=arm)] for arm, name in ARMS.items()}
        plot_arms(values, measure, path, f"Ternary {network}: non-zeros in eight weights", digits)
        pictures.append((path.name, f"A ternary {network} by the non-zeros in eight weights, at equal epochs."))
    parts, beside = judge(measured), compare_steps(measured)
    return Study(
        number="28",
        name="sparse-ternary",
        title="Sparse ternary codes",
        claim=(
            "At most two non-zeros in eight weights, 1 bit a weight and half of plain codes of 2 bits, cost little "
            "beside plain ternary weights; tightening in stages and equal row sizes help."
        ),
        verdict=verdict(parts),
        findings=(
            *(part.finding for part in parts),
            *(f"{one.sentence}." for one in beside),
            *(tell_bytes(name, rows) for name, rows in measured.items()),
        ),
        setting=_describe(scale),
        command=f"python -m studies 28 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=tuple(tables),
        pictures=tuple(pictures),
        comparisons=(*comparisons_of(parts), *beside),
        rows=measured,
    )


def judge(measured: Mapping[str, Rows]) -> list[Part]:
    """The parts of the claim for both networks: 2 of 8 is as good as ternary within the margin; stages and equal row
    sizes are better than without. Both margins are tested together, and so is all that may be better.
    """
    near: list[tuple[str, Difference]] = []
    gaps = []
    for network, rows in measured.items():
        near.append((f"{ARMS['sparse8,2']} is as good as ternary ({network})", _beside_ternary(network, rows)))
        _, unit, digits = FAMILIES[network]
        for arm in ("gradual", "sparse8,2+norm"):
            gap = difference(arm_of(rows, ARMS, arm), arm_of(rows, ARMS, "sparse8,2"), unit=unit, digits=digits)
            gaps.append((f"{ARMS[arm]}, is better than 2 of 8 alone ({network})", gap))
    return [*as_good(near, [MARGINS[network] for network in measured]), *better(gaps)]


def compare_steps(measured: Mapping[str, Rows]) -> list[Comparison]:
    """What a step that follows the weights does by itself, and what the limit of 2 of 8 then costs."""
    gaps = []
    for network, rows in measured.items():
        _, unit, digits = FAMILIES[network]
        for arm, base in (("sparse8,8", "ternary"), ("sparse8,2", "sparse8,8")):
            told, found = arm_of(rows, ARMS, arm)
            gap = difference((f"{network}, {told}", found), arm_of(rows, ARMS, base), unit=unit, digits=digits)
            gaps.append(gap)
    return tested(gaps)


def tell_bytes(network: str, rows: Rows) -> str:
    """Bytes of 2 of 8 beside plain ternary, in the file and in codes of 2 bits."""
    sparse, plain = (of(rows, arm=arm)[0] for arm in ("sparse8,2", "ternary"))
    return (
        f"Bytes of the {network}: the codes of the sparse layers take {sparse['codes']:,} with 2 of 8, "
        f"{plain['codes']:,} with ternary codes as the file has them, five in a byte, and "
        f"{-(-plain['weights'] // 4):,} with 2 bits each; the whole files {sparse['file']:,} and {plain['file']:,}."
    )


def _beside_ternary(network: str, rows: Rows) -> Difference:
    """2 of 8 against ternary, in the unit of the margin."""
    arm, base = arm_of(rows, ARMS, "sparse8,2"), arm_of(rows, ARMS, "ternary")
    if network == "perceptron":
        return difference(arm, base)
    theirs = {row["seed"]: row["test"] for row in base[1]}
    share = {row["seed"]: 100 * row["test"] / theirs[row["seed"]] for row in arm[1] if row["seed"] in theirs}
    return by_seed((arm[0], share), (base[0], 100.0), unit="%")


def _measured(setting: Setting, scale: Scale, network: str) -> Rows:
    """All arms and seeds of a network at the rate that is best on development data for the arm, by the first seed."""
    trial = partial(_trial, setting, scale)
    rates = scale.lrs if network == "perceptron" else scale.text_lrs
    file = f"sparse-ternary-{network}"
    first = grid(network=(network,), seed=setting.seeds[:1], arm=ARMS, lr=rates)
    tried = setting.sweep(trial, first, file, f"sparse ternary, {network}, rates")
    best = {arm: tried.choose("lr", arm=arm) for arm in ARMS}
    cells = grid(network=(network,), seed=setting.seeds, arm=ARMS)
    chosen = [cell | {"lr": best[cell["arm"]]} for cell in cells]
    return setting.sweep(trial, chosen, file, f"sparse ternary, {network}").open()


def _trial(setting: Setting, scale: Scale, network: str, seed: int, arm: str, lr: float) -> dict[str, Any]:
    task = _task(setting, scale, network, seed)
    model = setting.network(task, seed)
    names = weight_names(model)
    fixed = {names[-1]: "int8"} | ({names[0]: "ternary"} if network == "lstm" else {})
    result = compress(model, *_passes(arm, fixed, task, seed, lr))
    return {"dev": task.measure(result), "test": task.score(result)} | _packed(result, task, seed, list(fixed))


def _passes(arm: str, fixed: Mapping[str, str], task: Task, seed: int, lr: float) -> list[Pass]:
    """The passes of an arm; `fixed` has the specs of layers that are the same in all arms."""
    retrain = task.retraining(seed, lr=lr)
    if arm == "gradual":
        return [Quantize(dict(fixed)), *gradual(STAGES, retrain, keep=list(fixed))]
    return [Quantize({**fixed, "*": arm}), retrain]


def _packed(model: nn.Module, task: Task, seed: int, fixed: Sequence[str]) -> dict[str, Any]:
    """Bytes of the packed network: of its file, of the codes of all weights but those of `fixed`, and by layer."""
    batches = task.batches(seed)
    signals = compress(model, Quantize(activations="int8", calibration=batches))
    program = pack(signals, example=batches)
    matrices = [matrix for op in program.graph.ops for matrix in op.matrices()]
    found = dict(zip(weight_names(model), matrices, strict=True))
    coded = [matrix for name, matrix in found.items() if name not in fixed]
    counted = cost(program)
    layers = [
        {
            "layer": op.name,
            "formats": one.format,
            "weights": one.weights,
            "codes": sum(matrix.data.nbytes for matrix in op.matrices()),
            "with steps": one.bytes,
        }
        for op, one in zip(program.graph.ops, counted.ops, strict=True)
        if one.weights
    ]
    return {
        "weights": sum(matrix.rows * matrix.columns for matrix in coded),
        "codes": sum(matrix.data.nbytes for matrix in coded),
        "all weights": counted.weight_bytes,
        "file": counted.file_bytes,
        "layers": layers,
    }


def _task(setting: Setting, scale: Scale, network: str, seed: int) -> Task:
    if network == "lstm":
        about = {"size": scale.hidden, "epochs": scale.text_epochs, "retrain_epochs": scale.text_retrain_epochs}
        task = named_task("lstm", setting, updates=scale.updates, **about)
        unpacked: Any = task.build(1)
        classes = len(unpacked.head.bias)  # the same network without an embedding, so that it can be packed
        return replace(task, name=f"{task.name}, one-hot", build=partial(_one_hot, classes))
    settings: dict[str, Any] = {
        "layers": scale.layers,
        "size": scale.width,
        "epochs": scale.epochs,
        "retrain_epochs": scale.retrain_epochs,
    }
    if scale.pictures:
        return few_images_task(setting, scale.pictures, seed, 64, **settings)
    return named_task("perceptron", setting, **settings)


def _one_hot(classes: int, size: int) -> nn.Module:
    return CharLM(classes, size, 2, one_hot=True)


def _table(network: str, rows: Rows) -> Table:
    measure, _, digits = FAMILIES[network]
    cells = []
    for arm, name in ARMS.items():
        mine = of(rows, arm=arm)
        one = mine[0]
        figures = (spread([row[part] for row in mine], digits) for part in ("dev", "test"))
        bits = f"{8 * one['codes'] / one['weights']:.3f}"
        cells.append((name, bits, f"{one['lr']:g}", *figures, one["codes"], one["all weights"], one["file"]))
    columns = ("weights", "bits a weight", "rate", measure.replace("test", "dev"), measure)
    sizes = ("codes of sparse layers (bytes)", "all weights, steps and biases (bytes)", "file (bytes)")
    return Table(f"{network}, all arms at equal epochs", (*columns, *sizes), tuple(cells))


def _layers(network: str, rows: Rows) -> Table:
    """Bytes by layer; those of all seeds are equal, because every group takes the same space."""
    cells: list[tuple[str | int, ...]] = []
    for arm in ("ternary", "sparse8,2", "sparse8,2+norm"):
        for layer in of(rows, arm=arm)[0]["layers"]:
            about = (layer["layer"], layer["formats"], layer["weights"], layer["codes"], layer["with steps"])
            cells.append((ARMS[arm], *about))
    columns = ("weights", "layer", "formats", "number", "codes (bytes)", "with steps and biases (bytes)")
    return Table(f"{network}, bytes by layer", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    data = f"{scale.pictures:,} training pictures of MNIST of its own for each seed" if scale.pictures else "MNIST"
    rates, text_rates = (", ".join(f"{lr:g}" for lr in lrs) for lrs in (scale.lrs, scale.text_lrs))
    return (
        f"{data}, perceptron of {scale.layers} hidden layers of {scale.width} units, {scale.epochs} epochs in float "
        f"and {scale.retrain_epochs} of retraining. WikiText-2 characters, one text for all seeds, LSTM of 2 layers of "
        f"{scale.hidden} units, {scale.text_epochs} epochs of {scale.updates} updates in float and "
        f"{scale.text_retrain_epochs} of retraining. The last layer has int8 weights and the input matrix of the LSTM, "
        "which reads one-hot characters, ternary ones in all arms; all others have the codes of the arm and signals "
        "stay float. The step of ternary weights stays as fitted, steps of sparse codes are fitted anew after each "
        "epoch. The arm 8 of 8 and its comparisons are no part of the claim: it was added after a first run, because "
        "these two rules for the step differ. "
        f"Stages: {', '.join(STAGES)}, half of the epochs for the last. Each arm has the rate that is best for "
        f"it on development data with the first seed, of {rates} (perceptron) and {text_rates} (LSTM). As good means: "
        f"not worse by {MARGINS['perceptron']:g} point of test error or {MARGINS['lstm']:g} % of the bits per "
        "character of ternary, set before the runs."
    )
