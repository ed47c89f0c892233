"""How atoms pass functions of single numbers, sums and products of tensors, norms, pools and joined tensors."""

from typing import Any

import torch
from torch import fx

from fewbit.prune.atoms import NOBODY, Labels
from fewbit.prune.walk import Value, Walk, numbers_of, rule, zeros
from fewbit.tracing import QUANTIZER, args_of

aten = torch.ops.aten

FUNCTIONS = (
    *(aten.relu.default, aten.relu_.default, aten.relu6.default, aten.hardtanh.default, aten.hardtanh_.default),
    *(aten.clamp.default, aten.clamp_.default, aten.clamp_min.default, aten.clamp_max.default),
    *(aten.sigmoid.default, aten.sigmoid_.default, aten.tanh.default, aten.tanh_.default, aten.hardsigmoid.default),
    *(aten.hardswish.default, aten.hardswish_.default, aten.silu.default, aten.silu_.default, aten.gelu.default),
    *(aten.mish.default, aten.elu.default, aten.elu_.default, aten.selu.default, aten.leaky_relu.default),
    *(aten.leaky_relu_.default, aten.softplus.default, aten.abs.default, aten.neg.default),
    *(aten.exp.default, aten.log.default, aten.sqrt.default, aten.rsqrt.default, aten.square.default),
    *(aten.pow.Tensor_Scalar, aten.erf.default, aten.sin.default, aten.cos.default, aten.reciprocal.default),
    *(aten.mul.Scalar, aten.div.Scalar, aten.add.Scalar, aten.sub.Scalar, aten.rsub.Scalar),
)


@rule(*FUNCTIONS)
def function(walk: Walk, node: fx.Node) -> None:
    """A function of each number by itself."""
    value = walk.value(args_of(node)[0])
    assert callable(node.target)
    rest = [walk.constant(each) for each in args_of(node)[1:]]
    pruned = node.target(value.pruned.clone(), *rest, **{key: walk.constant(v) for key, v in node.kwargs.items()})
    walk.values[node] = Value(value.atoms, pruned)


@rule(QUANTIZER)
def quantizer(walk: Walk, node: fx.Node) -> None:
    """A quantizer of a signal: 0 stays 0, and a constant becomes its code."""
    value = walk.value(args_of(node)[0])
    module = walk.traced.opaque(node)
    walk.values[node] = Value(
        value.atoms, module(value.pruned.float()).double() if value.pruned.any() else value.pruned
    )


@rule(aten.add.Tensor, aten.add_.Tensor, aten.sub.Tensor, aten.sub_.Tensor, aten.mul.Tensor, aten.mul_.Tensor)
@rule(aten.div.Tensor, aten.div_.Tensor, aten.maximum.default, aten.minimum.default, aten.prelu.default)
def pair(walk: Walk, node: fx.Node) -> None:
    """Two tensors, number by number: what meets is removed together.

    The second may be a parameter, such as a gain of each channel, which is cut with its channels.
    """
    sides = args_of(node)[:2]
    a, b = (
        walk.value(each) if walk.is_live(each) else beside(walk, node, each, walk.value(other))
        for each, other in (sides, sides[::-1])
    )
    if node.target is aten.prelu.default and b.atoms.numel() > 1:
        shape = [1, -1, *[1] * (a.atoms.dim() - 2)]
        b = Value(b.atoms.view(shape), b.pruned.view(shape))
    shape = node.meta["val"].shape
    x, y = a.atoms.expand(shape), b.atoms.expand(shape)
    walk.atoms.join_all(x, y)
    assert callable(node.target)
    if node.target is aten.prelu.default:
        pruned = torch.where(a.pruned > 0, a.pruned, a.pruned * b.pruned)
    else:
        divisor = node.target in (aten.div.Tensor, aten.div_.Tensor)
        b_pruned = torch.where(b.pruned == 0, 1.0, b.pruned) if divisor else b.pruned
        pruned = node.target(a.pruned.expand(x.shape).clone(), b_pruned, **node.kwargs)
    walk.values[node] = Value(torch.where(x == NOBODY, y, x), pruned)


def beside(walk: Walk, node: fx.Node, argument: Any, other: Value) -> Value:
    """What does not depend on the input, in a sum or product with what does.

    A parameter or buffer with a number for each channel belongs to the channels; a constant of the code that has
    several numbers cannot be cut, and fixes what it meets.
    """
    numbers = numbers_of(walk.constant(argument))
    nobody = Value(torch.zeros(numbers.shape, dtype=torch.float64), numbers)
    aligned = numbers.view(*[1] * (other.atoms.dim() - numbers.dim()), *numbers.shape)
    if node.target is aten.prelu.default and numbers.numel() > 1:
        aligned = numbers.view(1, -1, *[1] * (other.atoms.dim() - 2))
    spread = [d for d in range(aligned.dim()) if aligned.shape[d] > 1]
    if not any(_varies(other.atoms, d) for d in spread):
        return nobody  # the same for all atoms
    places = walk.places.get(argument) if isinstance(argument, fx.Node) else None
    if places is None:
        _uncut(walk, node, other, aligned, spread)
        return nobody
    shared = [d for d in range(aligned.dim()) if aligned.shape[d] == 1 and other.atoms.shape[d] > 1]
    if any(_varies(other.atoms, d) for d in shared):
        walk.atoms.fix_all(other.atoms, f"{walk.place(node)} uses a parameter for several channels")
        return nobody
    atoms = other.atoms
    for d in shared:
        atoms = atoms.narrow(d, 0, 1)
    atoms = atoms.expand(aligned.shape).reshape(numbers.shape)
    walk.mark(walk.made, places, atoms)
    is_master = walk.is_master(places)
    # A parameter is 0 for a pruned channel; a buffer keeps its number.
    return Value(atoms, torch.zeros_like(numbers) if is_master else numbers)


