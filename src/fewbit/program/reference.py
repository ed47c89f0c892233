"""The slow, obvious executor that defines every number of a Program (NumPy).

Faster executors are right when they give these integers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.program.graph import make_graph
from fewbit.program.numerics import Integers
from fewbit.program.ops import Op, Step

State = tuple[Any, ...]
"""The state of each op, then a list of waiting frames for each op with several inputs."""


class Reference:
    """Executor of a graph of ops; holds unpacked weights and no state.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import Reference, ops
        >>> from fewbit.program.numerics import Rescale
        >>> x = ops.Quantize("x", np.ones(1, np.float32), np.zeros(1, np.float32), -127, 127)
        >>> sums = ops.Pool("sums", 0, 1, 2, 1, Rescale(np.array([1]), 0, -254, 254), left=1)
        >>> run = Reference((x, sums))
        >>> run.step(np.array([[1.0], [2.0], [10.0]]), run.init_state())[0].tolist()
        [[1], [3], [12]]
    """

    def __init__(self, ops: Sequence[Op]) -> None:
        self._graph = make_graph(ops)
        self._prepared = [op.prepare() for op in ops]

    def init_state(self) -> State:
        """State at the start of a stream."""
        graph = self._graph
        queues = [
            [np.zeros((0, graph.values[place].size), np.int64) for place in places]
            for places in graph.inputs
            if len(places) > 1
        ]
        return *(op.start() for op in graph.ops), *queues

    def step(self, x: NDArray[np.float32], state: State, last: bool = False) -> tuple[Integers, State]:
        """Run a chunk ``(time, features)`` and return ``(frames out, size)`` with the new state.

        last: the stream ends with this chunk, so that windows which look ahead are completed with padding.
        """
        graph = self._graph
        queues = list(state[len(graph.ops) :])
        values: list[Integers] = []
        after: list[Any] = []
        waiting: list[list[Integers]] = []
        for op, places, prepared, before in zip(graph.ops, graph.inputs, self._prepared, state, strict=False):
            xs: list[Any] = [values[place] for place in places] or [x]
            if len(places) > 1:  # a frame waits until all inputs have it
                xs = [np.concatenate(pair) for pair in zip(queues[len(waiting)], xs, strict=True)]
                ready = min(len(part) for part in xs)
                waiting.append([part[ready:] for part in xs])
                xs = [part[:ready] for part in xs]
            y, now = op.run(xs, before, Step(prepared, last))
            values.append(y)
            after.append(now)
        return values[-1], (*after, *waiting)
