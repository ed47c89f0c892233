"""The packed network: a chain of integer ops, and what a stream needs to know around it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.errors import DecodeError, LoweringError
from fewbit.program import ops
from fewbit.program.native_run import Native, executor
from fewbit.program.numerics import Q10, Integers
from fewbit.program.reference import Reference
from fewbit.program.write import serialize, write


@dataclass(frozen=True, eq=False)
class Program:
    """A network of few-bit integers that runs as a stream.

    ops: the chain; its first op turns float features into codes, its last gives scores in Q10.
    features, alphabet: plain descriptions of the front end and of the classes, or ``None``.
    recipe: how the network came about, for the record.

    One Program serves any number of streams: all state is in what `init_state` and `step` return.
    """

    ops: tuple[ops.Op, ...]
    features: dict[str, Any] | None = None
    alphabet: dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.ops:
            raise LoweringError("a Program needs at least one op")
        for before, after in zip(self.ops, self.ops[1:], strict=False):
            if ops.widths(before)[1] != ops.widths(after)[0]:
                raise LoweringError(
                    f"{before.name} gives {ops.widths(before)[1]} numbers a frame, "
                    f"{after.name} wants {ops.widths(after)[0]}"
                )

        mels = (self.features or {}).get("mels", self.inputs)
        if isinstance(mels, int) and mels != self.inputs:
            raise LoweringError(f"the features have {mels} numbers a frame, the network takes {self.inputs}")
        tokens = (self.alphabet or {}).get("tokens")
        if isinstance(tokens, list | tuple) and len(tokens) + 1 != self.outputs:
            raise LoweringError(
                f"the alphabet has {len(tokens)} tokens and the blank, the network gives {self.outputs} scores a frame"
            )

    @property
    def inputs(self) -> int:
        """Features of an input frame."""
        return ops.widths(self.ops[0])[0]

    @property
    def outputs(self) -> int:
        """Scores of an output frame."""
        return ops.widths(self.ops[-1])[1]

    @property
    def stride(self) -> int:
        """Input frames for each output frame."""
        return int(np.prod([op.stride for op in self.ops if isinstance(op, ops.Conv)], dtype=int))

    @cached_property
    def executor(self) -> Native | Reference:
        """What runs the ops: the native runtime, or the reference where there is none.

        The environment variable ``FEWBIT_TARGET`` asks for an instruction set, or for ``reference``.

        Raises:
            TargetError: what it asks for is not to be had.
        """
        return executor(self.ops)

    def init_state(self) -> Any:
        """State at the start of a stream."""
        return self.executor.init_state()

    def step(self, x: NDArray[np.float32], state: Any) -> tuple[Integers, Any]:
        """Run a chunk ``x: (time, features)`` of any length; returns scores ``(frames, classes)`` in Q10 and the state.

        Raises:
            DecodeError: the chunk has another shape, or holds NaN.
        """
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise DecodeError(f"the Program takes frames (time, {self.inputs}), not {x.shape}")
        if x.dtype.kind not in "fiu":
            raise DecodeError(f"the Program takes frames of real numbers, not of {x.dtype}")
        return self.executor.step(x.astype(np.float32, copy=False), state)

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores ``(frames, classes)`` as real numbers for a whole input ``(time, features)``."""
        return self.step(x, self.init_state())[0] / Q10

    def save(self, path: str | Path) -> Path:
        """Write a ``*.fewbit`` file; it is complete or not there."""
        return write(Path(path), self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of the ``*.fewbit`` file; the same Program gives the same bytes."""
        notes = {"features": self.features, "alphabet": self.alphabet, "recipe": self.recipe}
        return serialize(self.ops, notes)
