"""What a recurrent cell is drawn with: nodes and edges.

    sums[t] = sum or product over the incoming edges of what they carry,   node[t] = activation(sums[t])

    full        W source[t - delay]      a matrix of its own; from a constant: a vector of its own
    identity    source[t - delay]        of the same size
    broadcast   source[t - delay]        of size 1, for every unit of the target

An edge may read a range of its source only, so one wide node can make all gates with one matrix product.

References:
    Hwang, Sung 2015, "Single stream parallelization of generalized LSTM-like RNNs on a GPU" (arXiv 1503.02852).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fewbit.errors import GraphError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "linear": None,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softplus": functional.softplus,
    "one_minus": lambda x: 1 - x,
}
AGGREGATIONS = ("sum", "product", "input", "constant")
KINDS = ("full", "identity", "broadcast")
SIGNALS = (None, "narrow", "wide")


@dataclass(frozen=True)
class Node:
    """One layer of units.

    Args:
        name: letters, digits and underscores; it is part of the names of parameters.
        size: units.
        aggregation: "sum" or "product" of what comes in; "input": the features of a frame; "constant": always 1.
        activation: "linear", "sigmoid", "tanh", "relu", "softplus" or "one_minus".
        signal: where hardware would store the node's value, the `Signal` at which a quantizer may be hooked:
            "narrow", or "wide" for what Programs keep at 16 bits.

    Raises:
        GraphError: a field is not one of these.

    Examples:
        >>> Node("gate", 4, activation="sigmoid").computed, Node("x", 3, "input").computed
        (True, False)
    """

    name: str
    size: int
    aggregation: str = "sum"
    activation: str = "linear"
    signal: str | None = None

    def __post_init__(self) -> None:
        where = f"Node({self.name!r})"
        if not re.fullmatch(r"[A-Za-z]\w*", self.name):
            raise GraphError(f"{where}: a name is a letter and then letters, digits and underscores")
        if self.size < 1:
            raise GraphError(f"{where}: size is {self.size}; wanted at least one unit")
        _one_of(where, "aggregation", self.aggregation, AGGREGATIONS)
        _one_of(where, "activation", self.activation, tuple(ACTIVATIONS))
        _one_of(where, "signal", self.signal, SIGNALS)
        if not self.computed and (self.activation != "linear" or self.signal):
            raise GraphError(
                f"{where}: a node of kind {self.aggregation!r} has neither activation nor signal; put a node behind it"
            )
        if self.aggregation == "constant" and self.size != 1:
            raise GraphError(f"{where}: a constant has size 1, not {self.size}; edges widen it")

    @property
    def computed(self) -> bool:
        """Whether its value comes in over edges."""
        return self.aggregation in ("sum", "product")


@dataclass(frozen=True)
class Edge:
    """A connection between two nodes, or from a node to its own later frames.

    Args:
        source, target: names of nodes.
        kind: "full", "identity" or "broadcast".
        delay: frames by which the source is late; before the stream starts everything is 0.
        start, stop: the units of the source that are read, as in a slice; all of them where `stop` is left out.
        name: how its parameter is called; left out: ``source_target``, and ``_delay`` behind it if there is one.
        initial: numbers at which a parameter starts, one for each equal block of target units. Left out: biases at 0,
            all else uniform within one over the root of its inputs.

    Raises:
        GraphError: a field is not one of these.

    Examples:
        >>> str(Edge("h", "gates", delay=1))
        'h -> gates (delay 1)'
    """

    source: str
    target: str
    kind: str = "full"
    delay: int = 0
    start: int = 0
    stop: int | None = None
    name: str = ""
    initial: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _one_of(f"Edge {self}", "kind", self.kind, KINDS)
        if self.delay < 0:
            raise GraphError(f"Edge {self}: delay is {self.delay}; a node cannot read later frames")
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            raise GraphError(f"Edge {self}: reads units {self.start} to {self.stop}; wanted 0 <= start < stop")
        if self.kind != "full" and (self.name or self.initial):
            raise GraphError(f"Edge {self}: has a name or initial values but no parameter; only full edges have one")

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}" + (f" (delay {self.delay})" if self.delay else "")

    @property
    def label(self) -> str:
        """The name of its parameter without the word in front."""
        return self.name or f"{self.source}_{self.target}" + (f"_{self.delay}" if self.delay else "")


def _one_of(where: str, what: str, seen: str | None, wanted: tuple[str | None, ...]) -> None:
    if seen not in wanted:
        raise GraphError(f"{where}: {what} is {seen!r}; wanted one of {list(wanted)}")
