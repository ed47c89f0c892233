"""Study 16: gates that learn which attention heads to keep, in an all-attention language model of characters.

References:
    Shim, Choi, Sung, Choi 2021 (arXiv 2110.03252).
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fewbit.analysis import Table, grid
from fewbit.data import Characters, Windows, wikitext2
from fewbit.inference import inference_mode
from fewbit.models import AllAttentionLM
from fewbit.passes import Finetune, LearnHeads, PruneHeads, compress
from fewbit.plot import plot_arms
from fewbit.prune import Magnitude, RandomMask, head_counts, remove, structure_of
from fewbit.tasks import Task
from fewbit.train import CrossEntropy
from studies.evidence.paired_tests import by_seed, difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.named import bits_per_character

HEADS, LAYERS = 4, 4
PRICES = (0.03, 0.1, 0.3, 1.0)
"""Of a head, in nats: ``lambda``."""
SWITCHED = 0.3
"""The price at which the methods of training are switched off."""
OFF: dict[str, dict[str, Any]] = {
    "no warm-up": {"warmup": 0.0},
    "half closed": {"start": 0.0},
    "no scale": {"scaled": False},
    "none": {"start": 0.0, "warmup": 0.0, "scaled": False},
}
SHARE = 0.25
"""Of the heads, cut out where arms are compared at equal size."""
FROZEN = 0.3
"""Of the training with gates, at its end, with gates that are held, where a target is met."""
DRAWS = 5
RISE, TIMES = 3.0, 2.0
"""Bounds of the claim: percent of perplexity at a quarter of the heads, and how many times the peak is higher."""
BLOCK = 10
"""Updates whose mean loss is a point of the peak."""
PARTS, SEEN = 7, 2
"""Of the text, one for each seed; the first ones are left out, for a trial run on them set the epochs of this study."""
ARMS = {
    "dense": "dense, trained on as long",
    "learned": "learned by gates",
    "magnitude": "magnitude, cut at first",
    "magnitude late": "magnitude, cut when gates are",
    "random": "random heads, cut at first",
    "random late": "random heads, cut when gates are",
    **{f"price {price:g}": f"price {price:g}" for price in PRICES},
    "no warm-up": f"price {SWITCHED:g}, without warm-up",
    "half closed": f"price {SWITCHED:g}, half closed at the start",
    "no scale": f"price {SWITCHED:g}, without scale",
    "none": f"price {SWITCHED:g}, none of the three methods",
}
AT_EQUAL_SIZE = ("dense", "learned", "magnitude", "magnitude late", "random", "random late")
"""Cut at first, a network adapts for longer than one with gates; cut when gates are, for as long."""
DRAWN = ("random", "random late")


@dataclass(frozen=True)
class Scale:
    """Width and slots of the network, its span, and how it is trained: `epochs` of `updates`, then `gated` epochs with
    gates or without, and `adapted` ones on the cut network; characters of the held-out text.
    """

    width: int
    slots: int
    span: int
    updates: int
    epochs: int
    gated: int
    adapted: int
    held_out: int = 100_000
    batch: int = 16
    lr: float = 3e-3
    prune_lr: float = 1e-3
    gate_lr: float = 20.0
    timed: int = 192


SMALL = Scale(width=96, slots=128, span=64, updates=100, epochs=10, gated=6, adapted=4)
FULL = Scale(width=256, slots=512, span=128, updates=1000, epochs=20, gated=10, adapted=5)


def run(setting: Setting) -> Study:
    """Prune one network a seed by each arm, train all of them equally long, and compare."""
    scale = FULL if setting.full else SMALL
    configs = [
        *grid(seed=setting.seeds, arm=[arm for arm in ARMS if arm not in DRAWN], draw=(0,)),
        *grid(seed=setting.seeds, arm=DRAWN, draw=range(DRAWS)),
    ]
    rows = setting.sweep(partial(_trial, setting, scale), configs, "head-gates", "head gates").open()
    timed = setting.sweep(
        partial(_timed, scale), grid(seed=setting.seeds), "head-gates-times", "times of fewer heads"
    ).open()
    parts = judge(rows, timed)
    pictures = []
    for name, key, arms, title, what in (
        ("size", "test", AT_EQUAL_SIZE, f"{100 * SHARE:.0f} % of the heads gone", "test perplexity of a character"),
        ("prices", "open", [f"price {price:g}" for price in PRICES], "Heads left by their price", "heads"),
        ("peaks", "peak", [f"price {SWITCHED:g}", *OFF], "Largest training loss with gates", "perplexity"),
    ):
        path = setting.out / f"16-head-gates-{name}.png"
        plot_arms({ARMS[arm]: [row[key] for row in of(rows, arm=arm)] for arm in arms}, what, path, title, 2)
        pictures.append((path.name, f"{title}: {what} by arm."))
    return Study(
        number="16",
        name="head-gates",
        title="Attention heads chosen by learned gates",
        claim=(
            "Gates with a price learn a number of heads for each layer that falls with the price; at a quarter of the "
            "heads perplexity rises by less than 3 %, and less than with random heads; without the three methods of "
            "training the perplexity peaks at twice as much; and time falls with the heads."
        ),
        verdict=verdict(parts),
        findings=tuple(part.finding for part in parts),
        setting=_describe(scale),
        command=f"python -m studies 16{' --full' if setting.full else ''} --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_table(rows), _time_table(timed)),
        pictures=tuple(pictures),
        comparisons=comparisons_of(parts),
        rows={"head-gates": rows, "times": timed},
    )


def judge(rows: Rows, timed: Rows) -> list[Part]:
    """The parts of the claim: heads by price, a quarter of the heads, the peak, and times."""
    statements = []
    for low, high in pairwise(PRICES):
        more, less = ((ARMS[arm], of(rows, arm=arm)) for arm in (f"price {low:g}", f"price {high:g}"))
        says = f"A price of {high:g} leaves fewer heads than {low:g}"
        statements.append((says, difference(less, more, "open", unit="heads", digits=1)))
    tests = {arm: by_mean(of(rows, arm=arm), "test") for arm in AT_EQUAL_SIZE}
    learned, dense = tests["learned"], tests["dense"]
    rises = {seed: 100 * (learned[seed] / dense[seed] - 1) for seed in learned.keys() & dense.keys()}
    says = f"A quarter of the heads costs less than {RISE:g} % of the perplexity of the dense network"
    statements.append((says, by_seed(("the rise", rises), (f"{RISE:g} %", RISE), unit="%")))
    for base in AT_EQUAL_SIZE[2:]:
        says = f"Learned heads are better than {ARMS[base]}"
        pair = by_seed((ARMS["learned"], learned), (ARMS[base], tests[base]), unit="of perplexity", digits=3)
        statements.append((says, pair))
    peaks = {arm: by_mean(of(rows, arm=arm), "peak") for arm in (f"price {SWITCHED:g}", "none")}
    twice = {seed: TIMES * peak for seed, peak in peaks[f"price {SWITCHED:g}"].items()}
    says = f"Without the three methods the peak of perplexity is at least {TIMES:g} times as high"
    pair = by_seed((f"{TIMES:g} times the peak with them", twice), ("without", peaks["none"]), unit="of perplexity")
    statements.append((says, pair))
    for before, left in pairwise(range(HEADS, 0, -1)):
        shares = {row["seed"]: row[f"ms {left}"] / row[f"ms {before}"] for row in timed}
        says = f"{left} heads in each layer take less time than {before}"
        statements.append((says, by_seed((f"time of {left} over that of {before}", shares), ("1", 1.0), unit="")))
    return better(statements)


def by_mean(rows: Rows, key: str) -> dict[int, float]:
    """The mean of each seed over its draws."""
    seeds = {row["seed"] for row in rows}
    return {seed: mean(row[key] for row in rows if row["seed"] == seed) for seed in sorted(seeds)}


class LossLog:
    """Cross-entropy that remembers its values."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        loss = CrossEntropy()(model, batch, progress)
        self.losses.append(float(loss.detach()))
        return loss


