"""The packed network: a graph of integer ops, and what a stream needs besides."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.atomic_file import write_atomically
from fewbit.errors import DecodeError, LoweringError
from fewbit.program import ops
from fewbit.program.graph import Graph, make_graph
from fewbit.program.native_run import Native, executor
from fewbit.program.numerics import Q10, Integers
from fewbit.program.reference import Reference
from fewbit.program.signature import Signature
from fewbit.program.write import serialize


@dataclass(frozen=True, eq=False)
class Program:
    """A network of few-bit integers that runs as a stream.

    ops: in topological order; each names the ops that it reads, or reads the one before it. Sources turn features into
    codes; the last op gives the results.
    features, alphabet: plain descriptions of the front end and of the classes, or ``None``.
    recipe: how the network was made, for the record.
    signature: shapes of the network's own inputs and outputs; without it they are frames ``(time, features)`` and
    scores ``(frames, classes)`` in Q10.

    One Program serves any number of streams: `init_state` and `step` return the state.

    Raises:
        LoweringError: the ops do not fit together.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import Program, ops
        >>> from fewbit.program.numerics import Rescale
        >>> x = ops.Quantize("x", np.ones(1, np.float32), np.zeros(1, np.float32), -127, 127)
        >>> sums = ops.Pool("sums", 0, 1, 2, 1, Rescale(np.array([1]), 0, -254, 254), left=1)
        >>> program = Program((x, sums))
        >>> y, state = program.step(np.array([[1.0], [2.0]]), program.init_state())
        >>> y.tolist(), program.step(np.array([[10.0]]), state)[0].tolist()  # the same for any split
        ([[1], [3]], [[12]])
    """

    ops: tuple[ops.Op, ...]
    features: dict[str, Any] | None = None
    alphabet: dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    signature: Signature | None = None

    def __post_init__(self) -> None:
        _ = self.graph
        mels = (self.features or {}).get("mels", self.inputs)
        if isinstance(mels, int) and mels != self.inputs:
            raise LoweringError(f"the features have {mels} numbers a frame, the network takes {self.inputs}")
        tokens = (self.alphabet or {}).get("tokens")
        if isinstance(tokens, list | tuple) and len(tokens) + 1 != self.outputs:
            raise LoweringError(
                f"the alphabet has {len(tokens)} tokens and the blank, the network gives {self.outputs} scores a frame"
            )
        pieces = (self.alphabet or {}).get("pieces")
        if isinstance(pieces, list | tuple) and len(pieces) != self.outputs:
            raise LoweringError(f"there are {len(pieces)} byte pairs, the network gives {self.outputs} scores a frame")
        if self.signature is not None:
            self._check_signature(self.signature)

    def _check_signature(self, signature: Signature) -> None:
        sides = (signature.inputs, self.inputs), (signature.outputs, self.outputs)
        for ports, size in sides:
            if [port.first for port in ports] != list(np.cumsum([0, *(port.size for port in ports[:-1])])):
                raise LoweringError("the ports of the signature do not lie side by side")
            if sum(port.size for port in ports) != size:
                raise LoweringError(f"the ports of the signature have {sum(p.size for p in ports)} numbers, not {size}")

    @cached_property
    def graph(self) -> Graph:
        """The wiring of the ops, with the range and timing of each result."""
        return make_graph(self.ops)

    @property
    def inputs(self) -> int:
        """Features of an input frame."""
        return self.graph.features

    @property
    def outputs(self) -> int:
        """Scores of an output frame."""
        return self.graph.values[-1].size

    @property
    def stride(self) -> int:
        """Input frames for each output frame."""
        return self.graph.timings[-1].rate

    @property
    def lookahead(self) -> int:
        """Number of later input frames that an output frame waits for."""
        return self.graph.timings[-1].late

    @property
    def fraction_bits(self) -> int:
        """Results are in units of ``2**-fraction_bits``: 10 for scores without a signature."""
        return 10 if self.signature is None else self.signature.outputs[0].fraction_bits

    @cached_property
    def executor(self) -> Native | Reference:
        """What runs the ops: the native runtime, or the reference where there is none.

        The environment variable ``FEWBIT_TARGET`` asks for an instruction set, or for ``reference``.

        Raises:
            TargetError: the instruction set does not run here, or the library is missing.
        """
        return executor(self.ops)

    def init_state(self) -> Any:
        """State at the start of a stream.

        Raises:
            DecodeError: the network needs its whole input at once.
        """
        if self.graph.whole is not None:
            raise DecodeError(
                f"{self.graph.whole.name} ({self.graph.whole.kind}) needs the whole input at once, so the network "
                "cannot run as a stream; call the Program with a whole input, or give the layer a finite context"
            )
        return self.executor.init_state()

    def step(self, x: NDArray[np.float32], state: Any, last: bool = False) -> tuple[Integers, Any]:
        """Run a chunk ``x: (time, features)`` of any length; returns scores ``(frames, classes)`` in Q10 and the state.

        last: the stream ends with this chunk; a network that looks ahead then gives its last frames.

        Raises:
            DecodeError: the chunk has another shape, or holds NaN.
        """
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise DecodeError(f"the Program takes frames (time, {self.inputs}), not {x.shape}")
        if x.dtype.kind not in "fiu":
            raise DecodeError(f"the Program takes frames of real numbers, not of {x.dtype}")
        return self.executor.step(x.astype(np.float32, copy=False), state, last)

    def __call__(self, *xs: Any) -> Any:
        """Real-valued results for one whole example, in the shapes of the network without its batch axis.

        Without a signature: scores ``(frames, classes)`` for an input ``(time, features)``.

        Raises:
            DecodeError: the inputs have other shapes, or hold NaN.
        """
        if self.signature is None:
            if len(xs) != 1:
                raise DecodeError(f"the Program takes 1 array (frames), not {len(xs)}")
            return self.step(xs[0], self.executor.init_state(), last=True)[0] / Q10
        frames, run = self.signature.frames(xs), self.executor
        state: Any = run.init_state()
        return self.signature.arrays(run.step(frames, state, True)[0])

    def save(self, path: str | Path) -> Path:
        """Write a ``*.fewbit`` file; it is complete or not there."""
        return write_atomically(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """The content of the ``*.fewbit`` file; the same Program gives the same bytes."""
        notes = {"features": self.features, "alphabet": self.alphabet, "recipe": self.recipe}
        if self.signature is not None:
            notes["signature"] = self.signature.to_dict()
        return serialize(self.ops, notes)
