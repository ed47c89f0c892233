"""Study 07: what few bits in weights and in signals do, by depth and width, and the choice of model and bits.

References:
    Boo, Shin, Sung 2020 (arXiv 2006.00530).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from fewbit.analysis import (
    BitGrid,
    DesignChoice,
    NetworkDesign,
    Table,
    bit_grid,
    choose_design,
    grid,
    map_errors,
    noise_gain,
)
from fewbit.errors import DataError
from fewbit.plot import Panel, plot_bit_grid, plot_curves, plot_designs, plot_error_maps
from fewbit.tasks import Task
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import comparisons_of, verdict
from studies.methods.error_sources_judge import judge
from studies.tasks.few_images import few_images_task
from studies.tasks.named import named_task

ARMS = (("float", True), ("float", False), ("weights", True), ("signals", True), ("signals", False))
CURVES = {
    ("float", True): "float",
    ("weights", True): "weights of 2 bits, retrained",
    ("signals", True): "signals of 3 bits, retrained",
    ("signals", False): "signals of 3 bits, direct",
}


@dataclass(frozen=True)
class Scale:
    """Sizes of a run; `wide` and `deep` are (width, hidden layers) of the two networks compared bit by bit; `pictures`
    0 stands for all.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    pictures: int
    wide: tuple[int, int]
    deep: tuple[int, int]
    epochs: int
    retrain_epochs: int
    budget: int
    design_widths: tuple[int, ...]
    design_depths: tuple[int, ...]
    map_epochs: int = 25


SMALL = Scale(
    widths=(16, 32, 64),
    depths=(2, 4, 8),
    pictures=2000,
    wide=(24, 3),
    deep=(18, 8),
    epochs=20,
    retrain_epochs=10,
    budget=8000,
    design_widths=(8, 12, 16, 20, 24, 32, 40, 48),
    design_depths=(2, 4, 6),
)
FULL = Scale(
    widths=(16, 32, 64, 128),
    depths=(2, 4, 8),
    pictures=0,
    wide=(64, 3),
    deep=(46, 8),
    epochs=60,
    retrain_epochs=30,
    budget=40_000,
    design_widths=(16, 24, 32, 48, 64, 96, 128, 192, 256),
    design_depths=(2, 4, 6, 8),
)


def run(setting: Setting) -> Study:
    """The four charts and what they say."""
    scale = FULL if setting.full else SMALL
    rows = setting.sweep(
        partial(_maps, scale),
        grid(seed=setting.seeds, depth=scale.depths, width=scale.widths),
        "error-maps",
        "error maps",
    ).open()
    grids = [_grid(setting, scale, shape) for shape in (scale.wide, scale.deep)]
    choices = [_choice(setting, scale, seed) for seed in setting.seeds]
    defaults = [_default(setting, scale, seed) for seed in setting.seeds]
    chosen = [_chosen(seed, choice) for seed, choice in zip(setting.seeds, choices, strict=True)]
    parts = judge(rows, grids, chosen, defaults)
    return Study(
        number="07",
        name="error-sources",
        title="What weights and signals of few bits do; model and bits chosen together",
        claim=(
            "Few bits of weights distort a network's function smoothly, few bits of signals add noise; wider networks "
            "bear both better, deeper ones bear coarse signals worse; so model and bits are best chosen together."
        ),
        verdict=verdict(parts),
        findings=(
            *(part.finding for part in parts),
            names_of(choices, defaults),
            amplification(setting, scale),
        ),
        setting=_describe(scale),
        command=f"python -m studies 07 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_errors(rows, scale), *(_bits(found) for found in grids), _designs(choices, defaults)),
        pictures=_pictures(setting, scale, rows, grids, choices),
        comparisons=comparisons_of(parts),
        rows={
            "error maps": rows,
            **{f"bits, {found.task}": [asdict(cell) for cell in found.cells] for found in grids},
            "designs": [
                {"seed": seed} | asdict(design)
                for seed, choice in zip(setting.seeds, choices, strict=True)
                for design in choice.designs
            ],
            "default designs": defaults,
        },
    )


