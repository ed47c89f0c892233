"""Chains of ops with two clocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewbit.program.limits import MAX_FRAME_SIZE
from fewbit.program.numerics import Integers
from fewbit.program.ops.base import Matrix, Op, Step, Value, demand, one_input, union

Parts = tuple[Op, ...]
FIRST_PARTS = ("requantize", "dense", "sru", "lstm", "gru")
"""Kinds that files of version 1 know as parts."""


@dataclass(frozen=True, eq=False)
class Hierarchy(Op):
    """Three chains of ops with two clocks; a frame ``x`` ends a word where a column of `boundaries` is above 0.

    `letters` reads ``x``. Where a word ends, `words` reads the result of `letters` in the frame before, then ``x``, and
    runs once; else its result, at first zeros, stays. `spelling` reads the result of `letters` (if `direct` is 1:
    ``x``), then that of `words`, and gives the result of the op. `letters` and `spelling` start anew at the frame that
    ends a word.

    State: that of each chain, and the results of `letters` and `words`.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> same = Rescale(np.array([1]), 0, -128, 127)
        >>> letters, words = (ops.Requantize("letters", 2, same),), (ops.Requantize("words", 4, same),)
        >>> op = ops.Hierarchy("h", np.array([1]), 0, letters, words, (ops.Requantize("spelling", 6, same),))
        >>> op.run([np.array([[5, 0], [6, 1], [7, 0]])], op.start(), ops.Step(op.prepare()))[0].tolist()
        [[5, 0, 0, 0, 0, 0], [6, 1, 5, 0, 6, 1], [7, 0, 5, 0, 6, 1]]
    """

    boundaries: Integers
    direct: int
    letters: Parts
    words: Parts
    spelling: Parts

    kind: ClassVar[str] = "hierarchy"

    @property
    def chains(self) -> tuple[Parts, Parts, Parts]:
        """Letters, words, spelling."""
        return self.letters, self.words, self.spelling

    def value(self, inputs: Sequence[Value]) -> Value:
        x = one_input(self, inputs)
        demand(self.direct in (0, 1), "'direct' is neither 0 nor 1")
        demand(bool((self.boundaries >= 0).all() and (self.boundaries < x.size).all()), "'boundaries' are no columns")
        return self.results(x)[2]

    def reads(self, x: Value) -> tuple[Value, Value, Value]:
        """What each of the chains reads, if the op itself reads `x`."""
        letters = result(self.letters, x)
        read = Value(letters.size + x.size, *union((letters, x)), f"the input of {self.name}.words")
        words, beside = result(self.words, read), x if self.direct else letters
        joined = Value(beside.size + words.size, *union((beside, words)), f"the input of {self.name}.spelling")
        return x, read, joined

    def results(self, x: Value) -> list[Value]:
        """What each of the chains gives, if the op itself reads `x`."""
        return [result(chain, read) for chain, read in zip(self.chains, self.reads(x), strict=True)]

    def parts(self, x: Value) -> list[tuple[Op, Value]]:
        """Each op of the chains, with what it reads."""
        found = []
        for chain, read in zip(self.chains, self.reads(x), strict=True):
            for op in chain:
                found.append((op, read))
                read = op.value([read])
        return found

    def products(self, inputs: Sequence[Value]) -> list[tuple[Matrix, Value]]:
        return [product for op, read in self.parts(inputs[0]) for product in op.products([read])]

    def matrices(self) -> list[Matrix]:
        return [matrix for chain in self.chains for op in chain for matrix in op.matrices()]

    def prepare(self) -> Sequence[Any]:
        return [[Step(op.prepare()) for op in chain] for chain in self.chains]

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        kept = sum(value.size for value in self.results(inputs[0])[:2])
        return kept + sum(op.state_numbers([read]) for op, read in self.parts(inputs[0]))

    def work_numbers(self, inputs: Sequence[Value]) -> int:
        return sum(op.work_numbers([read]) + read.size for op, read in self.parts(inputs[0]))

    def start(self) -> Any:
        return *(start_chain(chain) for chain in self.chains), None, None

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        letters, words, spelling, spelt, context = state
        x, results = xs[0], self.results(Value(xs[0].shape[1], 0, 0))
        spelt, context = (
            np.zeros(value.size, np.int64) if kept is None else kept
            for kept, value in zip((spelt, context), results, strict=False)
        )
        y = np.zeros((len(x), results[2].size), np.int64)
        for t in range(len(x)):
            frame = x[t : t + 1]
            if (frame[0, self.boundaries] > 0).any():
                word = np.concatenate([spelt, frame[0]])[None]
                (context,), words = run_chain(self.words, word, words, step.products[1])
                letters, spelling = start_chain(self.letters), start_chain(self.spelling)
            (spelt,), letters = run_chain(self.letters, frame, letters, step.products[0])
            read = np.concatenate([frame[0] if self.direct else spelt, context])[None]
            (y[t],), spelling = run_chain(self.spelling, read, spelling, step.products[2])
        return y, (letters, words, spelling, spelt, context)

    def is_new(self) -> bool:
        parts = [part for chain in self.chains for part in chain]
        return super().is_new() or any(part.kind not in FIRST_PARTS or part.is_new() for part in parts)


def result(chain: Parts, read: Value) -> Value:
    """The result of a chain that reads a value. Its ops must keep the count of frames and fit 16 bits."""
    demand(bool(chain), "a part of the hierarchy has no op")
    for op in chain:
        alone = not (op.inputs or op.source or op.whole or isinstance(op, Hierarchy))
        demand(alone and op.window.keeps_count, f"{op.name} cannot be a part of a chain")
        read = op.value([read])
        demand(read.size <= MAX_FRAME_SIZE, f"{op.name} gives {read.size} numbers a frame, more than {MAX_FRAME_SIZE}")
        demand(read.fits_int16, f"the results of {op.name} leave 16 bits")
        read = Value(read.size, read.low, read.high, op.name)
    return read


def start_chain(chain: Parts) -> tuple[Any, ...]:
    """State of a chain at the start of a stream."""
    return tuple(op.start() for op in chain)


def run_chain(chain: Parts, x: Any, state: Any, steps: Sequence[Step]) -> tuple[Integers, tuple[Any, ...]]:
    """Output and new state of a chain for a chunk ``x: (time, size)``."""
    after = []
    for op, step, before in zip(chain, steps, state, strict=True):
        x, now = op.run([x], before, step)
        after.append(now)
    return x, tuple(after)
