"""Study 26: the particle filter against other ways to choose feature maps, of the same trained network.

References:
    Anwar, Hwang, Sung 2015 (arXiv 1512.08571).
"""

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

from fewbit.analysis import Table, grid
from fewbit.passes import PruneChannels, compress
from fewbit.plot import plot_arms
from fewbit.prune import BestOfN, ClassificationScore, Importance, Magnitude, ParticleFilter, RandomMask, Taylor
from fewbit.tasks import Task
from studies.evidence.paired_tests import compare, difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.peer_pruning import PEERS, PeerImportance
from studies.tasks.recorded_search import RecordedSearch
from studies.tasks.staged_pictures import SEARCHED, channels_last, digit_task, mask_scores, retraining

ARMS = {
    "random": "one random mask",
    "magnitude": "magnitude",
    "taylor": "Taylor",
    "best of N": "best of random masks",
    "particles": "particle filter",
    **{name: f"Torch-Pruning, {told}" for name, told in PEERS.items()},
}
SEARCHES = ("best of N", "particles")
PAIRS = (("particles", "best of N"), ("particles", "magnitude"), ("best of N", "magnitude"))
"""The claim: the first loses less than the second."""
EXTRA = "torch_pruning"
"""The library whose importances stand beside ours where it is installed."""
RATIOS = (0.5, 0.7)
"""Shares of the maps of every convolution."""


@dataclass(frozen=True)
class Scale:
    """Training pictures of a seed, maps of the first stage, epochs, and particles and rounds of a search."""

    pictures: int
    maps: int
    epochs: int
    retrain: int
    particles: int
    rounds: int
    lr: float = 1e-2
    retrain_lr: float = 5e-3

    @property
    def tries(self) -> int:
        """Masks that each search judges."""
        return self.particles * self.rounds


SMALL = Scale(pictures=2000, maps=12, epochs=10, retrain=4, particles=50, rounds=10)
FULL = Scale(pictures=10_000, maps=64, epochs=60, retrain=20, particles=50, rounds=40)


def run(setting: Setting) -> Study:
    """Prune one network a seed by each measure, retrain, and compare the errors before and after."""
    scale = FULL if setting.full else SMALL
    arms = [arm for arm in ARMS if arm not in PEERS or find_spec(EXTRA)]
    configs = [
        *grid(seed=setting.seeds, ratio=(0.0,), arm=("dense",)),
        *grid(seed=setting.seeds, ratio=RATIOS, arm=arms),
    ]
    rows = setting.sweep(partial(_trial, setting, scale), configs, "mask-search", "mask search").open()
    parts = judge(rows)
    tables, pictures = [], []
    for ratio in RATIOS:
        for when, key in (("before", "test before"), ("after", "test")):
            path = setting.out / f"26-mask-search-{100 * ratio:.0f}-{when}.png"
            measured = {told: [row[key] for row in of(rows, arm=arm, ratio=ratio)] for arm, told in ARMS.items()}
            title = f"{100 * ratio:.0f} % of the maps gone, {when} retraining"
            plot_arms({told: found for told, found in measured.items() if found}, "test error (%)", path, title, 2)
            pictures.append((path.name, f"Test error by how maps were chosen: {title}."))
        tables.append(_table(ratio, rows))
    beside = [
        one
        for ratio in RATIOS
        for one in compare(of(rows, ratio=ratio), beside_claim(rows), "test", names_at(ratio), digits=2)
    ]
    missing = () if find_spec(EXTRA) else ("Torch-Pruning is not installed, so its importances are not measured.",)
    return Study(
        number="26",
        name="mask-search",
        title="Particle filter over masks of feature maps",
        claim=(
            "At equal numbers of evaluations the particle filter finds masks that lose less than the best of random "
            "ones, and both less than magnitude."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *(f"{one.sentence}." for one in beside), *missing),
        setting=_describe(scale),
        command=f"python -m studies 26{' --full' if setting.full else ''} --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=tuple(tables),
        pictures=tuple(pictures),
        comparisons=(*comparisons_of(parts), *beside),
        rows={"mask-search": rows},
    )


