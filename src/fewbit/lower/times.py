"""Constants that change with time: sines, which never end, and learned tables, which do."""

from typing import Any

import numpy as np
import torch
from torch import fx

from fewbit.lower.observed import Observed
from fewbit.lower.weights import Floats, to_float
from fewbit.program.numerics import Integers
from fewbit.tracing import MOVES, SAME

LEAST_FRAMES = 8
"""Fewer frames do not show whether numbers are a sine."""
CLOSE = 2e-5
TURN = 1 << 32


def phases_of(rows: Floats) -> tuple[Integers, Integers] | None:
    """Phase increments and first phases, in 2**-32 of a turn, if each column of ``(time, n)`` is a sine of time."""
    if len(rows) < LEAST_FRAMES or np.abs(rows).max() > 1 + CLOSE:
        return None
    known: dict[bytes, tuple[float, float] | None] = {}
    found = []
    for column in rows.T:
        key = np.ascontiguousarray(column).tobytes()
        if key not in known:
            known[key] = _sine(column)
        if known[key] is None:
            return None
        found.append(known[key])
    turns = np.rint(np.array(found) / (2 * np.pi) * TURN).astype(np.int64) % TURN
    signed = np.where(turns >= TURN // 2, turns - TURN, turns)
    return signed[:, 0], signed[:, 1]


def _sine(column: Floats) -> tuple[float, float] | None:
    """Angle a step and first angle of the sine of amplitude 1 that a column is, or ``None``.

    ``c[t + 1] + c[t - 1] = 2 cos(angle) c[t]`` gives a first angle; least squares on finer and finer grids refine it.
    """
    t = np.arange(len(column))
    middle = column[1:-1]
    power = float((middle**2).sum())
    cosine = float(((column[2:] + column[:-2]) * middle).sum()) / (2 * power) if power > 1e-12 else 1.0
    angle = float(np.arccos(np.clip(cosine, -1, 1)))
    best = _fit(column, t, angle)
    for width in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8):
        tries = [_fit(column, t, best[1] + offset) for offset in np.linspace(-width, width, 41)]
        best = min([best, *tries], key=lambda each: each[0])
    error, angle, wave = best
    if error > CLOSE:
        return None
    amplitude = float(np.hypot(*wave))
    if angle < 1e-7:  # a constant: any amplitude up to 1 is the sine of some angle
        return 0.0, float(np.arcsin(np.clip(column[0], -1, 1)))
    return (angle, float(np.arctan2(wave[0], wave[1]))) if abs(amplitude - 1) < 1e-3 else None


def _fit(column: Floats, t: Any, angle: float) -> tuple[float, float, Floats]:
    waves = np.stack([np.cos(angle * t), np.sin(angle * t)], axis=1)
    solution = np.linalg.lstsq(waves, column, rcond=None)[0]
    return float(np.abs(waves @ solution - column).max()), angle, solution


def whole_table(network: Observed, constant: fx.Node, rows: Floats) -> Floats:
    """All rows of the table of learned positions of which a constant is the beginning; else its own rows."""
    node: Any = constant
    while isinstance(node, fx.Node) and node.target in MOVES | SAME:
        node = node.args[0]
    if not isinstance(node, fx.Node) or node.target is not torch.ops.aten.embedding.default:
        return rows
    table, places = (network.constant(argument) for argument in node.args[:2])
    flat = places.reshape(-1).tolist()
    if flat != list(range(flat[0], flat[0] + len(rows))) or table.shape[1] != rows.shape[1]:
        return rows
    whole: Floats = to_float(table)[flat[0] :]
    return whole if np.array_equal(whole[: len(rows)], rows) else rows
