"""The ops that a network will become, and the parts that have no integer form, before training."""

from copy import deepcopy
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder, Choices
from fewbit.lower.examples import made_up_examples
from fewbit.lower.network import Time, lower_node, nodes_to_lower, observe, put_inputs, take_outputs, with_short_inputs
from fewbit.lower.signals import Signal, fresh_labels
from fewbit.lower.weights import SignalCodes
from fewbit.program import Program, cost
from fewbit.program.numerics import INT16
from fewbit.program.signature import Signature
from fewbit.quant import attach, calibrate, quantizers

COLUMNS = 80
"""Of what is printed."""


@dataclass(frozen=True)
class Explanation:
    """Ops that a network becomes, and parts that have no integer form.

    program: the Program that `pack` would make, with 8-bit weights and signals if the network has no quantizers, or
    ``None`` if there are problems. problems: one sentence for each.

    Examples:
        >>> import fewbit as fb
        >>> from torch import nn, randn
        >>> network = nn.Sequential(nn.Linear(4, 4), nn.Hardshrink())
        >>> found = fb.explain(network, example=[randn(2, 4)])  # doctest: +ELLIPSIS
        Sequential: ...
        >>> found.packs, len(found.problems)
        (False, 1)
    """

    network: str
    program: Program | None
    problems: tuple[str, ...]

    @property
    def packs(self) -> bool:
        """Whether `fewbit.pack` takes the network."""
        return self.program is not None

    def __str__(self) -> str:
        lines = [f"{self.network}: " + ("packs" if self.packs else f"does not pack ({len(self.problems)} problems)")]
        if self.program is not None:
            graph = self.program.graph
            streams = "needs its whole input at once" if graph.whole else f"a stream, {self._delay()}"
            lines += [f"{streams}; {len(graph.ops)} ops", ""]
            for row, value in zip(cost(self.program).ops, graph.values, strict=True):
                bits = "scores" if not value.fits_int16 else f"{int(np.ceil(np.log2(value.high - value.low + 1)))} bits"
                lines.append(f"{row.name[:38]:<40}{row.op:<12}{row.shape[:14]:<16}{bits}")
        lines += [_wrapped(problem) for problem in self.problems]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _delay(self) -> str:
        assert self.program is not None
        late, rate = self.program.lookahead, self.program.stride
        return f"{late} frames late" + (f", a result for {rate} frames" if rate > 1 else "")


def _wrapped(problem: str) -> str:
    return fill(
        problem, COLUMNS, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def explain(model: nn.Module, example: Any = None, time: Time = "auto", context: int | None = None) -> Explanation:
    """Print and return what each part of a network becomes in a Program.

    Args:
        model: with or without quantizers; it is left as it is.
        example, time, context: as for `fewbit.pack`.

    Raises:
        LoweringError: the network cannot be traced, or the example does not fit it.

    Examples:
        >>> from torch import nn, randn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
        >>> found = explain(model, example=[randn(3, 4)])  # doctest: +ELLIPSIS
        Sequential: packs
        ...
        >>> found.packs
        True
    """
    if not any(True for _ in quantizers(model)):
        model = deepcopy(model)
        attach(model, "int8", "int8")
        batches = [_noise(model)] if example is None else example
        one = isinstance(batches, Tensor | tuple | dict)
        with torch.no_grad():
            calibrate(model.eval(), [batches] if one else batches)
    builder = Builder(observe(model, example, time), Choices(context, fraction_bits=10 if example is None else None))
    problems: list[str] = []
    found: Program | None = None
    inputs = put_inputs(builder)
    for node, fused in nodes_to_lower(builder.network):
        try:
            lower_node(builder, node, fused)
        except LoweringError as error:
            problems.append(str(error))
            _stand_in(builder, node)
    if not problems:
        try:
            signature = Signature(tuple(inputs), tuple(take_outputs(builder)))
            found = Program(tuple(with_short_inputs(builder.ops)), signature=None if example is None else signature)
        except LoweringError as error:
            problems.append(str(error))
    explanation = Explanation(type(model).__name__, found, tuple(dict.fromkeys(problems)))
    print(explanation)
    return explanation


def _noise(model: nn.Module) -> Any:
    """Random inputs for calibration where there is no example."""
    args, _ = made_up_examples(model).first
    return tuple(torch.randn_like(each) if each.is_floating_point() else each for each in args)


def _stand_in(builder: Builder, node: fx.Node) -> None:
    """A placeholder for a part without an integer form, so that the rest can be checked."""
    axes = builder.network.axes[node]
    time = axes[0] if len(axes) == 1 else None
    codes = SignalCodes(1.0, *INT16) if builder.network.is_made_up else builder.by_range(node)

    def signal(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return None
        shape = tuple(value.shape)
        order = [axis for axis in range(len(shape)) if axis != time]
        size = max(int(np.prod([shape[axis] for axis in order])), 1)
        frames = 1 if time is None else shape[time]
        return Signal(builder.name(node), size, codes, fresh_labels(shape, time, order), frames)

    value = node.meta.get("val")
    builder.values[node] = [signal(part) for part in value] if isinstance(value, list | tuple) else signal(value)
