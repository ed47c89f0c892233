"""The pass that learns which heads of attention to keep, a number of its own in each layer, and cuts out the rest.

    for the epochs:   L = objective + lambda(t) * expected number of open gates      one gate in front of each head
    then:             heads of closed gates are cut out, the scale of open ones goes into the weight that reads them

All weights are trained on beside the gates. Learn heads before quantization: ``compress(model, LearnHeads(...),
Finetune(...), Quantize(...), Finetune(...))``.

References:
    Shim, Choi, Sung, Choi 2021, "Layer-wise pruning of transformer attention heads for efficient language modeling"
    (arXiv 2110.03252).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from torch import nn

from fewbit.errors import ArgumentError, PruningError
from fewbit.passes.prune import selected
from fewbit.prune import (
    GatePenalty,
    add_gates,
    add_masks,
    drop_gates,
    gate_optimizer,
    gates_on,
    open_gates,
    remove,
    structure_of,
)
from fewbit.prune.arguments import check_arguments
from fewbit.prune.elements import Elements
from fewbit.settings import curve, listed, number, text, whole
from fewbit.train import Objective, OptimizerFactory, Schedule, fit


@dataclass(frozen=True)
class LearnHeads:
    """Train with a gate on each head, and cut out the heads whose gates are closed in the end.

    Three methods keep the training stable, each with a switch: the price of a head grows from 0 (``warmup=0`` turns it
    off), gates start open (``start=0`` starts them half closed), and open heads stand in for closed ones
    (``scaled=False``).

    Args:
        batches, objective, epochs: as in `fewbit.train.fit`.
        example: a batch as the network takes it.
        penalty: the price of a head in units of the loss; or, with `target`, the gain of the controller that sets it.
        target: how many gates stay open in all, exactly.
        min_heads: how many stay open at least in each layer. 0 may leave a layer only its bias; such a layer runs in
            torch and is neither quantized nor packed.
        start: openness of new gates, each open with probability ``sigmoid(start)``.
        warmup: share of the training over which the price grows from 0.
        scaled: whether open heads are scaled up; cutting puts the scale into the weights.
        frozen: share of the training, at its end, with gates that are held.
        lr: learning rate of the weights.
        gate_lr: factor of the learning rate of the gates, which have no weight decay.
        layers, keep: patterns of names of groups of heads, as in `PruneHeads`; each must match one.
        feed: patterns of names of groups of units, such as ``*.feed.up``: each gets as many gates as the first layer
            has heads, on slices of neighbours, and they count as heads.
        cut: whether heads are cut out now; else masks stay on the network, for `Compact`.
        schedule: progress -> factor of the learning rates; default 1.
        optimizer, clip_norm, seed, checkpoint, progress, title: as in `fewbit.train.fit`.

    Raises:
        ArgumentError: a setting is out of range, or the target cannot be met.
        SelectionError: a pattern matches nothing.
        PruningError: there are no heads, or a quantizer stands before what reads them.

    Examples:
        >>> import torch
        >>> import fewbit as fb
        >>> from fewbit.models import Decoder
        >>> text = torch.randint(0, 9, (4, 17))
        >>> batches = [(text[:, :-1], text[:, 1:])] * 5
        >>> learn = LearnHeads(batches, fb.CrossEntropy(), 2, text[:, :-1], target=5, progress=False)
        >>> small = fb.compress(Decoder(9, 16, 4, 2), learn)
        >>> sum(block.attention.heads for block in small.blocks)
        5
    """

    batches: Iterable[Any]
    objective: Objective
    epochs: Annotated[int, whole(1)]
    example: Any
    penalty: Annotated[float, number()] = 0.02
    target: Annotated[int | None, whole(1)] = None
    min_heads: Annotated[int, whole(0)] = 1
    start: Annotated[float, number(-100, 100)] = 2.0
    warmup: Annotated[float, number(0, 1)] = 0.05
    scaled: bool = True
    frozen: Annotated[float, number(0, 0.9)] = 0.0
    lr: Annotated[float, number(above=True)] = 1e-4
    gate_lr: Annotated[float, number(above=True)] = 10.0
    layers: Annotated[Sequence[str], listed(text, 1)] = ("*",)
    keep: Annotated[Sequence[str], listed(text)] = ()
    feed: Annotated[Sequence[str], listed(text)] = ()
    cut: bool = True
    schedule: Annotated[Schedule | None, curve()] = None
    optimizer: OptimizerFactory | None = None
    clip_norm: Annotated[float, number(above=True)] = 0.5
    seed: int = 0
    checkpoint: str | Path | None = None
    progress: bool = True
    title: str = "learn heads"

    def __post_init__(self) -> None:
        check_arguments(self)

    def __call__(self, model: nn.Module) -> nn.Module:
        structure = structure_of(model, self.example)
        heads = [each for each in structure.elements if each.kind == "heads"]
        if not heads:
            why = "; ".join(f"{name}: {reason}" for name, reason in structure.refused.items())
            raise PruningError(f"{type(model).__name__} has no heads to learn ({why})")
        chosen = selected(heads, self.layers, self.keep)
        units = [each for each in structure.elements if each.kind != "heads"]
        slices = selected(units, self.feed, ()) if self.feed and units else []
        self._check_counts(chosen, slices)
        about: dict[str, Any] = {"start": self.start, "scaled": self.scaled}
        add_gates(model, [structure.groups[each.name] for each in chosen], **about)
        add_gates(model, [structure.groups[each.name] for each in slices], slices=chosen[0].size, **about)
        price = GatePenalty(
            self.objective, self.penalty, self.warmup, target=self.target, least=self.min_heads, frozen=self.frozen
        )
        fit(
            model,
            self.batches,
            price,
            epochs=self.epochs,
            lr=self.lr,
            optimizer=gate_optimizer(model, self.optimizer, self.gate_lr),
            schedule=self.schedule,
            clip_norm=self.clip_norm,
            seed=self.seed,
            checkpoint=self.checkpoint,
            progress=self.progress,
            title=self.title,
        )
        masks = drop_gates(model, open_gates(gates_on(model), self.target, self.min_heads))
        gone = {name: mask for name, mask in masks.items() if not mask.all()}
        return remove(model, gone, self.example) if self.cut else add_masks(model, [*chosen, *slices], gone)

    def _check_counts(self, heads: Sequence[Elements], slices: Sequence[Elements]) -> None:
        """Before any training: the target can be met."""
        sizes = [*(each.size for each in heads), *(heads[0].size for _ in slices)]
        least = sum(min(self.min_heads, size) for size in sizes)
        if self.target is not None and not least <= self.target <= sum(sizes):
            raise ArgumentError(
                f"LearnHeads: target={self.target}, and there are {sum(sizes)} gates, of which {least} stay open "
                f"(min_heads={self.min_heads}); wanted {least} to {sum(sizes)}"
            )