def peak_of(losses: Sequence[float]) -> float:
    """The largest perplexity, of means of `BLOCK` losses that follow each other."""
    block = min(BLOCK, len(losses))
    return float(np.exp(np.convolve(losses, np.full(block, 1 / block), "valid").max()))


def pruned(setting: Setting, scale: Scale, seed: int, arm: str, draw: int) -> tuple[nn.Module, list[float]]:
    """The cut network of an arm before its last epochs, and the losses of all updates since the dense network."""
    example, log = torch.zeros(1, 2 * scale.span, dtype=torch.long), LossLog()
    chosen = RandomMask(DRAWS * seed + draw) if arm in DRAWN else Magnitude()
    cut = PruneHeads(SHARE, example, chosen)
    if arm == "dense" or arm.endswith("late"):
        model, losses = _dense(setting, scale, seed)
        return (model if arm == "dense" else compress(model, cut)), losses
    model, batches = setting.network(_task(setting, scale, seed), seed), _batches(setting, scale, seed)
    if arm in AT_EQUAL_SIZE and arm != "learned":
        return compress(model, cut, _plain(batches, log, scale, seed)), log.losses
    about = _about(scale, seed) | {"gate_lr": scale.gate_lr, "warmup": 1 / scale.gated, "min_heads": 0}
    if arm == "learned":
        about |= {"target": round((1 - SHARE) * HEADS * LAYERS), "frozen": FROZEN}
    else:
        about["penalty"] = SWITCHED if arm in OFF else float(arm.removeprefix("price "))
        about |= OFF.get(arm, {})
    return compress(model, LearnHeads(batches, log, scale.gated, example, **about)), log.losses


