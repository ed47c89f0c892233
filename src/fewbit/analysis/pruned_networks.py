"""Error against multiply-accumulates, bytes and time: every granularity of pruning with every number of bits.

    float network  ->  prune  ->  retrain  ->  quantize  ->  retrain  ->  pack

Networks that are not pruned get the same trainings, so that a difference is not one of epochs. Trainings may run
anywhere; times are taken here at the end, and all packed networks take turns.

References:
    Anwar, Sung 2016 (arXiv 1610.09639) for feature maps and kernels at equal error; Anwar, Hwang, Sung 2015 (arXiv
    1512.08571) for fixed-point weights after pruning. The fronts are ours.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree
from tqdm.auto import tqdm

from fewbit.analysis.float_store import kept_network, store_beside
from fewbit.analysis.pruning_report import DENSE, FLOAT, PASSES, PrunedNetwork, Pruning, pruning_recipe
from fewbit.analysis.trials import FAILED, Config, Executor, Row, sweep
from fewbit.batches import call_of
from fewbit.errors import ArgumentError, FewbitError, PruningError, SelectionError, TargetError
from fewbit.lower import pack
from fewbit.passes import compress
from fewbit.program import Program, cost, load
from fewbit.program.native_run import Native
from fewbit.prune.elements import check_ratio
from fewbit.quant import activation_quantizer, weight_quantizer
from fewbit.speed.timing import measure_in_turns
from fewbit.tasks import Task
from fewbit.tasks.steps import user_code

RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
ROUNDS = 5
"""In each, all packed networks take turns; a gain is the median over rounds, so that a busy second spoils one only."""
Key = tuple[str, float, str, int]


def pruning(
    task: Task,
    ratios: Sequence[float] = RATIOS,
    specs: Sequence[str] = ("ternary", "int4", "int8"),
    by: Sequence[str] = tuple(PASSES),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    activations: str = "int8",
    seconds: float = 0.1,
    network: Callable[[Task, int], nn.Module] | None = None,
    executor: Executor | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> Pruning:
    """Prune a network by each granularity to each ratio, quantize it to each format, and measure what is left.

    Masks follow the size of the weights. Both retrainings have the epochs and the learning rate of the task, for
    networks that are not pruned, too. Errors are those of ``task.measure``, development data; ``task.test`` is not
    looked at.

    Args:
        task: the network, its data and its measure.
        ratios: shares to prune, from 0 to below 1; the dense network (0) is always measured.
        specs: formats of weights, such as ``ternary`` or ``int4``.
        by: of ``channels``, ``units``, ``heads`` and ``kernels``; what the network has not is left out, with the
            reason.
        seeds: of networks, batches and trainings.
        activations: format of the signals; ``float`` leaves them, and packing gives them 16 bits.
        seconds: for which each packed network is timed at least, one thread and one example in a call. Times are
            measured anew in each run, as times of two runs cannot be compared.
        network: (task, seed) -> trained float network, if you store them.
        executor, out, progress: as in `sweep`; `out` keeps the packed networks as well.

    Raises:
        ArgumentError: a ratio, a granularity or a list of them is wrong.
        FormatError: a spec is not one for weights, or `activations` not one for signals.
        PruningError: the network has none of the granularities.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.tasks import Task
        >>> x = torch.rand(64, 4)
        >>> labels = (x.sum(1) > 2).long()
        >>> def build(size):
        ...     return nn.Sequential(nn.Linear(4, size), nn.ReLU(), nn.Linear(size, 2))
        >>> def errors(model):
        ...     return 100 * float((model(x).argmax(-1) != labels).float().mean())
        >>> lengths = {"epochs": 2, "retrain_epochs": 1}
        >>> task = Task("toy", build, lambda seed: [(x, labels)], errors, size=8, **lengths)
        >>> report = pruning(task, (0.5,), ("ternary",), seeds=(0,), seconds=0.01, progress=False)
        >>> [(row.granularity, row.macs) for row in report.rows]
        [('dense', 48.0), ('channels', 24.0)]
        >>> report.left_out[0]
        'units: Sequential has no units to prune (2: it is a result of the network)'
    """
    wanted = _checked(task, ratios, specs, by, seeds, activations)
    found, left_out = _granularities(task, wanted, by)
    about = {
        "task_name": task.name,
        "schedule": f"{task.epochs} x {task.lr:g}, {task.retrain_epochs} x {task.retrain_lr!r}",
        "activations": activations,
    }
    points = [(DENSE, 0.0), *((name, ratio) for name in found for ratio in wanted)]
    rows: list[Row] = []
    with store_beside(out) as folder:
        trial = partial(_trial, task, network or partial(kept_network, folder))
        for group, formats in (([(DENSE, 0.0)], (FLOAT,)), (points, specs)):  # first the networks to start from
            configs: list[Config] = [
                about | {"granularity": name, "ratio": ratio, "spec": spec, "seed": seed}
                for name, ratio in group
                for spec in formats
                for seed in seeds
            ]
            title = f"{task.name}, {', '.join(formats)}"
            rows += sweep(trial, configs, out=out, executor=executor, progress=progress, title=title)
    failed = [f"{_told(_key(row))}: {row[FAILED]}" for row in rows if FAILED in row]
    whole = [row for row in rows if FAILED not in row]
    baseline = tuple(row["error"] for row in whole if row["spec"] == FLOAT)
    names = ("granularity", "ratio", "spec", "seed", "error", "macs", "bytes")
    coded = [row for row in whole if row["spec"] != FLOAT]
    networks = [PrunedNetwork(**{name: row[name] for name in names}) for row in coded]
    times, untimed = _times(task, {_key(row): row["packed"] for row in coded}, seconds, progress)
    return Pruning(
        task.name,
        task.metric,
        tuple(_timed(network, times) for network in networks),
        tuple(seeds),
        baseline,
        activations,
        task.retrain_epochs,
        task.retrain_lr,
        tuple(left_out),
        (*failed, *untimed),
    )


def _checked(
    task: Task, ratios: Sequence[float], specs: Sequence[str], by: Sequence[str], seeds: Sequence[int], signals: str
) -> list[float]:
    """The ratios above 0, once nothing is wrong."""
    for name, values in (("ratios", ratios), ("specs", specs), ("granularities", by), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise ArgumentError(f"{task.name}: {name} {list(values)}: wanted one at least, and none of them twice")
    for ratio in ratios:
        check_ratio(ratio)
    for name in by:
        if name not in PASSES:
            raise ArgumentError(f"{task.name}: no granularity is called {name!r}; there are {', '.join(PASSES)}")
    for spec in specs:
        weight_quantizer(spec)
    if signals != FLOAT:
        activation_quantizer(signals)
    return [float(ratio) for ratio in ratios if ratio > 0]


def _granularities(task: Task, ratios: Sequence[float], by: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those that can be pruned in the network, and the others with the reason."""
    found, left_out = [], []
    model = task.new(0) if task.network is None else task.trained(0)
    for name in by if ratios else ():
        step = pruning_recipe(name, min(ratios), FLOAT, activations=FLOAT, epochs=0, lr=1.0)
        prune, *_ = step.passes(batches=task.batches(0), objective=task.objective, progress=False)
        try:
            compress(model, prune)
            found.append(name)
        except (PruningError, SelectionError) as error:
            left_out.append(f"{name}: {error}")
    if ratios and not found:
        raise PruningError(f"{task.name}: nothing can be pruned: {'; '.join(left_out)}")
    return found, left_out