def _uncut(walk: Walk, node: fx.Node, other: Value, constant: Labels, dims: list[int]) -> None:
    """What a constant with a number for each index meets goes together, as the numbers of a head under rotary phases;
    if that is all there is, it stays.
    """
    atoms = other.atoms
    for dim in dims:
        if atoms.shape[dim] == constant.shape[dim]:
            walk.atoms.join_all(atoms, atoms.amax(dim, keepdim=True).expand_as(atoms))
    left = {walk.atoms.find(atom) for atom in torch.unique(atoms.long()).tolist() if atom != NOBODY}
    if len(left) < 2 or any(atoms.shape[dim] != constant.shape[dim] for dim in dims):
        walk.atoms.fix_all(atoms, f"{walk.place(node)} has a constant with a number for each channel")


def _varies(atoms: Labels, dim: int) -> bool:
    """Whether there are several atoms along a dimension."""
    return bool((atoms != atoms.narrow(dim, 0, 1)).any())


@rule(aten.batch_norm.default)
def batch_norm(walk: Walk, node: fx.Node) -> None:
    """A gain and an offset of each channel, which are cut with it; without them the offset of the statistics stays."""
    x, gain, offset, mean, variance = args_of(node)[:5]
    value = walk.value(x)
    channels = walk.atoms.merge(value.atoms, 1)
    for each in (gain, offset, mean, variance):
        if each is not None:
            places = walk.places.get(each)
            if places is None:
                walk.refuse(node, f"{walk.place(node)} has statistics that are not its own")
                return
            walk.mark(walk.made, places, channels)
    pruned = torch.zeros_like(value.pruned)
    if gain is None and mean is not None:
        shape = [1, -1, *[1] * (pruned.dim() - 2)]
        root = (numbers_of(walk.constant(variance)) + args_of(node)[7]).sqrt()
        pruned = (value.pruned - numbers_of(walk.constant(mean)).view(shape)) / root.view(shape)
    walk.values[node] = Value(value.atoms, pruned)


@rule(aten.max_pool1d.default, aten.max_pool2d.default, aten.max_pool3d.default)
@rule(aten.avg_pool1d.default, aten.avg_pool2d.default, aten.avg_pool3d.default)
@rule(aten.adaptive_avg_pool1d.default, aten.adaptive_avg_pool2d.default, aten.adaptive_max_pool2d.default)
def pool(walk: Walk, node: fx.Node) -> None:
    """A pool over places: the channels stay."""
    value = walk.value(args_of(node)[0])
    shape = node.meta["val"].shape
    places = len(shape) - (1 if "1d" in str(node.target) else 2)
    channels = walk.atoms.merge(value.atoms, places - 1)
    if value.pruned.any():
        averaged = "avg_pool" in str(node.target) and "adaptive" not in str(node.target)
        rest = [walk.constant(each) for each in args_of(node)[1:]]
        padded = averaged and len(rest) > 2 and any(rest[2] if isinstance(rest[2], list) else [rest[2]])
        if padded:
            walk.refuse(node, f"{walk.place(node)} has padding beside numbers that are not 0")
            return
        assert callable(node.target)
        pruned = node.target(value.pruned, *rest)
    else:
        pruned = zeros(shape)
    lined = channels.view(*[1] * (places - 1), -1, *[1] * (len(shape) - places))
    walk.values[node] = Value(lined.expand(shape), pruned)


@rule(aten.mean.dim, aten.sum.dim_IntList, aten.amax.default, aten.mean.default)
def reduce(walk: Walk, node: fx.Node) -> None:
    """A mean, sum or maximum over dimensions that hold one atom each."""
    value = walk.value(args_of(node)[0])
    dims = args_of(node)[1] if len(args_of(node)) > 1 else list(range(value.atoms.dim()))
    if not dims or any(_varies(value.atoms, d) for d in dims):
        walk.refuse(node, f"{walk.place(node)} takes one number of several channels")
        return
    kept = bool(args_of(node)[2]) if len(args_of(node)) > 2 else bool(node.kwargs.get("keepdim", False))
    assert callable(node.target)
    walk.values[node] = Value(
        value.atoms.amax(dims, kept), node.target(value.pruned, *args_of(node)[1:], **node.kwargs)
    )


@rule(aten.cat.default, aten.stack.default, aten.concat.default)
def join(walk: Walk, node: fx.Node) -> None:
    """Tensors side by side."""
    parts = [walk.value(each) for each in args_of(node)[0]]
    assert callable(node.target)
    rest = args_of(node)[1:]
    walk.values[node] = Value(
        node.target([part.atoms for part in parts], *rest, **node.kwargs),
        node.target([part.pruned for part in parts], *rest, **node.kwargs),
    )


@rule(aten.glu.default)
def glu(walk: Walk, node: fx.Node) -> None:
    """The first half times the sigmoid of the second."""
    value = walk.value(args_of(node)[0])
    dim = args_of(node)[1] if len(args_of(node)) > 1 else -1
    a, b = value.atoms.chunk(2, dim)
    walk.atoms.join_all(a, b)
    walk.values[node] = Value(torch.where(a == NOBODY, b, a), torch.nn.functional.glu(value.pruned, dim))


@rule(aten.layer_norm.default, aten.rms_norm.default, aten.group_norm.default, aten.instance_norm.default)
def norm(walk: Walk, node: fx.Node) -> None:
    """A norm over channels: one less changes all others."""
    walk.refuse(node, f"{walk.place(node)} takes the mean over channels")