@cache
def _dense(setting: Setting, scale: Scale, seed: int) -> tuple[nn.Module, list[float]]:
    """The network of a seed trained on for as long as others are with gates; arms that cut later begin with it."""
    log = LossLog()
    model = setting.network(_task(setting, scale, seed), seed)
    return compress(model, _plain(_batches(setting, scale, seed), log, scale, seed)), log.losses


def _plain(batches: Iterable[Any], log: LossLog, scale: Scale, seed: int) -> Finetune:
    return Finetune(batches, log, scale.gated, schedule=lambda progress: 1.0, **_about(scale, seed))


def _about(scale: Scale, seed: int) -> dict[str, Any]:
    return {"lr": scale.prune_lr, "clip_norm": 0.5, "seed": seed, "progress": False}


def _task(setting: Setting, scale: Scale, seed: int) -> Task:
    return lm_task(_text(Path(setting.folder("wikitext2"))), scale, seed)


def _batches(setting: Setting, scale: Scale, seed: int) -> Iterable[Any]:
    """What a seed is trained on after its dense network; anew for each arm, so that all see the same."""
    return _task(setting, scale, seed).batches(1000 + seed)


def lm_task(text: Characters, scale: Scale, seed: int) -> Task:
    """The language model of a seed, on its part of the text."""
    train, dev, test = (_part(stream, seed) for stream in (text.train, text.dev, text.test))
    measures = (partial(_perplexity, stream[: scale.held_out]) for stream in (dev, test))
    return Task(
        name=f"all-attention-{scale.updates}-{scale.slots}",
        build=lambda size: AllAttentionLM(
            len(text.symbols), int(size), HEADS, LAYERS, span=scale.span, slots=scale.slots
        ),
        batches=lambda seed: Windows(train, scale.batch, scale.span, scale.updates, seed),
        evaluate=next(measures),
        test=next(measures),
        metric="perplexity of a character",
        size=scale.width,
        epochs=scale.epochs,
        lr=scale.lr,
    )


def _part(stream: Tensor, seed: int) -> Tensor:
    many = len(stream) // PARTS
    return stream[(SEEN + seed % (PARTS - SEEN)) * many :][:many]