def judge(rows: Rows) -> list[Part]:
    """The parts of the claim at each ratio, before retraining, where a mask is all that differs, and after it."""
    statements = []
    for when, key in (("before", "test before"), ("after", "test")):
        for ratio in RATIOS:
            for arm, base in PAIRS:
                mine, theirs = ((ARMS[name], of(rows, arm=name, ratio=ratio)) for name in (arm, base))
                says = f"{ARMS[arm]} against {ARMS[base]}, {100 * ratio:.0f} % of the maps, {when} retraining"
                statements.append((says.capitalize(), difference(mine, theirs, key)))
    return better(statements)


def beside_claim(rows: Rows) -> list[tuple[str, str]]:
    """The particle filter against all that the claim does not name, as far as it was measured."""
    named = {"particles", *(base for _, base in PAIRS)}
    return [("particles", arm) for arm in ARMS if arm not in named and of(rows, arm=arm)]


def names_at(ratio: float) -> dict[str, str]:
    """The arms for people, with the share that was pruned."""
    return {arm: f"{told}, {100 * ratio:.0f} % gone" for arm, told in ARMS.items()}


def importance_of(arm: str, scale: Scale, task: Task, score: ClassificationScore, seed: int) -> Importance:
    """What chooses the maps in an arm; both searches judge as many masks by the same score."""
    chosen: dict[str, Importance] = {
        "random": RandomMask(seed),
        "magnitude": Magnitude(),
        "taylor": Taylor(score.batches, task.objective),
        "best of N": BestOfN(score, scale.tries, seed),
        "particles": ParticleFilter(score, scale.particles, scale.rounds, seed=seed),
    }
    return chosen[arm] if arm in chosen else PeerImportance(arm, score.batches, task.objective)


def _trial(setting: Setting, scale: Scale, seed: int, ratio: float, arm: str) -> dict[str, Any]:
    settings: dict[str, Any] = {"epochs": scale.epochs, "lr": scale.lr, "retrain_lr": scale.retrain_lr}
    task, images = digit_task(setting, scale.pictures, seed, size=scale.maps, **settings)
    score, _ = mask_scores(images)
    model = setting.network(task, seed)
    search: RecordedSearch | None = None
    if arm != "dense":
        importance = importance_of(arm, scale, task, score, seed)
        if isinstance(importance, BestOfN | ParticleFilter):
            importance = search = RecordedSearch(importance)
        model = compress(model, PruneChannels(ratio, images.dev[0][:1], importance), channels_last)
    row: dict[str, Any] = {"score before": 100 * score(model).error}
    row |= {"dev before": task.measure(model), "test before": task.score(model)}
    result = compress(model, retraining(task, seed, scale.retrain))
    row |= {"dev": task.measure(result), "test": task.score(result)}
    return row | {"searches": search.summary() if search else []}


def _table(ratio: float, rows: Rows) -> Table:
    cells: list[tuple[str | int, ...]] = []
    for arm, told in {"dense": "dense, trained on as long", **ARMS}.items():
        mine = of(rows, arm=arm, ratio=0.0 if arm == "dense" else ratio)
        if mine:
            masks = mine[0]["searches"][0]["masks"] if mine[0]["searches"] else 0
            keys = ("score before", "test before", "dev", "test")
            cells.append((told, masks, *(spread([row[key] for row in mine], 2) for key in keys)))
    columns = (
        "maps chosen by",
        "masks judged",
        "error (%) where masks are judged",
        "test error (%) before retraining",
        "dev error (%)",
        "test error (%)",
    )
    return Table(f"{100 * ratio:.0f} % of the maps of each convolution pruned", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    return (
        f"MNIST, {scale.pictures:,} training pictures of its own for each seed; five convolutions 3 x 3 in three "
        f"stages with max pooling, of {scale.maps}, {scale.maps} and {2 * scale.maps} maps, with batch norm: "
        f"{scale.epochs} epochs, then {scale.retrain} epochs of retraining after pruning. All arms prune the same "
        f"network of the seed. Searches, Taylor and the gradients of Torch-Pruning see {SEARCHED} development "
        f"pictures; a search judges {scale.tries} masks over all layers at once."
    )
