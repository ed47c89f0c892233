"""The judge of study 07: what its rows say of each part of the claim."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from fewbit.analysis import BitGrid
from studies.evidence.paired_tests import Difference, by_seed, difference
from studies.evidence.rows import Rows, of
from studies.evidence.verdicts import Part, better


def judge(rows: Rows, grids: Sequence[BitGrid], chosen: Rows, defaults: Rows) -> list[Part]:
    """The parts of the claim, all tested together."""
    return better(
        [
            kinds(rows),
            *widths(rows),
            *depths(rows),
            by_bits(grids),
            (
                "Model and bits chosen together on development data are better than the network of 8 bits and two "
                "hidden layers that fits the same memory",
                difference(("chosen together", chosen), ("two layers of 8 bits", defaults)),
            ),
        ]
    )


def kinds(rows: Rows) -> tuple[str, Difference]:
    """Whether the roughest error by weights is smoother than the smoothest one by signals, over all networks."""
    seeds = sorted({row["seed"] for row in rows})
    smooth = {seed: max(row["weights"]["roughness"] for row in of(rows, seed=seed)) for seed in seeds}
    rough = {seed: min(row["signals"]["roughness"] for row in of(rows, seed=seed)) for seed in seeds}
    return (
        "Few bits of weights give smoother errors than few bits of signals, in every network",
        by_seed(
            ("largest rough share with few-bit weights", smooth),
            ("smallest with few-bit signals", rough),
            unit="of the error's power",
        ),
    )


def widths(rows: Rows) -> list[tuple[str, Difference]]:
    """Whether what few bits add to the float error falls from the narrowest to the widest network, at every depth."""
    narrow, *_, wide = _all(rows, "width")
    return [
        (
            f"Wider networks bear few-bit {arm} better, beyond their float error ({depth} layers)",
            by_seed(
                (f"width {wide}, {depth} layers, few-bit {arm}", _added(rows, arm, depth=depth, width=wide)),
                (f"width {narrow}", _added(rows, arm, depth=depth, width=narrow)),
                unit="of added error (rms)",
                digits=3,
            ),
        )
        for arm in ("weights", "signals")
        for depth in _all(rows, "depth")
    ]


def depths(rows: Rows) -> list[tuple[str, Difference]]:
    """Whether what directly quantized signals add to the float error grows from each depth to the next, at every
    width.
    """
    return [
        (
            f"{deep} layers bear coarse signals worse than {shallow}, beyond their float error (width {width})",
            by_seed(
                (
                    f"{shallow} layers, width {width}, coarse signals",
                    _added(rows, "signals, direct", depth=shallow, width=width),
                ),
                (f"{deep} layers", _added(rows, "signals, direct", depth=deep, width=width)),
                unit="of added error (rms)",
                digits=3,
            ),
        )
        for width in _all(rows, "width")
        for shallow, deep in pairwise(_all(rows, "depth"))
    ]


def by_bits(grids: Sequence[BitGrid]) -> tuple[str, Difference]:
    """Whether the wide network loses less by coarse signals than the deep, narrow one of as many bytes."""
    wide, deep = ((found.task, _losses(found, None, 2)) for found in grids)
    return (
        "A deeper network of as many bytes loses more by signals of 2 bits, against its float network (MNIST)",
        by_seed(wide, deep),
    )


def _all(rows: Rows, knob: str) -> list[int]:
    return sorted({row[knob] for row in rows})


def _added(rows: Rows, arm: str, **where: Any) -> Mapping[int, float]:
    """By seed, the error of an arm less that of the float network of as many epochs."""
    base = "float, direct" if arm.endswith(", direct") else "float"
    return {row["seed"]: row[arm]["rms"] - row[base]["rms"] for row in of(rows, **where)}


def _losses(found: BitGrid, weight_bits: int | None, signal_bits: int | None) -> Mapping[int, float]:
    """By seed, the test error above that of the float network of the same seed."""
    cells = {(cell.seed, cell.weight_bits, cell.signal_bits): cell.retrained_test for cell in found.cells}
    seeds = sorted({cell.seed for cell in found.cells})
    return {
        seed: cells[seed, weight_bits, signal_bits] - cells[seed, None, None]
        for seed in seeds
        if {(seed, weight_bits, signal_bits), (seed, None, None)} <= cells.keys()
    }