def _trial(
    task: Task,
    network: Callable[[Task, int], nn.Module],
    granularity: str,
    ratio: float,
    spec: str,
    seed: int,
    activations: str,
    **_: Any,
) -> dict[str, Any]:
    """What ``fewbit compress`` with the recipe of the point, and ``fewbit pack``, do with the float network."""
    start = network(task, seed).eval()
    recipe = pruning_recipe(
        granularity, ratio, spec, activations=activations, epochs=task.retrain_epochs, lr=task.retrain_lr
    )
    steps = recipe.passes(
        batches=task.batches(seed), objective=task.retrain_objective or task.objective, seed=seed, progress=False
    )
    with user_code(task, "compression"):
        model = compress(start, *steps)
        error = task.measure(model)
    if spec == FLOAT:
        return {"error": error}
    program = pack(model, **(dict(task.packing) or {"example": task.batches(0)}))
    counted = cost(program)
    packed = b64encode(program.to_bytes()).decode()
    return {"error": error, "macs": counted.macs, "bytes": counted.weight_bytes, "packed": packed}


def _times(
    task: Task, packed: Mapping[Key, str], seconds: float, progress: bool
) -> tuple[dict[Key, list[float]], list[str]]:
    """Microseconds of a call of each network in each round, all in turns, and why networks were not timed."""
    calls: dict[str, tuple[Callable[[], object], int, float]] = {}
    keys = list(packed)
    lost: dict[str, list[str]] = {}
    inputs = _one_example(task)
    with TemporaryDirectory() as folder:
        for place, key in enumerate(keys):
            file = Path(folder, f"{place}.fewbit")
            file.write_bytes(b64decode(packed[key]))
            try:
                calls[str(place)] = (_native_call(load(file), inputs), 1, seconds / ROUNDS)
            except FewbitError as error:
                lost.setdefault(str(error), []).append(_told(key))
    times: dict[Key, list[float]] = {keys[int(name)]: [] for name in calls}
    for _ in tqdm(range(ROUNDS), desc=f"{task.name}, times", unit="round", disable=not progress):
        for name, timing in measure_in_turns(calls).items():
            times[keys[int(name)]].append(timing.median_us)
    return times, [f"time of {told[0]} ({len(told)} networks): {reason}" for reason, told in lost.items()]


def _one_example(task: Task) -> list[Any]:
    """The inputs of the network for one example, without the batch axis."""
    model = task.new(0) if task.network is None else task.trained(0)
    call = call_of(model, next(iter(task.batches(0))))
    return [leaf[0].numpy(force=True) for leaf in _pytree.tree_leaves(call) if isinstance(leaf, Tensor)]


def _native_call(program: Program, inputs: Sequence[Any]) -> Callable[[], object]:
    """A call of the Program, tried once."""
    if not isinstance(program.executor, Native):
        raise TargetError("the native runtime is not there, or does not take the network; times of another say nothing")
    program(*inputs)
    return partial(program, *inputs)


def _timed(network: PrunedNetwork, times: Mapping[Key, list[float]]) -> PrunedNetwork:
    """With its time, and that of the dense network of its seed and format over it, both the medians of the rounds."""
    mine = times.get((network.granularity, network.ratio, network.spec, network.seed))
    dense = times.get((DENSE, 0.0, network.spec, network.seed))
    if mine is None:
        return network
    gain = None if dense is None else median(whole / time for whole, time in zip(dense, mine, strict=True))
    return replace(network, time_us=median(mine), gain=gain)


def _key(row: Row) -> Key:
    return row["granularity"], row["ratio"], row["spec"], row["seed"]


def _told(key: Key) -> str:
    granularity, ratio, spec, seed = key
    return f"{granularity} {ratio:g}, {spec}, seed {seed}"
