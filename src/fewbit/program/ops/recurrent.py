"""Recurrent layers: gates from products, then a state that moves step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewbit.program.limits import MAX_SHIFT
from fewbit.program.numerics import (
    INT16,
    INT32,
    Q15,
    Integers,
    Rescale,
    fine_sigmoid,
    fine_tanh,
    mix,
    saturate,
    shift_round,
    sigmoid,
    tanh,
)
from fewbit.program.ops.base import (
    Matrix,
    Op,
    Step,
    Value,
    Window,
    check_bias,
    check_multipliers,
    check_sums,
    demand,
    one_input,
)
from fewbit.program.ops.windows import start_window, take_windows

FINE = (-(1 << 19), (1 << 19) - 1)
"""20 bits: Q3.12 up to 128."""


@dataclass(frozen=True, eq=False)
class SRU(Op):
    """Gates ``a = rescale(acc)`` in Q3.12, in blocks of `hidden`: candidate, forget, reset (, skip).

    ``c = saturate16(mix(sigmoid(forget), c, candidate))``, state, Q3.12;
    ``y = clamp(shift_round(shift_round(r * tanh(c), 15) * cell_multiplier + (2**15 - r) * skip * skip_multiplier,
    shift))`` with ``r = sigmoid(reset)`` and skip the fourth block, or the input codes where there is none.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> from fewbit.formats import Int, PerRow, pack
        >>> weight = ops.Matrix(3, 1, Int(8), "bits", PerRow(), pack(np.full((3, 1), 64), Int(8)))
        >>> gates = Rescale(np.array([64]), 0, -32768, 32767)
        >>> op = ops.SRU("memory", 1, weight, np.zeros(3, np.int64), gates, 127, 0, 15, -127, 127)
        >>> op.run([np.array([[1], [1], [1]])], op.start(), ops.Step(op.prepare()))[0].ravel().tolist()
        [24, 40, 50]
    """

    hidden: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    cell_multiplier: int
    skip_multiplier: int
    shift: int
    low: int
    high: int

    kind: ClassVar[str] = "sru"

    def value(self, inputs: Sequence[Value]) -> Value:
        rows, columns = self.weight.rows, self.weight.columns
        check_gates(self.weight, self.bias, self.rescale)
        blocks = (3, 4) if columns == self.hidden else (4,)
        demand(self.hidden >= 1 and rows in [b * self.hidden for b in blocks], "'weight' does not fit 'hidden'")
        demand(0 <= self.shift <= MAX_SHIFT and self.low <= self.high, "'shift', 'low' or 'high' is out of range")
        check_sums("weight", self.weight, one_input(self, inputs, columns), self.rescale, self.bias)
        return Value(self.hidden, self.low, self.high)

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return self.hidden

    def products(self, inputs: Sequence[Value]) -> list[tuple[Matrix, Value]]:
        return [(self.weight, inputs[0])]

    def start(self) -> Any:
        return np.zeros(self.hidden, np.int64)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        gates = self.rescale(step.products[0](xs[0]) + self.bias)
        n = self.hidden
        candidate, forget, reset = gates[:, :n], sigmoid(gates[:, n : 2 * n]), sigmoid(gates[:, 2 * n : 3 * n])
        skip = gates[:, 3 * n :] if gates.shape[1] > 3 * n else xs[0]
        cells = np.zeros_like(candidate)
        for t in range(len(cells)):
            state = saturate(mix(forget[t], state, candidate[t]), *INT16)
            cells[t] = state
        inner = shift_round(reset * tanh(cells), 15) * self.cell_multiplier
        y = shift_round(inner + (Q15 - reset) * skip * self.skip_multiplier, self.shift)
        return saturate(y, self.low, self.high), state


@dataclass(frozen=True, eq=False)
class QRNN(Op):
    """Windows as in `Conv` with stride 1; gates ``a = rescale(acc)`` in Q3.12: candidate, forget, output.

    ``c = mix(sigmoid(forget), c, tanh(candidate))``, state, Q15; ``y = output(shift_round(sigmoid(o) * c, 15))``.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> from fewbit.formats import Int, PerRow, pack
        >>> weight = ops.Matrix(3, 1, Int(8), "bits", PerRow(), pack(np.full((3, 1), 64), Int(8)))
        >>> gates, output = Rescale(np.array([64]), 0, -32768, 32767), Rescale(np.array([127]), 15, -127, 127)
        >>> op = ops.QRNN("memory", 1, 1, weight, np.zeros(3, np.int64), gates, output)
        >>> op.run([np.array([[1], [1], [1]])], op.start(), ops.Step(op.prepare()))[0].ravel().tolist()
        [19, 33, 43]
    """

    hidden: int
    kernel: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    output: Rescale

    kind: ClassVar[str] = "qrnn"

    @property
    def window(self) -> Window:
        return Window(self.kernel, 1, self.kernel - 1)

    def value(self, inputs: Sequence[Value]) -> Value:
        check_gates(self.weight, self.bias, self.rescale)
        self.window.check()
        demand(self.weight.columns % self.kernel == 0, "the columns of 'weight' are no multiple of 'kernel'")
        demand(self.hidden >= 1 and self.weight.rows == 3 * self.hidden, "'weight' does not fit 'hidden'")
        check_multipliers("output", self.output, self.hidden)
        x = one_input(self, inputs, self.weight.columns // self.kernel)
        check_sums("weight", self.weight, x, self.rescale, self.bias)
        return Value(self.hidden, self.output.low, self.output.high)

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return (self.kernel - 1) * (self.weight.columns // self.kernel) + self.hidden

    def products(self, inputs: Sequence[Value]) -> list[tuple[Matrix, Value]]:
        return [(self.weight, inputs[0])]

    def start(self) -> Any:
        return start_window(self.window, self.weight.columns // self.kernel), np.zeros(self.hidden, np.int64)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        waiting, cell = state
        found, waiting = take_windows(xs[0], waiting, self.window, self.kernel, 1)
        gates = self.rescale(step.products[0](found.reshape(len(found), self.weight.columns)) + self.bias)
        n = self.hidden
        candidate, forget, output = tanh(gates[:, :n]), sigmoid(gates[:, n : 2 * n]), sigmoid(gates[:, 2 * n :])
        cells = np.zeros_like(candidate)
        for t in range(len(cells)):
            cell = mix(forget[t], cell, candidate[t])
            cells[t] = cell
        return self.output(shift_round(output * cells, 15)), (waiting, cell)


@dataclass(frozen=True, eq=False)
class LSTM(Op):
    """Gates ``a = saturate16(rescale(acc) + rescale_hidden(W_hidden h))`` in Q3.12: input, forget, candidate, output.

    ``c = saturate16(shift_round(8 * f * c + i * g, 18))``, state, Q3.12; ``h = output(shift_round(o * tanh(c), 15))``,
    state and result.

    With `fine` 1, tanh and sigmoid are `fine_tanh` and `fine_sigmoid`, each half of the gate inputs has 20 bits (their
    sum is saturated to 16), and the cell has 16 fractional bits of 32:
    ``c = saturate32(shift_round(f * c + 2 * i * g, 15))`` and ``tanh(saturate16(shift_round(c, 4)))``.

    The bias counts ``2**-bias_bits`` of an accumulator of the input half: ``acc = (W x << bias_bits) + bias``.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> from fewbit.formats import Int, PerRow, pack
        >>> weight = ops.Matrix(4, 1, Int(8), "bits", PerRow(), pack(np.full((4, 1), 64), Int(8)))
        >>> gates, output = Rescale(np.array([64]), 0, -32768, 32767), Rescale(np.array([127]), 15, -127, 127)
        >>> op = ops.LSTM("memory", 1, weight, np.zeros(4, np.int64), gates, weight, output, output)
        >>> op.run([np.array([[1], [1], [1]])], op.start(), ops.Step(op.prepare()))[0].ravel().tolist()
        [47, 69, 79]
    """

    hidden: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    weight_hidden: Matrix
    rescale_hidden: Rescale
    output: Rescale
    fine: int = 0
    bias_bits: int = 0

    kind: ClassVar[str] = "lstm"

    def value(self, inputs: Sequence[Value]) -> Value:
        check_hidden_half(self, 4)
        return check_both_sums(self, inputs)

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return 2 * self.hidden

    def products(self, inputs: Sequence[Value]) -> list[tuple[Matrix, Value]]:
        return [(self.weight, inputs[0]), (self.weight_hidden, self.value(inputs))]

    def start(self) -> Any:
        return np.zeros(self.hidden, np.int64), np.zeros(self.hidden, np.int64)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        hidden, cell = state
        n = self.hidden
        y = np.zeros((len(xs[0]), n), np.int64)
        tanh_of, sigmoid_of = (fine_tanh, fine_sigmoid) if self.fine else (tanh, sigmoid)
        for t, part in enumerate(self.rescale((step.products[0](xs[0]) << self.bias_bits) + self.bias)):
            gates = saturate(part + self.rescale_hidden(step.products[1](hidden)), *INT16)
            i, f, o = sigmoid_of(gates[:n]), sigmoid_of(gates[n : 2 * n]), sigmoid_of(gates[3 * n :])
            g = tanh_of(gates[2 * n : 3 * n])
            if self.fine:
                cell = saturate(shift_round(f * cell + 2 * i * g, 15), *INT32)
                seen = saturate(shift_round(cell, 4), *INT16)
            else:
                cell = seen = saturate(shift_round(8 * f * cell + i * g, 18), *INT16)
            y[t] = hidden = self.output(shift_round(o * tanh_of(seen), 15))
        return y, (hidden, cell)

    def is_new(self) -> bool:
        return super().is_new() or self.fine != 0 or self.bias_bits != 0


@dataclass(frozen=True, eq=False)
class GRU(Op):
    """``a = rescale(acc)``, ``b = rescale_hidden(W_hidden h)`` in Q3.12, blocks: reset, update, candidate.

    ``r, z = sigmoid(saturate16(a + b))``; ``d = saturate16(b + bias_hidden)`` in the candidate block;
    ``n = tanh(saturate16(a + shift_round(r * d, 15)))``; ``s = mix(z, s, n)``, state, Q15; ``h = output(s)``, state
    and result. bias_hidden is in Q3.12. With `fine` 1, tanh and sigmoid are `fine_tanh` and `fine_sigmoid`,
    and ``a``, ``b`` and ``d`` have 20 bits (gate inputs are saturated to 16 when both halves are added). `bias_bits` as
    in `LSTM`.

    Examples:
        >>> import numpy as np
        >>> from fewbit.program import ops
        >>> from fewbit.program.numerics import Rescale
        >>> from fewbit.formats import Int, PerRow, pack
        >>> weight = ops.Matrix(3, 1, Int(8), "bits", PerRow(), pack(np.full((3, 1), 64), Int(8)))
        >>> gates, output = Rescale(np.array([64]), 0, -32768, 32767), Rescale(np.array([127]), 15, -127, 127)
        >>> bias = np.zeros(3, np.int64)
        >>> op = ops.GRU("memory", 1, weight, bias, gates, weight, bias[:1], output, output)
        >>> op.run([np.array([[1], [1], [1]])], op.start(), ops.Step(op.prepare()))[0].ravel().tolist()
        [26, 45, 59]
    """

    hidden: int
    weight: Matrix
    bias: Integers
    rescale: Rescale
    weight_hidden: Matrix
    bias_hidden: Integers
    rescale_hidden: Rescale
    output: Rescale
    fine: int = 0
    bias_bits: int = 0

    kind: ClassVar[str] = "gru"

    def value(self, inputs: Sequence[Value]) -> Value:
        check_hidden_half(self, 3)
        demand(len(self.bias_hidden) == self.hidden, "'bias_hidden' does not fit 'hidden'")
        return check_both_sums(self, inputs)

    def state_numbers(self, inputs: Sequence[Value]) -> int:
        return 2 * self.hidden

    def products(self, inputs: Sequence[Value]) -> list[tuple[Matrix, Value]]:
        return [(self.weight, inputs[0]), (self.weight_hidden, self.value(inputs))]

    def start(self) -> Any:
        return np.zeros(self.hidden, np.int64), np.zeros(self.hidden, np.int64)

    def run(self, xs: Sequence[Any], state: Any, step: Step) -> tuple[Integers, Any]:
        hidden, slow = state
        n = self.hidden
        y = np.zeros((len(xs[0]), n), np.int64)
        tanh_of, sigmoid_of = (fine_tanh, fine_sigmoid) if self.fine else (tanh, sigmoid)
        for t, part in enumerate(self.rescale((step.products[0](xs[0]) << self.bias_bits) + self.bias)):
            back = self.rescale_hidden(step.products[1](hidden))
            gates = sigmoid_of(saturate(part[: 2 * n] + back[: 2 * n], *INT16))
            r, z = gates[:n], gates[n:]
            inner = saturate(back[2 * n :] + self.bias_hidden, *(FINE if self.fine else INT16))
            candidate = tanh_of(saturate(part[2 * n :] + shift_round(r * inner, 15), *INT16))
            slow = mix(z, slow, candidate)
            y[t] = hidden = self.output(slow)
        return y, (hidden, slow)

    def is_new(self) -> bool:
        return super().is_new() or self.fine != 0 or self.bias_bits != 0


def check_gates(weight: Matrix, bias: Integers, rescale: Rescale) -> None:
    """The input half of a recurrent layer."""
    check_bias(bias, weight.rows)
    check_multipliers("rescale", rescale, weight.rows, fits_int16=True)


def check_fine_half(name: str, rescale: Rescale) -> None:
    """A half of the gate inputs that have 20 bits."""
    demand(FINE[0] <= rescale.low and rescale.high <= FINE[1], f"'{name}' leaves 20 bits")


def check_hidden_half(op: LSTM | GRU, blocks: int) -> None:
    """Both halves of a layer whose result is multiplied again."""
    demand(op.fine in (0, 1), "'fine' is neither 0 nor 1")
    check_bias(op.bias, op.weight.rows)
    check_multipliers("rescale", op.rescale, op.weight.rows, fits_int16=not op.fine)
    rows, back = blocks * op.hidden, op.weight_hidden
    fits = op.hidden >= 1 and op.weight.rows == back.rows == rows and back.columns == op.hidden
    demand(fits, "'weight' or 'weight_hidden' does not fit 'hidden'")
    check_multipliers("rescale_hidden", op.rescale_hidden, rows, fits_int16=not op.fine)
    if op.fine:
        check_fine_half("rescale", op.rescale)
        check_fine_half("rescale_hidden", op.rescale_hidden)
    check_multipliers("output", op.output, op.hidden, fits_int16=True)


def check_both_sums(op: LSTM | GRU, inputs: Sequence[Value]) -> Value:
    """The products of a layer whose result is multiplied again, and that result."""
    y = Value(op.hidden, op.output.low, op.output.high)
    x = one_input(op, inputs, op.weight.columns)
    check_sums("weight", op.weight, x, op.rescale, op.bias, op.bias_bits)
    check_sums("weight_hidden", op.weight_hidden, y, op.rescale_hidden)
    return y