def names_of(choices: Sequence[DesignChoice], defaults: Rows) -> str:
    """What was chosen in the memory, beside the default."""
    names = ", ".join(choice.best.name for choice in choices)
    return (
        f"Chosen in {choices[0].budget:,} bytes (hidden layers x width) by seed: {names}; two hidden layers of 8-bit "
        f"weights and signals that fit: {defaults[0]['name']}."
    )


def amplification(setting: Setting, scale: Scale) -> str:
    """Noise of each signal of the deep network at its output, in units of both their powers."""
    told = []
    for width, layers in (scale.wide, scale.deep):
        task = _task(setting, scale, setting.seeds[0], width, layers)
        found = noise_gain(setting.network(task, setting.seeds[0]), task.batches(0))
        told.append(f"{layers} layers {', '.join(f'{layer.relative:.2f}' for layer in found)}")
    return f"Relative noise gain of the signals from the first to the last layer: {'; '.join(told)}."


def _maps(scale: Scale, seed: int, depth: int, width: int) -> dict[str, Any]:
    found = map_errors(width, depth, epochs=scale.map_epochs, seed=seed)
    rows = {}
    for arm, retrained in ARMS:
        one = found.of(arm, retrained)
        rows[_name(arm, retrained)] = {
            "rms": one.rms,
            "roughness": one.roughness,
            "smooth": one.smooth,
            "rough": one.rough,
        }
    return rows


def _rms(rows: Rows, arm: str) -> list[float]:
    return [row[arm]["rms"] for row in rows]


def _task(setting: Setting, scale: Scale, seed: int, width: int, layers: int, **more: Any) -> Task:
    settings: dict[str, Any] = {
        "size": width,
        "layers": layers,
        "epochs": scale.epochs,
        "retrain_epochs": scale.retrain_epochs,
        "lr": 3e-3,
        "retrain_lr": 3e-3,
    }
    if scale.pictures:
        task = few_images_task(setting, scale.pictures, seed, **settings | more)
    else:
        task = named_task("perceptron", setting, **settings | more)
    return replace(task, name=f"{task.name}, {layers} layers")


def _grid(setting: Setting, scale: Scale, shape: tuple[int, int]) -> BitGrid:
    """The grid of every seed, each on pictures of its own."""
    width, layers = shape
    found = [
        bit_grid(
            _task(setting, scale, seed, width, layers),
            seeds=(seed,),
            network=setting.network,
            out=setting.rows(f"bit-grid-{layers}"),
            executor=setting.executor,
            progress=setting.progress,
        )
        for seed in setting.seeds
    ]
    if lost := [run for one in found for run in one.failed]:
        raise DataError(f"bits of {layers} layers: {len(lost)} runs failed, the first: {lost[0]}")
    cells = tuple(cell for one in found for cell in one.cells)
    return replace(found[0], task=f"{layers} hidden layers of {width} units", cells=cells)


def _chosen(seed: int, choice: DesignChoice) -> dict[str, Any]:
    return _row_of(seed, choice.best)


def _choice(setting: Setting, scale: Scale, seed: int) -> DesignChoice:
    families = {depth: _family(setting, scale, seed, depth) for depth in scale.design_depths}
    return choose_design(
        families,
        scale.budget,
        seed=seed,
        out=setting.rows("design-choice"),
        executor=setting.executor,
        progress=setting.progress,
    )


def _default(setting: Setting, scale: Scale, seed: int) -> dict[str, Any]:
    """Two hidden layers, 8 bits everywhere, as wide as fits, by the same recipe."""
    found = choose_design(
        {2: _family(setting, scale, seed, 2)},
        scale.budget,
        weight_bits=(8,),
        signal_bits=(8,),
        seed=seed,
        out=setting.rows("design-choice"),
        progress=False,
    ).best
    return _row_of(seed, found)


def _row_of(seed: int, design: NetworkDesign) -> dict[str, Any]:
    """A design that had the whole recipe."""
    if design.test is None:
        raise DataError(f"{design.name}, seed {seed}: no test error; wanted a design that had the whole recipe")
    return {"seed": seed, "name": design.name, "dev": design.dev, "test": design.test}


def _family(setting: Setting, scale: Scale, seed: int, depth: int) -> Task:
    widths = scale.design_widths
    return replace(_task(setting, scale, seed, widths[-1], depth, sizes=widths), name="perceptron")


