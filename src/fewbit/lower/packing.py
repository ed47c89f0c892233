"""From a quantized torch network to a `Program`.

`torch.fx` lists the modules that the input runs through; they must form a chain. Each is then lowered by its rule in
`fewbit.lower.lowering`.
"""

from typing import Any

import torch
from torch import fx, nn

from fewbit.errors import LoweringError
from fewbit.features import LogMel
from fewbit.lower.lowering import Lowering, has_rule
from fewbit.lower.network import lower_network
from fewbit.nn import Layer
from fewbit.program import Program
from fewbit.text import Alphabet


class _Tracer(fx.Tracer):
    """Looks into containers and into models, not into layers."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return has_rule(module) or super().is_leaf_module(module, qualified_name)


def trace(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and modules that the input of `model` runs through, first to last.

    Raises:
        LoweringError: the network is no chain of modules; the message names what is between them.
    """
    if has_rule(model):
        return [("layer", model)]
    try:
        graph = _Tracer().trace(model, concrete_args={"state": None} if isinstance(model, Layer) else None)
    except (fx.proxy.TraceError, TypeError) as error:
        raise LoweringError(f"{type(model).__name__} cannot be traced: {error}") from error
    modules = dict(model.named_modules())
    chain: list[tuple[str, nn.Module]] = []
    current: fx.Node | None = None
    for node in graph.nodes:
        match node.op:
            case "placeholder":
                current = current or node
            case "call_module":
                if not node.args:
                    raise LoweringError(f"{node.target} is called with its input by name; give it by position")
                if node.args[0] is not current:
                    raise LoweringError(f"{node.target} does not follow {current}; a Program is a chain of layers")
                chain.append((str(node.target), modules[str(node.target)]))
                current = node
            case "call_function" if _is_output_of(node, current, modules):
                current = node
            case "call_function" if node.target is torch._assert or "assert" in str(node.target):
                continue
            case "output":
                result = node.args[0]
                if (result[0] if isinstance(result, tuple | list) else result) is not current:
                    raise LoweringError(f"the network returns {result}, not the result of its last layer, {current}")
            case _ if not node.users or _is_state(node, modules):
                continue
            case _:
                raise LoweringError(
                    f"{node.format_node()} stands between the layers; a Program has only modules with an integer op"
                )
    return chain


def pack(
    model: nn.Module,
    *,
    example: Any = None,
    time: int | str | None = "auto",
    context: int | None = None,
    features: LogMel | None = None,
    alphabet: Alphabet | None = None,
    recipe: dict[str, Any] | None = None,
) -> Program:
    """The integer Program of a quantized network (weights and activations).

    Args:
        model: any network whose parts have an integer form (`fewbit.lower.explain` says which have not), with
            quantizers attached and calibrated.
        example: batches (a DataLoader, a list of batches, or one batch), from which come the shapes of the inputs and
            the ranges of signals without a quantizer. A chain of Normalize, CausalConv1d, BatchNorm, ReLU, Dropout,
            Linear and recurrent layers of `fewbit.nn` needs none.
        time: the axis of the inputs, counted with the batch, along which the network runs as a stream; ``None`` for
            none (each input is one frame); ``auto`` looks for the axis that the network takes at any length.
        context: frames that causal attention sees; default as many as the example has.
        features: the front end that a stream needs; with an alphabet it makes the file listen by itself.
        alphabet: what the classes mean.
        recipe: how the network came about, for the record; plain values.

    Raises:
        LoweringError: a part has no integer form; the message names it and what would help.
    """
    notes: dict[str, Any] = {
        "features": None if features is None else features.to_dict(),
        "alphabet": None if alphabet is None else alphabet.to_dict(),
        "recipe": recipe or {},
    }
    if example is not None:
        listens = features is not None or alphabet is not None
        graph, signature = lower_network(model, example, time, context, fraction_bits=10 if listens else None)
        return Program(tuple(graph), **notes, signature=signature)
    lowering = Lowering()
    for name, module in trace(model):
        lowering.add(name, module)
    return Program(tuple(lowering.finish()), **notes)


def _is_output_of(node: fx.Node, current: fx.Node | None, modules: dict[str, nn.Module]) -> bool:
    """Whether `node` takes item 0, the data, of what the layer `current` returned."""
    return bool(
        getattr(node.target, "__name__", "") == "getitem"
        and node.args[0] is current
        and node.args[1] == 0
        and current is not None
        and isinstance(modules.get(str(current.target)), Layer)
    )


def _is_state(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether `node` takes item 1, the state, of what a layer returned: in a Program it belongs to the op."""
    source = node.args[0] if node.args else None
    return bool(
        isinstance(source, fx.Node)
        and getattr(node.target, "__name__", "") == "getitem"
        and node.args[1] == 1
        and isinstance(modules.get(str(source.target)), Layer)
    )
