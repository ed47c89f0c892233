"""The table of rules: what each operator of a traced network becomes.

A rule takes the builder and a node and sets the node's value. It lies in the file of its family, under ``@rule(...)``.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from fewbit.errors import LoweringError
from fewbit.lower.builder import Builder
from fewbit.lower.observed import args_of

Rule = Callable[[Builder, fx.Node], None]
RULES: dict[Any, Rule] = {}

aten = torch.ops.aten


def rule(*operators: Any) -> Callable[[Rule], Rule]:
    """Enter a rule for operators."""

    def enter(function: Rule) -> Rule:
        for operator in operators:
            RULES[operator] = function
        return function

    return enter


def arguments(node: fx.Node, **defaults: Any) -> list[Any]:
    """The arguments of a node in the order of `defaults`, however they were given."""
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
        raise LoweringError(
            f"no integer op is known for {node.target}; put it outside of the network that is packed, or write it with "
            "operators that have one (docs/guides/pack-your-own-model.md lists them)"
        )
    return found
