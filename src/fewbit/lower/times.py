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
DRIFT = 1.2e-7
"""Angles in float32 are off by so much more with every frame."""
MOVES_BY = 5e-7
"""What changes by less is a constant in float32."""
TURN = 1 << 32
Wave = tuple[float, float]
"""Angle of a step and first angle of a sine."""


def phases_of(rows: Floats) -> tuple[Integers, Integers] | None:
    """Phase increments and first phases, in 2**-32 of a turn, if each column of ``(time, n)`` is a sine of time."""
    if len(rows) < LEAST_FRAMES or np.abs(rows).max() > 1 + CLOSE:
        return None
    columns = {np.ascontiguousarray(column).tobytes(): column for column in rows.T}
    known: dict[bytes, Wave | None] = {}
    for phase in (0.0, np.pi / 2, np.pi, -np.pi / 2):
        alike = {key: column for key, column in columns.items() if _begins_at(column, phase)}
        known |= _from_one_phase(alike, phase)
    found = []
    for key in (np.ascontiguousarray(column).tobytes() for column in rows.T):
        if key not in known:
            known[key] = _sine(columns[key])
        if known[key] is None:
            return None
        found.append(known[key])
    turns = np.rint(np.array(found) / (2 * np.pi) * TURN).astype(np.int64) % TURN
    signed = np.where(turns >= TURN // 2, turns - TURN, turns)
    return signed[:, 0], signed[:, 1]


def _begins_at(column: Floats, phase: float) -> bool:
    """Whether a column moves, and may be ``sin(angle t + phase)``; where it starts at 0, the next number says how."""
    if abs(column[0] - np.sin(phase)) > 1e-6 or np.ptp(column) < MOVES_BY:
        return False
    return _is_cosine(phase) or bool((column[1] > 0) == (np.cos(phase) > 0))


def _is_cosine(phase: float) -> bool:
    return abs(float(np.sin(phase))) > 0.5


def _from_one_phase(columns: dict[bytes, Floats], phase: float) -> dict[bytes, Wave | None]:
    """The sines among columns that begin with one phase, as those of rotary positions and of position tables do.

    Slow ones hardly move in a short example, and their angles are uncertain; where all angles together are the powers
    of a number, the fast ones say what the slow ones are.
    """
    angles = {key: _angle(column, phase) for key, column in columns.items()}
    place = np.array([i for i, angle in enumerate(angles.values()) if angle is not None])
    first = np.array([angle for angle in angles.values() if angle is not None])
    if len(first) > 2:
        t = np.arange(len(next(iter(columns.values()))))
        certain = first * np.sqrt((t**2 * np.cos(first[:, None] * t + phase) ** 2).mean(1))
        slope, start = np.polyfit(place, np.log(first), 1, w=certain)
        if abs(start) < 1e-5:  # the first is 1 radian
            start = 0.0
            slope = float((certain**2 * place * np.log(first)).sum() / (certain**2 * place**2).sum())
        powers = np.exp(start + slope * np.arange(len(columns)))
        waves = np.sin(powers[:, None] * t + phase)
        if all(_is_close(wave, column) for wave, column in zip(waves, columns.values(), strict=True)):
            return {key: (power, phase) for key, power in zip(columns, powers.tolist(), strict=True)}
    return {key: (angle, phase) for key, angle in angles.items() if angle is not None}


def _angle(column: Floats, phase: float) -> float | None:
    """The angle of a step of the sine with this phase that a column is, or ``None``."""
    t = np.arange(len(column))
    best: tuple[float, float] = np.inf, 0.0
    for guess in _guesses(column, phase):
        angle = guess
        for _ in range(20):
            slope = t * np.cos(angle * t + phase)
            power = float(slope @ slope)
            angle += float(slope @ (column - np.sin(angle * t + phase))) / power if power > 0 else 0.0
        angle = abs(angle) if _is_cosine(phase) else angle
        best = min(best, (float(np.abs(np.sin(angle * t + phase) - column).max()), angle))
    return best[1] if _is_close(np.sin(best[1] * t + phase), column) and 0 < best[1] <= np.pi else None


def _guesses(column: Floats, phase: float) -> Floats:
    """Angles from the first quarter of a turn, for slow sines, and from neighbours in time, for fast ones."""
    t = np.arange(len(column))
    size = np.clip(np.abs(column), 0, 1)
    gone = np.arccos(size) if _is_cosine(phase) else np.arcsin(size)
    back = np.flatnonzero(np.diff(gone) < -1e-3)  # rounding of a number near 1 moves its angle by less
    last = max(int(back[0]) if len(back) else len(column) - 1, 1)
    # The middle of the quarter says most; its end is flat for one of the two kinds, its begin for the other.
    slow = gone[1 : last + 1] / t[1 : last + 1]
    middle = column[1:-1]
    power = float((middle**2).sum())
    cosine = float(((column[2:] + column[:-2]) * middle).sum()) / (2 * power) if power > 1e-12 else 1.0
    fast = float(np.arccos(np.clip(cosine, -1, 1)))
    return np.unique([slow[-1], slow[len(slow) // 2], fast, np.pi - fast])


def _is_close(wave: Floats, column: Floats) -> bool:
    return float(np.abs(wave - column).max()) <= CLOSE + DRIFT * len(column)


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
    if error > CLOSE + DRIFT * len(column):
        return None
    amplitude = float(np.hypot(*wave))
    if np.ptp(column) < CLOSE:  # a constant: any amplitude up to 1 is the sine of some angle
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
