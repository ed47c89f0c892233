"""How atoms pass layers that are one node: recurrent ones, and attention over slots.

A unit is a row of every gate, and a column of what reads it in the next frame. If its rows and biases are 0, it has a
state of 0 from a state of 0 on, in all of these cells.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from fewbit import nn as layers
from fewbit.prune.atoms import FIXED, Labels
from fewbit.prune.walk import Value, Walk, rule, zeros
from fewbit.tracing import LAYER, args_of

Units = Callable[[Walk, nn.Module, str, Labels], Labels]


@rule(LAYER)
def layer(walk: Walk, node: fx.Node) -> None:
    """A layer that is one node: all of its results have its units as their last axis."""
    module, path = walk.traced.opaque(node), walk.module_path(node)
    source = args_of(node)[0][0]
    found = next((units for kind, units in UNITS.items() if isinstance(module, kind)), None)
    if not walk.is_live(source) or found is None:
        walk.refuse(node, f"{walk.place(node)} is a layer without a rule for pruning")
        return
    value = walk.value(source)
    inputs = walk.atoms.merge(value.atoms, -1)
    if value.pruned.any():
        walk.atoms.fix_all(inputs, f"{walk.place(node)} reads it, and it is not 0 when it is pruned")
    outputs = found(walk, module, path, inputs)
    results = []
    for each in node.meta["val"]:
        whole = outputs if each.shape[-1] == len(outputs) else None
        if whole is None and each.shape[-1] and len(outputs) % each.shape[-1] == 0:
            whole = outputs[: each.shape[-1]]  # a state of one direction
        if whole is None:
            whole = torch.full((each.shape[-1],), float(FIXED), dtype=torch.float64)
        results.append(Value(whole.expand(each.shape), zeros(each.shape)))
    walk.values[node] = results


def _rows(walk: Walk, path: str, name: str, atoms: Labels) -> None:
    """A parameter whose rows are blocks of the units."""
    place = walk.parameter(path, name)
    if place is not None and len(atoms):
        places = walk.places_of(place)
        repeated = atoms.repeat(len(places) // len(atoms))
        walk.mark(walk.made, places, repeated.view(-1, *[1] * (places.dim() - 1)))


def _columns(walk: Walk, path: str, name: str, atoms: Labels) -> None:
    """A weight whose columns are blocks of what it reads."""
    place = walk.parameter(path, name)
    assert place is not None
    places = walk.places_of(place)
    if not len(atoms):  # no heads are left
        return
    walk.mark(walk.read, places, atoms.repeat(places.shape[1] // len(atoms)).expand(places.shape))


def _torch_units(walk: Walk, module: nn.Module, path: str, inputs: Labels) -> Labels:
    """`torch.nn.LSTM` and `GRU`: all layers and directions have one width, so that their units go together."""
    assert isinstance(module, nn.RNNBase)
    units = walk.atoms.fresh(module.hidden_size)
    if getattr(module, "proj_size", 0):
        walk.atoms.fix_all(torch.cat([units, inputs]), f"{path} projects its units (proj_size)")
        return walk.atoms.fresh(0)
    directions = 2 if module.bidirectional else 1
    for number in range(module.num_layers):
        for suffix in ("", "_reverse")[:directions]:
            end = f"l{number}{suffix}"
            for name in ("weight_ih_", "weight_hh_", "bias_ih_", "bias_hh_"):
                _rows(walk, path, name + end, units)
            _columns(walk, path, "weight_ih_" + end, units.repeat(directions) if number else inputs)
            _columns(walk, path, "weight_hh_" + end, units)
    return units.repeat(directions)


def _hidden_units(walk: Walk, module: nn.Module, path: str, inputs: Labels) -> Labels:
    """`fewbit.nn.LSTM` and `GRU`."""
    size: Any = module.hidden_size
    units = walk.atoms.fresh(size)
    for name in ("weight", "weight_hidden", "bias", "bias_hidden"):
        _rows(walk, path, name, units)
    _columns(walk, path, "weight", inputs)
    _columns(walk, path, "weight_hidden", units)
    return units


def _gated(walk: Walk, path: str, size: int, inputs: Labels) -> Labels:
    """Units that are rows of one weight and one bias, and read nothing back."""
    units = walk.atoms.fresh(size)
    _rows(walk, path, "weight", units)
    _rows(walk, path, "bias", units)
    _columns(walk, path, "weight", inputs)
    return units


def _sru_units(walk: Walk, module: nn.Module, path: str, inputs: Labels) -> Labels:
    """`fewbit.nn.SRU`: without a projection of its own the skip ties a unit to its input."""
    assert isinstance(module, layers.SRU)
    units = _gated(walk, path, module.hidden_size, inputs)
    if not module.projected:
        walk.atoms.join_all(units, inputs)
    return units


def _qrnn_units(walk: Walk, module: nn.Module, path: str, inputs: Labels) -> Labels:
    """`fewbit.nn.QRNN`."""
    assert isinstance(module, layers.QRNN)
    return _gated(walk, f"{path}.gates".lstrip("."), module.hidden_size, inputs)


def _filters(walk: Walk, module: nn.Module, path: str, inputs: Labels) -> Labels:
    """`fewbit.nn.CausalConv1d`."""
    assert isinstance(module, layers.CausalConv1d)
    return _gated(walk, path, module.outputs, inputs)


def _symbols(walk: Walk, module: nn.Module, path: str, inputs: Labels) -> Labels:
    """`fewbit.nn.OneHot`: one number for each symbol there is."""
    assert isinstance(module, layers.OneHot)
    return torch.full((module.classes,), float(FIXED), dtype=torch.float64)


def _all_attention(walk: Walk, module: nn.Module, path: str, inputs: Labels) -> Labels:
    """`fewbit.nn.AllAttention`: a head has rows of all it reads by, slots of its own, and columns of the output."""
    assert isinstance(module, layers.AllAttention)
    heads = walk.atoms.fresh(module.heads)
    for name in ("query", "key", "value", "place"):
        part = f"{path}.{name}".lstrip(".")
        if name != "place":  # that one reads the table of distances
            _columns(walk, part, "weight", inputs)
        _rows(walk, part, "weight", heads.repeat_interleave(module.head_size))
    for name in ("key_bias", "place_bias", "weight_slot_keys", "weight_slot_values"):
        _rows(walk, path, name, heads)
    walk.heads |= dict.fromkeys(heads.long().tolist(), path)
    output = f"{path}.output".lstrip(".")
    _columns(walk, output, "weight", heads.repeat_interleave(module.head_size))
    made = walk.atoms.fresh(module.width)
    _rows(walk, output, "weight", made)
    _rows(walk, output, "bias", made)
    return made


UNITS: dict[type[nn.Module] | tuple[type[nn.Module], ...], Units] = {
    (nn.LSTM, nn.GRU): _torch_units,
    (layers.LSTM, layers.GRU): _hidden_units,
    layers.SRU: _sru_units,
    layers.QRNN: _qrnn_units,
    layers.CausalConv1d: _filters,
    layers.OneHot: _symbols,
    layers.AllAttention: _all_attention,
}
