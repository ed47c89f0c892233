"""Study 07: what few bits in weights and in signals do, by depth and width, and the choice of model and bits.

References:
    Boo, Shin, Sung 2020 (arXiv 2006.00530).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean
from typing import Any

from fewbit.analysis import (
    BitGrid,
    DesignChoice,
    Table,
    bit_grid,
    choose_design,
    grid,
    map_errors,
    noise_gain,
)
from fewbit.plot import Panel, plot_bit_grid, plot_curves, plot_designs, plot_error_maps
from fewbit.tasks import Task
from studies.evidence.pairs import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import verdict
from studies.tasks.few_images import few_images_task
from studies.tasks.named import perceptron_task

ARMS = (("float", True), ("weights", True), ("signals", True), ("signals", False))
CURVES = {
    ("float", True): "float",
    ("weights", True): "weights of 2 bits, retrained",
    ("signals", True): "signals of 3 bits, retrained",
    ("signals", False): "signals of 3 bits, direct",
}


@dataclass(frozen=True)
class Scale:
    """Sizes of a run; `wide` and `deep` are (width, hidden layers) of the two networks compared bit by bit."""

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
    pictures=54_000,
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
    )
    grids = [_grid(setting, scale, shape) for shape in (scale.wide, scale.deep)]
    choices = [_choice(setting, scale, seed) for seed in setting.seeds]
    defaults = [_default(setting, scale, seed) for seed in setting.seeds]
    judged = [kinds(rows), widths(rows, scale), depths(rows, scale), by_bits(grids), by_choice(choices, defaults)]
    return Study(
        number="07",
        name="error-sources",
        title="What weights and signals of few bits do; model and bits chosen together",
        claim=(
            "Few bits of weights distort a network's function smoothly, few bits of signals add noise; wider networks "
            "bear both better, deeper ones bear coarse signals worse; so model and bits are best chosen together."
        ),
        verdict=verdict([holds for holds, _ in judged]),
        findings=(*(sentence for _, sentence in judged), amplification(setting, scale)),
        setting=_describe(scale),
        command="python -m studies 07",
        seeds=setting.seeds,
        tables=(_errors(rows, scale), *(_bits(found) for found in grids), _designs(choices, defaults)),
        pictures=_pictures(setting, scale, rows, grids, choices),
    )


def kinds(rows: Rows) -> tuple[bool, str]:
    """Whether errors by weights are smooth and those by signals rough."""
    smooth = [row["weights"]["roughness"] for row in rows]
    rough = [row["signals"]["roughness"] for row in rows]
    holds = max(smooth) < min(rough)
    return holds, (
        f"Share of the error that is rough, over all networks: weights of 2 bits {min(smooth):.2f} to "
        f"{max(smooth):.2f}, signals of 3 bits {min(rough):.2f} to {max(rough):.2f}."
    )


def widths(rows: Rows, scale: Scale) -> tuple[bool, str]:
    """Whether both errors fall with width at every depth."""
    narrow, wide = scale.widths[0], scale.widths[-1]
    told, holds = [], True
    for arm in ("weights", "signals"):
        falls = [
            (mean(_rms(of(rows, depth=depth, width=narrow), arm)), mean(_rms(of(rows, depth=depth, width=wide), arm)))
            for depth in scale.depths
        ]
        holds &= all(after < before for before, after in falls)
        pairs = "; ".join(f"{d} layers {a:.3f} to {b:.3f}" for d, (a, b) in zip(scale.depths, falls, strict=True))
        told.append(f"few-bit {arm}: {pairs}")
    return holds, f"Error (rms) from width {narrow} to {wide}: {'. '.join(told)}."


def depths(rows: Rows, scale: Scale) -> tuple[bool, str]:
    """Whether direct signal quantization hurts deeper networks more, beyond what their float error changes."""
    shallow, deep = scale.depths[-2], scale.depths[-1]
    told, holds = [], True
    for width in (scale.widths[0], scale.widths[-1]):
        pair = [mean(_rms(of(rows, depth=depth, width=width), "signals, direct")) for depth in (shallow, deep)]
        weights = [mean(_rms(of(rows, depth=depth, width=width), "weights")) for depth in (shallow, deep)]
        holds &= pair[1] > pair[0]
        told.append(
            f"width {width}: signals {pair[0]:.3f} to {pair[1]:.3f}, weights {weights[0]:.3f} to {weights[1]:.3f}"
        )
    return holds, f"Error (rms) from {shallow} to {deep} layers, signals quantized directly: {'; '.join(told)}."


def by_bits(grids: Sequence[BitGrid]) -> tuple[bool, str]:
    """Whether the deep, narrow network loses more by coarse signals than the wide one of as many bytes."""
    wide, deep = grids
    told = [
        f"{found.task} loses {found.loss(2, None):.2f} points with weights of 2 bits and {found.loss(None, 2):.2f} "
        "with signals of 2 bits"
        for found in grids
    ]
    return deep.loss(None, 2) > wide.loss(None, 2), f"MNIST: {'; '.join(told)}."


def by_choice(choices: Sequence[DesignChoice], defaults: Sequence[dict[str, Any]]) -> tuple[bool, str]:
    """Whether the chosen design is better than the default network in the same memory."""
    gaps = [float(choice.best.test or 0.0) - row["test"] for choice, row in zip(choices, defaults, strict=True)]
    names = ", ".join(choice.best.name for choice in choices)
    return mean(gaps) < 0, (
        f"Chosen in {choices[0].budget:,} bytes (hidden layers x width): {names}; against two hidden layers of 8-bit "
        f"weights and signals of the largest width that fits ({defaults[0]['name']}): {spread(gaps)} points of test "
        f"error, lower in {sum(gap < 0 for gap in gaps)} of {len(gaps)}."
    )


def amplification(setting: Setting, scale: Scale) -> str:
    """Noise of each signal of the deep network at its output, in units of both their powers."""
    told = []
    for width, layers in (scale.wide, scale.deep):
        task = _task(setting, scale, width, layers)
        found = noise_gain(setting.network(task, setting.seeds[0]), task.batches(0))
        told.append(f"{layers} layers {', '.join(f'{layer.relative:.2f}' for layer in found)}")
    return f"Relative noise gain of the signals from the first to the last layer: {'; '.join(told)}."


def _maps(scale: Scale, seed: int, depth: int, width: int) -> dict[str, Any]:
    found = map_errors(width, depth, epochs=scale.map_epochs, seed=seed)
    rows = {}
    for arm, retrained in ARMS:
        one = found.of(arm, retrained)
        name = arm if retrained else f"{arm}, direct"
        rows[name] = {"rms": one.rms, "roughness": one.roughness, "smooth": one.smooth, "rough": one.rough}
    return rows


def _rms(rows: Rows, arm: str) -> list[float]:
    return [row[arm]["rms"] for row in rows]


def _task(setting: Setting, scale: Scale, width: int, layers: int, **more: Any) -> Task:
    settings: dict[str, Any] = {
        "size": width,
        "layers": layers,
        "epochs": scale.epochs,
        "retrain_epochs": scale.retrain_epochs,
        "lr": 3e-3,
        "retrain_lr": 3e-3,
    }
    task = few_images_task(setting, scale.pictures, make=perceptron_task, **settings | more)
    return replace(task, name=f"perceptron, {layers} layers")


def _grid(setting: Setting, scale: Scale, shape: tuple[int, int]) -> BitGrid:
    width, layers = shape
    task = _task(setting, scale, width, layers)
    found = bit_grid(
        task,
        seeds=setting.seeds,
        network=setting.network,
        out=setting.rows(f"bit-grid-{layers}"),
        executor=setting.executor,
        progress=setting.progress,
    )
    return replace(found, task=f"{layers} hidden layers of {width} units")


def _choice(setting: Setting, scale: Scale, seed: int) -> DesignChoice:
    families = {depth: _family(setting, scale, depth) for depth in scale.design_depths}
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
        {2: _family(setting, scale, 2)},
        scale.budget,
        weight_bits=(8,),
        signal_bits=(8,),
        seed=seed,
        out=setting.rows("design-choice"),
        progress=False,
    ).best
    return {"name": found.name, "test": float(found.test or 0.0), "dev": found.dev}


def _family(setting: Setting, scale: Scale, depth: int) -> Task:
    widths = scale.design_widths
    return replace(_task(setting, scale, widths[-1], depth, sizes=widths), name="perceptron")


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
    for seed, (choice, default) in enumerate(zip(choices, defaults, strict=True)):
        cells += [
            (seed, design.name, design.bytes, design.bit_operations, design.bound, design.dev, design.test)
            for design in choice.designs
            if design.dev is not None
        ]
        cells.append((seed, f"{default['name']} (default)", None, None, "bytes", default["dev"], default["test"]))
    columns = ("seed", "design", "bytes", "bit operations", "bound by", "dev error (%)", "test error (%)")
    return Table("Designs that got the whole recipe, best by development data first", columns, tuple(cells))


def _describe(scale: Scale) -> str:
    return (
        "Function of two inputs: 3,000 points, inner layers quantized (weights 2 bits, signals 3 bits), "
        f"{scale.map_epochs} epochs each of training and retraining. MNIST with {scale.pictures:,} training pictures, "
        f"perceptrons, {scale.epochs} epochs in float and {scale.retrain_epochs} of each retraining; bits of weights "
        "against bits of signals with inner layers quantized, two networks of nearly equal bytes; designs with all "
        "weights and all hidden signals quantized, weights first, each short recipe a quarter of the epochs."
    )
