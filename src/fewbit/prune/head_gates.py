"""Gates that learn which heads of attention a network needs: hard-concrete variables, one for each head.

    train:  u ~ U(0, 1) once a step,  s = sigmoid((ln u - ln(1 - u) + a) / beta)      a: learned openness
    eval:   s = sigmoid(a)
    g = clamp(1.2 s - 0.1, 0, 1)      gate = 1 if g >= 0.5 else 0, with the gradient of g
    open in training with probability sigmoid(a), open in evaluation if a >= 0

A gate stands in front of the columns of the one weight that reads its head, as a parametrization, so that any module
whose heads `fewbit.prune.structure_of` finds can have gates, and nothing but that weight knows of them. A head is left
out for the whole batch. With `scaled` the heads that are open stand in for those that are closed: all are multiplied by
``gates / open gates``.

References:
    Louizos, Welling, Kingma 2018, "Learning sparse neural networks through L0 regularization" (arXiv 1712.01312);
    Shim, Choi, Sung, Choi 2021, "Layer-wise pruning of transformer attention heads for efficient language modeling"
    (arXiv 2110.03252).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.errors import ArgumentError, PruningError
from fewbit.prune.elements import Masks
from fewbit.prune.structure import Group, home_of
from fewbit.quant import Quantizer, unparametrize
from fewbit.quant.base import straight_through

LOW, HIGH = -0.1, 1.1
"""The interval to which a soft gate is stretched before it is clamped, so that it is 0 or 1 for most draws."""
BETA = 0.333
"""How soft gates are; at 0.333 a gate of openness 2 is 1 in 77 % of the draws and 0 in 6 %."""
SMALLEST = 1e-6


class Gates(nn.Module):
    """A parametrization of a weight: the columns of closed gates are 0. See the module.

    Args:
        group: name of what is gated (`fewbit.prune.Group`).
        of_element: the gate of each element of the group, from 0 without gaps.
        of_column: the gate of each index of the weight along `dim`, or -1.
        dim: along which the weight reads the elements.
        start: openness in the beginning.
        scaled: whether open gates are scaled up.

    Examples:
        >>> gates = Gates("attention", torch.arange(2), torch.tensor([0, 0, 1, 1]), start=2.0).eval()
        >>> gates(torch.ones(1, 4)).tolist()
        [[1.0, 1.0, 1.0, 1.0]]
        >>> with held_gates({"attention": gates}, {"attention": torch.tensor([True, False])}):
        ...     gates(torch.ones(1, 4)).tolist()
        [[2.0, 2.0, 0.0, 0.0]]
    """

    of_element: Tensor
    of_column: Tensor
    pressure: Tensor
    """Of `fewbit.prune.GatePenalty` with a target: the integral of its controller and the progress up to which it
    goes, kept here so that a training goes on from its checkpoint."""

    def __init__(
        self, group: str, of_element: Tensor, of_column: Tensor, dim: int = 1, start: float = 2.0, scaled: bool = True
    ) -> None:
        super().__init__()
        self.group, self.dim, self.scaled = group, dim, scaled
        self.openness = nn.Parameter(torch.full((int(of_element.max()) + 1,), float(start)))
        self.register_buffer("of_element", of_element)
        self.register_buffer("of_column", of_column)
        self.register_buffer("pressure", torch.zeros(2))
        self.held: Tensor | None = None

    def forward(self, weight: Tensor) -> Tensor:
        gates = torch.cat([self.openness.new_ones(1), self.values()])[self.of_column + 1]
        return weight * gates.to(weight.dtype).view(-1, *[1] * (weight.dim() - self.dim - 1))

    def values(self) -> Tensor:
        """What the elements of each gate are multiplied by: 0, or 1 times the scale."""
        if self.held is not None:
            return self.held * self.scale_of(self.held)
        level: Tensor = self.openness
        if self.training:
            draw = torch.rand_like(level).clamp(SMALLEST, 1 - SMALLEST)
            level = (draw.log() - (1 - draw).log() + level) / BETA
        soft = (torch.sigmoid(level) * (HIGH - LOW) + LOW).clamp(SMALLEST, 1.0)
        hard = soft.detach() >= 0.5
        return straight_through(soft, hard.to(soft.dtype)) * self.scale_of(hard)

    def scale_of(self, is_open: Tensor) -> Tensor:
        """What open gates are multiplied by."""
        share = is_open.to(self.openness.dtype).mean()
        return 1 / share.clamp_min(1 / len(is_open)) if self.scaled else torch.ones_like(share)

    def penalty(self) -> Tensor:
        """The chances that soft gates are not 0, summed: the differentiable number of open gates."""
        return torch.sigmoid(self.openness - BETA * math.log(-LOW / HIGH)).sum()

    def extra_repr(self) -> str:
        return f"{self.group}, gates={len(self.openness)}, scaled={self.scaled}"


def add_gates(
    model: nn.Module, groups: Sequence[Group], *, slices: int | None = None, start: float = 2.0, scaled: bool = True
) -> dict[str, Gates]:
    """Put gates on groups of a network, in place, and return them by name.

    Args:
        model: the network, before quantization.
        groups: of `fewbit.prune.structure_of`: heads, or the units of a feed-forward part.
        slices: into how many slices of neighbours the elements are divided, with one gate each; default a gate for each
            element.
        start: openness in the beginning: 2 is open with probability 0.88, 0 with 0.5.
        scaled: whether open gates are scaled up.

    Raises:
        ArgumentError: there are more slices than elements.
        PruningError: elements are read by several weights or by a quantized one.

    Examples:
        >>> from fewbit.models import Decoder
        >>> from fewbit.prune import structure_of
        >>> net, x = Decoder(9, 16, 4, 1), torch.zeros(1, 5, dtype=torch.long)
        >>> groups = structure_of(net, x).groups
        >>> gates = add_gates(net, [groups["blocks.0.attention"]])
        >>> gates |= add_gates(net, [groups["blocks.0.feed.up"]], slices=4)
        >>> {name: len(each.openness) for name, each in gates.items()}
        {'blocks.0.attention': 4, 'blocks.0.feed.up': 4}
    """
    readers = [_reader(model, group) for group in groups]  # all of them before any change
    found = {}
    for group, (module, name, dim, columns) in zip(groups, readers, strict=True):
        size = group.elements.size
        count = size if slices is None else slices
        if not 1 <= count <= size:
            raise ArgumentError(f"{group.name}: {count} slices of {size} {group.elements.kind}; wanted 1 to {size}")
        of_element = torch.arange(size) * count // size
        of_column = torch.cat([torch.tensor([-1]), of_element])[columns + 1]
        weight = getattr(module, name)
        gates = Gates(group.name, of_element, of_column, dim, start, scaled).to(weight.device).train(module.training)
        parametrize.register_parametrization(module, name, gates)
        found[group.name] = gates
    return found


def gates_on(model: nn.Module) -> dict[str, Gates]:
    """All gates of a network by the names of their groups.

    Examples:
        >>> gates_on(nn.Linear(2, 2))
        {}
    """
    return {module.group: module for module in model.modules() if isinstance(module, Gates)}


def open_gates(gates: Mapping[str, Gates], target: int | None = None, least: int = 1) -> Masks:
    """Which gates are open for good, by name; of equal ones the first.

    Args:
        gates: of a network.
        target: how many in all, those with the largest openness; default those whose openness is not below 0.
        least: how many at least in each group.

    Raises:
        ArgumentError: the target is less than the sum of the least, or more than there are.

    Examples:
        >>> gates = {name: Gates(name, torch.arange(2), torch.arange(2)) for name in "ab"}
        >>> _ = gates["a"].openness.data.copy_(torch.tensor([-1.0, -2.0]))
        >>> _ = gates["b"].openness.data.copy_(torch.tensor([3.0, 1.0]))
        >>> {name: mask.tolist() for name, mask in open_gates(gates, target=3).items()}
        {'a': [True, False], 'b': [True, True]}
        >>> open_gates(gates)["a"].tolist(), open_gates(gates, least=0)["a"].tolist()
        ([True, False], [False, False])
    """
    openness = {name: each.openness.detach() for name, each in gates.items()}
    wanted = {name: min(least, len(each)) for name, each in openness.items()}
    masks = {name: torch.zeros_like(each, dtype=torch.bool) for name, each in openness.items()}
    for name, each in openness.items():
        masks[name][each.argsort(descending=True, stable=True)[: wanted[name]]] = True
    if target is None:
        return {name: mask | (openness[name] >= 0) for name, mask in masks.items()}
    total = sum(map(len, masks.values()))
    if not sum(wanted.values()) <= target <= total:
        raise ArgumentError(f"{target} gates cannot stay open: there are {total}, and at least {wanted} stay open")
    others = torch.cat([each.masked_fill(masks[name], -math.inf) for name, each in openness.items()])
    chosen = torch.zeros_like(others, dtype=torch.bool)
    chosen[others.argsort(descending=True, stable=True)[: target - sum(wanted.values())]] = True
    parts = torch.split(chosen, [len(mask) for mask in masks.values()])
    return {name: mask | part for (name, mask), part in zip(masks.items(), parts, strict=True)}


@contextmanager
def held_gates(gates: Mapping[str, Gates], is_open: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block gates are open or closed as told; they are neither drawn nor learned.

    Examples:
        >>> gates = {"a": Gates("a", torch.arange(2), torch.arange(2), scaled=False)}
        >>> with held_gates(gates, {"a": torch.tensor([False, True])}):
        ...     gates["a"].values().tolist()
        [0.0, 1.0]
    """
    try:
        for name, each in gates.items():
            each.held = is_open[name].to(each.openness)
        yield
    finally:
        for each in gates.values():
            each.held = None


