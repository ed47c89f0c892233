"""What a Program would be made of, and what stands in the way, before anybody trains."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder, Choices
from fewbit.lower.network import Time, lower_node, nodes_to_lower, observe, put_inputs, take_outputs
from fewbit.lower.signals import Signal, fresh_labels
from fewbit.program import Program, cost
from fewbit.quant import attach, calibrate, quantizers


@dataclass(frozen=True)
class Explanation:
    """Ops that a network becomes, and parts that have no integer form.

    program: what `pack` would give, with 8-bit weights and signals if the network had no quantizers; ``None`` where
    something stands in the way. problems: a sentence for each such thing.
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
                bits = "scores" if not value.narrow else f"{int(np.ceil(np.log2(value.high - value.low + 1)))} bits"
                lines.append(f"{row.name[:38]:<40}{row.op:<12}{row.shape[:14]:<16}{bits}")
        lines += [f"- {problem}" for problem in self.problems]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _delay(self) -> str:
        assert self.program is not None
        late, rate = self.program.lookahead, self.program.stride
        return f"{late} frames late" + (f", a result for {rate} frames" if rate > 1 else "")


def explain(model: nn.Module, example: Any = None, time: Time = "auto", context: int | None = None) -> Explanation:
    """Say what will become of each part of a network in a Program; prints it, and returns it.

    Args:
        model: with or without quantizers; it is left as it is.
        example, time, context: as for `fewbit.pack`.

    Raises:
        LoweringError: the network cannot be traced, or the example does not fit it.

    Example:
        >>> from torch import nn, randn
        >>> found = explain(nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)), example=[randn(3, 4)])
        Sequential: packs
        ...
        >>> found.packs
        True
    """
    if not any(True for _ in quantizers(model)):
        model = deepcopy(model)
        attach(model, "int8", "int8")
        if example is not None:
            one = isinstance(example, Tensor | tuple | dict)
            with torch.no_grad():
                calibrate(model.eval(), [example] if one else example)
    builder = Builder(observe(model, example, time), Choices(context))
    problems: list[str] = []
    found: Program | None = None
    put_inputs(builder)
    for node, fused in nodes_to_lower(builder.network):
        try:
            lower_node(builder, node, fused)
        except LoweringError as error:
            problems.append(str(error))
            _stand_in(builder, node)
    if not problems:
        try:
            take_outputs(builder)
            found = Program(tuple(builder.ops))
        except LoweringError as error:
            problems.append(str(error))
    explanation = Explanation(type(model).__name__, found, tuple(dict.fromkeys(problems)))
    print(explanation)
    return explanation


def _stand_in(builder: Builder, node: fx.Node) -> None:
    """Something in place of what has no integer form, so that the rest can be looked at."""

    def signal(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return None
        shape = tuple(value.shape)
        size = max(int(np.prod(shape)), 1)
        labels = fresh_labels(shape, None, list(range(len(shape))))
        return Signal(builder.ops[0].name if builder.ops else "input", size, builder.by_range(node), labels)

    value = node.meta.get("val")
    builder.values[node] = [signal(part) for part in value] if isinstance(value, list | tuple) else signal(value)
