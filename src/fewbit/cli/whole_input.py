"""Run a packed network over a whole input: arrays from files, results, and the best class of each frame."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DataError
from fewbit.program import Program
from fewbit.program.signature import Port, Signature
from fewbit.streams import run

MOST_SHOWN = 20
"""Most best classes that a line for people shows."""


@dataclass(frozen=True)
class Result:
    """One output array.

    best: the class with the largest score, for each frame where there are frames; ``None`` where the scores have
    several axes.
    """

    name: str
    values: NDArray[np.float64]
    best: Any
    framed: bool

    def __str__(self) -> str:
        shape = " x ".join(f"{size}" for size in self.values.shape) or "one number"
        if self.best is None:
            return f"{self.name} {shape}"
        if not self.framed:
            return f"{self.name} {shape}, best class {self.best}"
        frames = self.best if len(self.best) <= MOST_SHOWN else [*self.best[:MOST_SHOWN], "..."]
        return f"{self.name} {shape}, best class of each frame: {' '.join(f'{best}' for best in frames)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"name": self.name, "shape": list(self.values.shape), "best": self.best}


def run_file(program: Program, source: Path) -> list[Result]:
    """Results for a sound file, for frames, or for the arrays of a network with a signature.

    Raises:
        AudioError, DataError: the file cannot be read, or lacks an array.
        DecodeError: an array has another shape or holds something else.
    """
    signature = program.signature
    if signature is None or (source.suffix not in (".npy", ".npz") and program.features is not None):
        scores = run(program, source)
        return [Result("scores", scores, scores.argmax(axis=1).tolist(), framed=True)]
    found = program(*_arrays(signature, source))
    values = found if isinstance(found, tuple) else (found,)
    return [
        Result(port.name, np.asarray(value), _best(port, np.asarray(value)), port.time != -1)
        for port, value in zip(signature.outputs, values, strict=True)
    ]


def save(results: list[Result], path: Path) -> None:
    """Write one result as ``.npy``, several as ``.npz`` with their names."""
    if len(results) == 1:
        np.save(path, results[0].values)
    else:
        np.savez(path, **{result.name: result.values for result in results})  # type: ignore[arg-type]


def _arrays(signature: Signature, source: Path) -> list[NDArray[Any]]:
    names = [port.name for port in signature.inputs]
    try:
        with source.open("rb") as file:
            found = np.load(file, allow_pickle=False)
            alone = isinstance(found, np.ndarray)
            arrays = {names[0]: found} if alone else {name: found[name] for name in found.files}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: cannot be read as arrays (.npy or .npz): {error}") from error
    if alone and len(names) > 1:
        wanted = f"{len(names)} ({', '.join(names)}); give them by name in an .npz file"
        raise DataError(f"{source}: one array, but the network takes {wanted}")
    missing = [name for name in names if name not in arrays]
    more = [name for name in arrays if name not in names]
    if missing or more:
        raise DataError(f"{source}: holds {', '.join(arrays) or 'nothing'}; the network takes {', '.join(names)}")
    return [arrays[name] for name in names]


def _best(port: Port, values: NDArray[np.float64]) -> Any:
    if len(port.order) != 1 or not values.size:
        return None
    return values.argmax(axis=port.order[0]).tolist()
