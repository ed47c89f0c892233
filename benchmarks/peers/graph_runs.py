"""One call after another of a network, by whatever runs it.

The folder of a network holds `data.npz`: ``inputs`` of the calls, what float torch gives (``expected``), the states at
the first call (``state0`` ...), what to calibrate with (``calibration``, ``calibration_state0`` ...), and what a stream
is fed before the first call (``lead``); `about.json` says whether the states are rings.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class States:
    """States of a stream between its calls.

    ring: what a call returns goes into the state, on its last axis but one, in place of what is oldest there.
    """

    def __init__(self, states: Sequence[Array], ring: bool) -> None:
        self.now, self.ring, self.place = [np.ascontiguousarray(state).copy() for state in states], ring, 0

    def take(self, after: Sequence[Array]) -> None:
        if not self.ring:
            self.now = list(after)
            return
        for state, newest in zip(self.now, after, strict=True):
            state[..., self.place : self.place + 1, :] = newest
        if self.now:
            self.place = (self.place + 1) % self.now[0].shape[-2]


class Data:
    """What a folder holds."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "data.npz") as arrays:
            found = {name: arrays[name] for name in arrays.files if "calibration" not in name}
        self.inputs: list[Array] = list(found["inputs"])
        self.expected: Array = found["expected"]
        self.states = [found[f"state{i}"] for i in range(len(found)) if f"state{i}" in found]
        self.lead: Array | None = found.get("lead")
        self.folder = folder
        self.about: dict[str, Any] = json.loads((folder / "about.json").read_text())

    def calibration(self) -> list[tuple[Array, ...]]:
        """What calls are given, to calibrate with."""
        names = ["calibration", *(f"calibration_state{i}" for i in range(len(self.states)))]
        with np.load(self.folder / "data.npz") as arrays:
            return list(zip(*(arrays[name] for name in names), strict=True))

    def fresh(self) -> States:
        return States(self.states, self.about["ring"])


class Runner(ABC):
    """A loaded network. `call` is one call with arrays; a stream carries its states on."""

    def __init__(self, data: Data) -> None:
        self.data, self.turn = data, 0
        self.states = data.fresh()

    @abstractmethod
    def call(self, x: Array, states: Sequence[Array]) -> Sequence[Array]:
        """The result and what becomes of the states."""

    def reset(self) -> None:
        """Back to before the first call."""
        self.turn, self.states = 0, self.data.fresh()

    def run(self) -> Array:
        """The next call: the inputs in their order, again and again."""
        x = self.data.inputs[self.turn]
        self.turn = (self.turn + 1) % len(self.data.inputs)
        first, *after = self.call(x, self.states.now)
        if after:
            self.states.take(after)
        return first

    def outputs(self) -> Array:
        """The results of all inputs, from the start."""
        self.reset()
        found = np.stack([np.array(self.run()) for _ in self.data.inputs])
        self.reset()
        return found


def cosine(a: Array, b: Array) -> float:
    """Between the numbers of both, less their means over calls where there are several: what all share says little."""
    a, b = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (a, b))
    if len(a) > 1:
        a, b = a - a.mean(0), b - b.mean(0)
    return float((a * b).sum() / max(1e-30, np.linalg.norm(a) * np.linalg.norm(b)))
