"""Which attention of a teacher belongs to which of a student, and where the signals of both are."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fewbit.distill.signal_hooks import Place
from fewbit.errors import ArgumentError
from fewbit.nn import Attention

Signal = Literal["scores", "map", "context", "output", "hidden", "last"]
"""In the order of the computation; `hidden` is what the block around the attention reads, `last` what it gives."""
PARTS = ("query", "key", "value", "output", "scores", "map", "context", "heads", "head_size")


@dataclass(frozen=True)
class Seat:
    """An attention in a network, and the block that it stands in."""

    name: str
    attention: Any
    block: nn.Module

    def place(self, signal: Signal) -> Place:
        """Where a signal of this layer is."""
        match signal:
            case "hidden":
                return Place(self.block, "input")
            case "last":
                return Place(self.block)
            case "output":
                return Place(self.attention)
        # At the input, so that a quantizer of the signal stands behind what is replaced.
        return Place(getattr(self.attention, signal), "input")


@dataclass(frozen=True)
class Pair:
    """An attention of the teacher and the one of the student that learns from it.

    heads: of the teacher, one for each head of the student; ``None`` for all.
    """

    teacher: Seat
    student: Seat
    heads: tuple[int, ...] | None

    def kept(self, signal: Signal, x: Tensor) -> Tensor:
        """Of a signal of the teacher what belongs to the student's heads."""
        if self.heads is None or signal not in ("scores", "map", "context"):
            return x
        index = torch.tensor(self.heads, dtype=torch.long, device=x.device)
        if signal == "context":
            by_head = x.unflatten(-1, (-1, self.teacher.attention.head_size))  # type: ignore[no-untyped-call]
            context: Tensor = by_head.index_select(-2, index).flatten(-2)
            return context
        return x.index_select(1, index)


def seats_of(model: nn.Module, patterns: Sequence[str] = ()) -> list[Seat]:
    """The attention modules of a network in order: all of `fewbit.nn.Attention`, or those with such names."""
    names = dict(model.named_modules())
    found = []
    for name, module in names.items():
        wanted = any(fnmatchcase(name, pattern) for pattern in patterns)
        if not wanted and (patterns or not isinstance(module, Attention)):
            continue
        missing = [part for part in PARTS if not hasattr(module, part)]
        if missing:
            raise ArgumentError(f"{name} ({type(module).__name__}) has no {missing[0]}; wanted {', '.join(PARTS)}")
        found.append(Seat(name, module, names[name.rpartition(".")[0]]))
    if not found:
        wanted_names = f"named like {', '.join(patterns)}" if patterns else "of fewbit.nn.Attention"
        raise ArgumentError(f"{type(model).__name__} has no attention {wanted_names}")
    return found


def paired(
    teacher: nn.Module,
    student: nn.Module,
    patterns: Sequence[str] = (),
    layers: Sequence[int] | None = None,
    heads: Sequence[Sequence[int]] | None = None,
) -> list[Pair]:
    """Pairs in the order of the student's layers.

    Args:
        teacher, student: networks with attention of the same width and head size.
        patterns: names of attention modules; default all `fewbit.nn.Attention`.
        layers: for each layer of the student that of the teacher; default as many as the teacher has.
        heads: for each layer of the student the teacher's heads that it kept; default all.

    Raises:
        ArgumentError: the two do not fit.
    """
    masters, pupils = seats_of(teacher, patterns), seats_of(student, patterns)
    if layers is None:
        if len(masters) != len(pupils):
            raise ArgumentError(
                f"the teacher has {len(masters)} layers of attention, the student {len(pupils)}; say with layers= "
                "which of the teacher's each one learns from"
            )
        layers = range(len(masters))
    if len(layers) != len(pupils) or not all(0 <= layer < len(masters) for layer in layers):
        raise ArgumentError(
            f"layers={list(layers)}, wanted {len(pupils)} numbers from 0 to {len(masters) - 1}, one for each layer of "
            "the student"
        )
    if heads is not None and len(heads) != len(pupils):
        raise ArgumentError(f"heads= names the kept heads of {len(heads)} layers, the student has {len(pupils)}")
    chosen = heads if heads is not None else [None] * len(pupils)
    return [_pair(masters[layer], pupil, kept) for layer, pupil, kept in zip(layers, pupils, chosen, strict=True)]


def _pair(master: Seat, pupil: Seat, heads: Sequence[int] | None) -> Pair:
    there, here = master.attention, pupil.attention
    for part in ("head_size", "width"):
        if getattr(there, part, None) != getattr(here, part, None):
            raise ArgumentError(
                f"{pupil.name}: {part} is {getattr(there, part)} for the teacher and {getattr(here, part)} for the "
                "student; both need the same"
            )
    if heads is None:
        if there.heads != here.heads:
            raise ArgumentError(
                f"{pupil.name}: the teacher has {there.heads} heads, the student {here.heads}; say with heads= which "
                "of the teacher's are left"
            )
        return Pair(master, pupil, None)
    if len(heads) != here.heads or not all(0 <= head < there.heads for head in heads):
        raise ArgumentError(
            f"{pupil.name}: heads={list(heads)}, wanted {here.heads} numbers from 0 to {there.heads - 1}"
        )
    return Pair(master, pupil, tuple(heads))
