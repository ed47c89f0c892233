"""Teacher intervention (TI): for a few updates, signals of the teacher go on in place of the student's in every layer.

A network of very few bits damages its signals a little in each layer, and later layers are trained on what is left.
With intervention each part of a layer is trained on clean signals first::

    mode      what goes on                what learns from it          gradient is cut at
    output    output of the attention     linear layers                queries, keys, values
    context   the heads' contexts         and the output layer         queries, keys, values
    map       the attention map           and the values               queries, keys

Gradual intervention goes from the first to the last. The student computes all its signals in every mode, and learns::

    L = soft + sum_l MSE(hidden_l) + sum_l MSE(scores_l) + sum_l MSE(output_l)

References:
    Kim, Shim, Park, Sung, Choi 2023, "Teacher intervention: improving convergence of quantization aware training for
    ultra-low precision transformers" (arXiv 2302.11812).
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol, cast

import torch
from torch import Tensor, nn

from fewbit.batches import first_tensor
from fewbit.distill.attention_pairs import Pair, Signal, paired
from fewbit.distill.layer_losses import score_loss, seen_pairs, signal_loss
from fewbit.distill.logits import LogitKD
from fewbit.distill.signal_hooks import inner_signals
from fewbit.errors import ArgumentError
from fewbit.inference import inference_mode
from fewbit.settings import choice, listed, number, text, whole
from fewbit.train import HardLoss, outputs_of

Mode = Literal["none", "map", "context", "output"]
Order = Literal["gradual", "inverted", "stochastic", "map", "context", "output"]
MODES: tuple[Mode, ...] = ("output", "context", "map")
ORDERS: dict[str, tuple[tuple[float, Mode], ...]] = {
    "gradual": ((1 / 6, "output"), (1 / 3, "context"), (1.0, "map")),
    "inverted": ((1 / 3, "map"), (2 / 3, "context"), (1.0, "output")),
    **{mode: ((1.0, mode),) for mode in MODES},
}
"""Modes, each until a share of the intervention is over."""
TAPS: tuple[Signal, ...] = ("hidden", "scores", "output")
CLOSE = 1e-9
"""Shares of progress are quotients of step counts, and no mode begins a step late because of their rounding."""


class SoftLoss(Protocol):
    """A distillation whose loss can be computed from existing scores, such as `LogitKD` and `TokenScaledKD`.

    Examples:
        >>> loss: SoftLoss = LogitKD(nn.Identity(), temperature=1.0, weight=1.0)
        >>> batch = torch.zeros(2, 4), torch.zeros(2).long()
        >>> round(float(loss.compare(torch.zeros(2, 4), torch.zeros(2, 4), batch, progress=0.0)), 3)  # ln 4
        1.386
    """

    hard: HardLoss

    def compare(self, student: Tensor, teacher: Tensor, batch: Any, progress: float) -> Tensor:
        """Loss of the student's scores against the teacher's and the labels."""
        ...


class TeacherIntervention:
    """Distillation of inner signals, with those of the teacher in the student's place at the start of a training.

    It works on all `fewbit.nn.Attention` of both networks. Positions that the hard objective leaves out and those that
    nobody sees (padding) count in no loss. The student is changed only while its loss is computed: it has no hooks and
    no tensors of the teacher afterwards, and whatever is measured is measured without intervention.

    Args:
        teacher: a network like the student; it runs in eval mode without gradient and stays as it is.
        share: of the training that has intervention; 0 is the same loss without. The authors give 60 to 120 updates to
            it, and begin with a new optimizer and learning rate after them: in one `Finetune` with ``share=1``, then
            another with ``share=0``.
        order: ``gradual``, ``inverted`` (map, context, output), ``stochastic`` (a mode drawn for every update), or one
            mode for the whole intervention.
        taps: the signals whose squared differences are added to the loss: ``hidden``, ``scores``, ``output``.
        weight: of these differences.
        soft: loss of the scores; default ``LogitKD(teacher, temperature=1, weight=1, hard=hard)``, which leaves labels
            out.
        hard: for that default, it says which positions count; default `CrossEntropy`.
        sites: patterns of names of other modules with the parts and signals of `fewbit.nn.Attention`.
        layers: for each layer of the student that of the teacher, where it has more.
        heads: for each layer of the student the teacher's heads that are left in it, where heads were pruned.

    Raises:
        ArgumentError: a setting is out of range, the teacher is not finite, or, when called, both networks do not fit.

    Examples:
        >>> from fewbit.models import Decoder
        >>> teacher, student = Decoder(9, 8, 2, 1), Decoder(9, 8, 2, 1)
        >>> objective = TeacherIntervention(teacher, share=0.5)
        >>> [objective.mode(progress) for progress in (0.0, 0.1, 0.2, 0.6)]
        ['output', 'context', 'map', 'none']
        >>> text = torch.randint(0, 9, (4, 13))
        >>> objective(student, (text[:, :-1], text[:, 1:]), progress=0.0).requires_grad
        True
    """

    def __init__(
        self,
        teacher: nn.Module,
        share: Annotated[float, number(0, 1)] = 0.04,
        order: Order = "gradual",
        taps: Annotated[Sequence[Signal], listed(choice(*TAPS))] = TAPS,
        weight: Annotated[float, number()] = 1.0,
        soft: SoftLoss | None = None,
        hard: HardLoss | None = None,
        sites: Annotated[Sequence[str], listed(text)] = (),
        layers: Annotated[Sequence[int] | None, listed(whole(0))] = None,
        heads: Annotated[Sequence[Sequence[int]] | None, listed(listed(whole(0)))] = None,
    ) -> None:
        if not 0 <= share <= 1 or weight < 0:
            raise ArgumentError(f"TeacherIntervention: share={share}, weight={weight}; wanted 0..1, and at least 0")
        if order != "stochastic" and order not in ORDERS:
            raise ArgumentError(f"TeacherIntervention: no order {order!r}; there are {', '.join(ORDERS)}, stochastic")
        if any(tap not in TAPS for tap in taps):
            raise ArgumentError(f"TeacherIntervention: taps={tuple(taps)}, wanted some of {', '.join(TAPS)}")
        for name, parameter in teacher.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise ArgumentError(f"TeacherIntervention: {name} of the teacher is NaN or infinite; train it again")
        self.teacher, self.share, self.order, self.taps, self.weight = teacher, share, order, tuple(taps), weight
        if soft is not None and not hasattr(soft, "compare"):
            kind = type(soft).__name__
            raise ArgumentError(f"TeacherIntervention: {kind} compares no scores; use LogitKD or TokenScaledKD")
        self.soft: SoftLoss = soft if soft is not None else LogitKD(teacher, 1.0, 1.0, hard)
        self.sites, self.layers, self.heads = tuple(sites), layers, heads

    def mode(self, progress: float) -> Mode:
        """What is replaced at this progress; a new draw each time if the order is stochastic."""
        if progress + CLOSE >= self.share:
            return "none"
        if self.order == "stochastic":
            return MODES[int(torch.randint(len(MODES), ()))]
        done = progress / self.share + CLOSE
        return next(mode for end, mode in ORDERS[self.order] if done < end or end == 1.0)

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        mode = self.mode(progress)
        teacher = self.teacher.to(first_tensor(batch).device)
        pairs = paired(teacher, model, self.sites, self.layers, self.heads)
        wanted = _names(len(pairs), self.taps)
        changed = [] if mode == "none" else [(i, cast(Signal, mode)) for i in range(len(pairs))]
        # The first scores of the teacher tell what is padding.
        there = {name: pairs[name[0]].teacher.place(name[1]) for name in {*wanted, *changed, _FIRST_SCORES}}
        here = {name: pairs[name[0]].student.place(name[1]) for name in {*wanted, *changed}}
        with inference_mode(teacher), inner_signals(there) as taught:
            target = outputs_of(teacher, batch)
        given = {(i, signal): pairs[i].kept(signal, taught[i, signal]) for i, signal in changed}
        with inner_signals(here, given, _cut(pairs, mode)) as own:
            scores = outputs_of(model, batch)
        loss = self.soft.compare(scores, target, batch, progress)
        if not wanted or not self.weight:
            return loss
        valid = seen_pairs(taught[_FIRST_SCORES]).any(2)[:, 0]
        known = self.soft.hard.valid_mask(scores, batch)
        if known.shape == valid.shape:
            valid = valid & known
        terms = [_difference(pairs[i], signal, own[i, signal], taught[i, signal], valid) for i, signal in wanted]
        return loss + self.weight * torch.stack(terms).sum()


SignalName = tuple[int, Signal]
"""A layer of the student and a signal."""
_FIRST_SCORES: SignalName = (0, "scores")


def _names(layers: int, taps: Sequence[Signal]) -> list[SignalName]:
    """The signals that are compared; of the last layer also what it gives."""
    found = [(i, tap) for i in range(layers) for tap in taps]
    return [*found, (layers - 1, "last")] if "hidden" in taps else found


def _cut(pairs: Sequence[Pair], mode: Mode) -> list[nn.Module]:
    """The layers of the student through whose input no gradient goes back."""
    parts = {"none": (), "map": ("query", "key")}.get(mode, ("query", "key", "value"))
    return [getattr(pair.student.attention, part) for pair in pairs for part in parts]


def _difference(pair: Pair, signal: Signal, own: Tensor, taught: Tensor, valid: Tensor) -> Tensor:
    taught = pair.kept(signal, taught)
    if signal == "scores":
        return score_loss(own, taught, valid)
    return signal_loss(own, taught, valid, f"{pair.student.name}, {signal}")