def drop_gates(model: nn.Module, is_open: Mapping[str, Tensor] | None = None) -> Masks:
    """Take all gates off a network in place; weights keep what open gates multiply them by, and 0 for closed ones.

    Args:
        model: with gates.
        is_open: which are open; default `open_gates`.

    Returns:
        Masks of the groups that had gates, for `fewbit.prune.remove`.

    Examples:
        >>> from fewbit.models import Decoder
        >>> from fewbit.prune import remove, structure_of
        >>> net, x = Decoder(9, 16, 4, 1), torch.zeros(1, 5, dtype=torch.long)
        >>> gates = add_gates(net, [structure_of(net, x).groups["blocks.0.attention"]])
        >>> _ = gates["blocks.0.attention"].openness.data.copy_(torch.tensor([2.0, -2.0, 2.0, -2.0]))
        >>> remove(net, drop_gates(net), x).blocks[0].attention.heads
        2
    """
    gates = gates_on(model)
    is_open = open_gates(gates) if is_open is None else is_open
    with held_gates(gates, is_open), torch.no_grad():
        for module in list(model.modules()):
            for name, stack in list(_stacks(module)):
                mine = next((step for step in stack if isinstance(step, Gates)), None)
                if mine is None:
                    continue
                stack.original.copy_(mine(stack.original))
                if len(stack) == 1:
                    unparametrize(module, name)
                else:
                    del stack[list(stack).index(mine)]
    return {name: is_open[name].to(each.of_element.device)[each.of_element].cpu() for name, each in gates.items()}