def _perplexity(stream: Tensor, model: nn.Module) -> float:
    return float(2 ** bits_per_character(stream, model))


_text = cache(wikitext2)


def _trial(setting: Setting, scale: Scale, seed: int, arm: str, draw: int) -> dict[str, Any]:
    task = _task(setting, scale, seed)
    small, losses = pruned(setting, scale, seed, arm, draw)
    batches = task.batches(2000 + seed)
    small = compress(small, Finetune(batches, CrossEntropy(), scale.adapted, **_about(scale, seed)))
    heads = list(head_counts(small).values())
    row = {"heads": heads, "open": sum(heads), "peak": peak_of(losses)}
    row |= {"weights": sum(parameter.numel() for parameter in small.parameters())}
    return row | {"dev": task.measure(small), "test": task.score(small)}


def _timed(scale: Scale, seed: int, rounds: int = 7) -> dict[str, Any]:
    """Milliseconds of networks with fewer heads in each layer, in turns: the median of each."""
    torch.manual_seed(seed)
    x = torch.randint(0, 96, (1, scale.timed))
    networks: dict[int, nn.Module] = {}
    for many in range(HEADS, 0, -1):
        whole = AllAttentionLM(96, scale.width, HEADS, LAYERS, span=scale.span, slots=scale.slots)
        names = [each.name for each in structure_of(whole, x).elements if each.kind == "heads"]
        networks[many] = remove(whole, {name: torch.arange(HEADS) < many for name in names}, x)
    taken: dict[int, list[float]] = {many: [] for many in networks}
    for turn in range(rounds + 1):
        for many, model in networks.items():
            with inference_mode(model):
                begin = time.perf_counter()
                for _ in range(5):
                    model(x)
            if turn:  # the first one warms up
                taken[many].append(200 * (time.perf_counter() - begin))
    return {f"ms {many}": median(values) for many, values in taken.items()} | {
        f"weights {many}": sum(parameter.numel() for parameter in model.parameters())
        for many, model in networks.items()
    }


def _table(rows: Rows) -> Table:
    cells: list[tuple[str | int, ...]] = []
    for arm, told in ARMS.items():
        mine = of(rows, arm=arm)
        left = [spread([row["heads"][layer] for row in mine], 1) for layer in range(LAYERS)]
        figures = [spread(list(by_mean(mine, key).values()), 2) for key in ("peak", "dev", "test")]
        cells.append((told, spread([row["open"] for row in mine], 1), ", ".join(left), *figures))
    columns = ("arm", "heads", "in each layer", "peak in training", "dev perplexity", "test perplexity")
    return Table("Heads and perplexity of a character, all arms after equal updates", columns, tuple(cells))


def _time_table(timed: Rows) -> Table:
    cells = [
        (many, int(timed[0][f"weights {many}"]), spread([row[f"ms {many}"] / row[f"ms {HEADS}"] for row in timed], 2))
        for many in range(HEADS, 0, -1)
    ]
    columns = ("heads in each layer", "weights", "time over that of all heads")
    return Table("Time of a call by heads, in torch", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    return (
        f"WikiText-2, characters, a seventh of each part of its own for each seed; all-attention of {LAYERS} layers of "
        f"{HEADS} heads, width {scale.width}, {scale.slots} slots, span {scale.span}: {scale.epochs} epochs of "
        f"{scale.updates} batches of {scale.batch} x {scale.span} characters; then {scale.gated} epochs at a constant "
        f"rate of {scale.prune_lr:g}, with gates, whose rate is {scale.gate_lr:g} times as large, or without for arms "
        f"that prune by other means; then {scale.adapted} epochs on the cut network. Perplexity on "
        f"{scale.held_out:,} characters. The peak is the largest mean of {BLOCK} training losses before the last "
        f"epochs. Times: {scale.timed} characters at once, medians of 7 in turns, untrained networks."
    )
