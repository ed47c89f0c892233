"""The table of rules: what each operator of a traced network becomes.

A rule takes the builder and a node and sets the node's value. Each family has a file; ``@rule(...)`` registers a rule.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder
from fewbit.lower.observed import Observed
from fewbit.lower.remedies import REMEDIES
from fewbit.tracing import args_of

Rule = Callable[[Builder, fx.Node], None]
RULES: dict[Any, Rule] = {}

aten = torch.ops.aten


def rule(*operators: Any) -> Callable[[Rule], Rule]:
    """Register a rule for operators."""

    def enter(function: Rule) -> Rule:
        for operator in operators:
            RULES[operator] = function
        return function

    return enter


@dataclass(frozen=True)
class Fused:
    """Several nodes that become one op: the nodes before the last one, and the rule for the last one."""

    steps: frozenset[fx.Node]
    lower: Rule


Pattern = Callable[[Observed, fx.Node], Fused | None]
PATTERNS: list[Pattern] = []
"""What looks whether a node is the last of several that become one op."""


def pattern(function: Pattern) -> Pattern:
    """Register a pattern."""
    PATTERNS.append(function)
    return function


def find_patterns(network: Observed) -> dict[fx.Node, Fused]:
    """The nodes that end a pattern."""
    found = {}
    for node in network.nodes:
        if node.op == "call_function" and node in network.needed:
            matches = (match(network, node) for match in PATTERNS)
            fused = next((each for each in matches if each is not None), None)
            if fused is not None:
                found[node] = fused
    return found


def arguments(node: fx.Node, **defaults: Any) -> list[Any]:
    """The arguments of a node in the order of `defaults`, positional and named alike."""
    names = list(defaults)
    found = dict(zip(names, args_of(node), strict=False)) | {k: v for k, v in node.kwargs.items() if k in defaults}
    return [found.get(name, defaults[name]) for name in names]


def find_rule(node: fx.Node) -> Rule:
    """The rule for a node.

    Raises:
        LoweringError: there is none.
    """
    found = RULES.get(node.target)
    if found is None:
        if node.target in REMEDIES:
            what, instead = REMEDIES[node.target]
            raise LoweringError(f"{what} ({node.target}) has no integer op; {instead}")
        raise LoweringError(
            f"no integer op is known for {node.target}; put it outside of the network that is packed, or write it with "
            "operators that have one (docs/guides/pack-your-own-model.md lists them)"
        )
    return found