def _stacks(module: nn.Module) -> Iterator[tuple[str, parametrize.ParametrizationList]]:
    if parametrize.is_parametrized(module):
        yield from module.parametrizations.items()  # type: ignore[operator, union-attr]


def _reader(model: nn.Module, group: Group) -> tuple[nn.Module, str, int, Tensor]:
    """The one weight that reads the elements of a group: its module, name and dimension, and the element of each
    index of it.
    """
    made = {(owned.module, owned.name) for owned in group.elements.owned}
    parameters = dict(model.named_parameters())
    read = [
        (*home_of(path), dim, index)
        for path, dims in group.cuts.items()
        if path in parameters and home_of(path) not in made
        for dim, index in dims.items()
    ]
    if len(read) != 1:
        names = [f"{module}.{name}".lstrip(".") for module, name, _, _ in read]
        raise PruningError(
            f"{group.name}: its {group.elements.kind} are read by {names}; gates need one weight that reads them"
        )
    path, name, dim, columns = read[0]
    module = model.get_submodule(path)
    if parametrize.is_parametrized(module, name):
        steps = list(module.get_submodule(f"parametrizations.{name}").children())
        if any(isinstance(step, Gates | Quantizer) for step in steps):
            raise PruningError(f"{path}.{name} has gates or a quantizer already; learn heads first, then quantize")
    return module, name, dim, columns