def _pictures(
    setting: Setting, scale: Scale, rows: Rows, grids: Sequence[BitGrid], choices: Sequence[DesignChoice]
) -> tuple[tuple[str, str], ...]:
    out = setting.out
    width, depth = scale.widths[-1], scale.depths[-2]
    shown = map_errors(width, depth, epochs=scale.map_epochs, grid=128, seed=setting.seeds[0])
    panels = []
    for layers in scale.depths:
        curves: dict[str, dict[float, list[float]]] = {
            told: {float(w): _rms(of(rows, depth=layers, width=w), _name(*arm)) for w in scale.widths}
            for arm, told in CURVES.items()
        }
        panels.append(Panel("error on the grid (rms)", curves, title=f"{layers} hidden layers"))
    return (
        (
            plot_error_maps(shown, out / "07-error-maps.png").name,
            "A function of two inputs, as networks of few bits compute it, and their errors.",
        ),
        (
            plot_curves(
                panels,
                "width",
                out / "07-depth-and-width.png",
                "Few bits by depth and width",
                log=True,
                same_y=True,
            ).name,
            "Error by width and depth, with few-bit weights and with few-bit signals.",
        ),
        (
            plot_bit_grid(grids, out / "07-bit-grid.png").name,
            "Test error by bits of weights and of signals, of a wide and of a deep network of as many bytes.",
        ),
        (
            plot_designs(choices[0], out / "07-design-choice.png").name,
            "Designs of one memory by their work; stars had the whole recipe (first seed).",
        ),
    )


def _name(arm: str, retrained: bool) -> str:
    return arm if retrained else f"{arm}, direct"


def _errors(rows: Rows, scale: Scale) -> Table:
    cells: list[tuple[int | str, ...]] = []
    for depth in scale.depths:
        for width in scale.widths:
            mine = of(rows, depth=depth, width=width)
            values = [spread(_rms(mine, _name(*arm)), 3) for arm in CURVES]
            rough = [spread([row[arm]["roughness"] for row in mine]) for arm in ("weights", "signals")]
            cells.append((depth, width, *values, *rough))
    columns = ("layers", "width", *CURVES.values(), "rough share, weights", "rough share, signals")
    return Table("Error (rms) of a function of two inputs", columns, tuple(cells))


def _bits(found: BitGrid) -> Table:
    def name(bits: int | None) -> str:
        return "float" if bits is None else str(bits)

    columns = ("weights \\ signals", *(name(bits) for bits in found.signal_bits))
    rows = tuple((name(w), *(spread(found.of(w, a)) for a in found.signal_bits)) for w in found.weight_bits)
    return Table(f"MNIST, {found.task}: test error (%) by bits of inner weights and signals", columns, rows)


def _designs(choices: Sequence[DesignChoice], defaults: Sequence[dict[str, Any]]) -> Table:
    cells: list[tuple[Any, ...]] = []
    for choice, default in zip(choices, defaults, strict=True):
        seed = default["seed"]
        cells += [
            (seed, design.name, design.bytes, design.bit_operations, design.bound, design.dev, design.test)
            for design in choice.designs
            if design.dev is not None
        ]
        cells.append((seed, f"{default['name']} (default)", None, None, "bytes", default["dev"], default["test"]))
    columns = ("seed", "design", "bytes", "bit operations", "bound by", "dev error (%)", "test error (%)")
    return Table("Designs that got the whole recipe, best by development data first", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    data = f"{scale.pictures:,} training pictures for each seed" if scale.pictures else "all training pictures"
    return (
        "Function of two inputs: 3,000 points, inner layers quantized (weights 2 bits, signals 3 bits), "
        f"{scale.map_epochs} epochs each of training and retraining. MNIST with {data}, perceptrons, "
        f"{scale.epochs} epochs in float and {scale.retrain_epochs} of each retraining; bits of weights "
        "against bits of signals with inner layers quantized, two networks of nearly equal bytes; designs with all "
        "weights and all hidden signals quantized, weights first, each short recipe a quarter of the epochs. Added "
        "error is the error on the grid less that of the same network in float after as many epochs."
    )
