"""SQWA: the average of low-precision networks along a cyclic retraining, quantized again.

Retraining with a learning rate that falls in cycles visits several good few-bit networks. Their codes, all on one grid,
are summed; the mean lies in the middle of a flat region and has more levels than its members (seven ternary networks:
15 levels). It is quantized again and retrained at a low learning rate.

    lr(t) = hi - (hi - lo) t / (c U)   in a cycle of c epochs of U updates;   w <- D * sum_j z_j / m

References:
    Shin, Boo, Sung 2020, "SQWA: stochastic quantized weight averaging for improving the generalization capability of
    low-precision deep neural networks" (arXiv 2002.00343).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from fewbit.errors import QuantizationError
from fewbit.formats import Int, SparseTernary, Ternary
from fewbit.quant import Quantizer, Uniform
from fewbit.quant.following import input_of
from fewbit.settings import number, whole
from fewbit.train import Objective, OptimizerFactory, PartOf, cosine, fit, linear, make_optimizer, refresh_norms


@dataclass(frozen=True)
class SQWA:
    """Retrain, average the codes of `cycles` networks, quantize the mean, retrain gently.

    The network must have integer weight quantizers (`Quantize`). Their steps are frozen after the warm-up, so that
    all captured codes lie on one grid. Quantizers of signals and objectives of any kind take part. Frozen weights stay
    as they are.

    Args:
        batches, objective, seed, optimizer, clip_norm: as in `Finetune`; the objective sees one progress through all
            parts.
        warmup_epochs: epochs of plain retraining before the cycles; 0 if the network is retrained already.
        cycles: number of networks to average; an odd number avoids ties.
        cycle_epochs: epochs of a cycle.
        finetune_epochs: epochs of the last part, at a low learning rate.
        lr: peak learning rate of the warm-up.
        high: learning rate at the start of a cycle, in units of `lr`.
        low: learning rate at the end of a cycle, as a share of its start.
        final_lr_scale: peak learning rate of the last part, in units of `lr`.
        refit: whether the step is fitted to the mean; otherwise it stays as it is.
        average: whether to stop at the mean: weights become ``intN`` with 1/m of the step, an exact sum of the codes.
        on_capture: called with (number of the capture, network) after each cycle; it must not change the network.
        checkpoint: a folder; an interrupted pass resumes from it and ends in the same weights.

    Examples:
        >>> import fewbit as fb
        >>> batches = [(torch.randn(8, 4), torch.randint(0, 2, (8,)))] * 3
        >>> average = SQWA(batches, fb.CrossEntropy(), warmup_epochs=1, finetune_epochs=1, cycles=3, progress=False)
        >>> average.epochs
        5
        >>> student = fb.compress(nn.Linear(4, 2), fb.Quantize(weights="ternary"), average)
        >>> len(student.weight.unique()) <= 3
        True
    """

    batches: Iterable[Any]
    objective: Objective
    warmup_epochs: Annotated[int, whole(0)]
    finetune_epochs: Annotated[int, whole(0)]
    cycles: Annotated[int, whole(1)] = 7
    cycle_epochs: Annotated[int, whole(1)] = 1
    lr: Annotated[float, number(above=True)] = 1e-3
    high: Annotated[float, number(above=True)] = 1.0
    low: Annotated[float, number(0, 1)] = 0.01
    final_lr_scale: Annotated[float, number(above=True)] = 0.1
    refit: bool = False
    average: bool = False
    optimizer: OptimizerFactory | None = None
    clip_norm: Annotated[float, number(above=True)] = 1.0
    seed: int = 0
    on_capture: Callable[[int, nn.Module], None] | None = None
    checkpoint: str | Path | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        if self.cycles < 1 or self.cycle_epochs < 1 or self.warmup_epochs < 0 or self.finetune_epochs < 0:
            raise QuantizationError(
                f"SQWA: {self.warmup_epochs} warm-up epochs, {self.cycles} cycles of {self.cycle_epochs}, "
                f"{self.finetune_epochs} to finetune; wanted at least one cycle of one epoch"
            )

    @property
    def epochs(self) -> int:
        """Sum of all epochs, the budget that plain retraining needs in a fair comparison."""
        return self.warmup_epochs + self.cycles * self.cycle_epochs + (0 if self.average else self.finetune_epochs)

    def __call__(self, model: nn.Module) -> nn.Module:
        groups = _groups(model)
        wide = max(_wide_bits(quantizer, self.cycles) for quantizer in groups)
        if self.average and wide > 8:
            raise QuantizationError(f"SQWA: the mean of {self.cycles} such networks needs {wide} bits, above 8")
        if self.warmup_epochs:
            self._fit(model, "warmup", 0, self.warmup_epochs, self.lr)
        for quantizer in groups:
            quantizer.freeze()
        groups = {quantizer: stack for quantizer, stack in groups.items() if _master(stack).requires_grad}
        mean = _Mean(model, groups)
        cycling = make_optimizer(self.optimizer, model, self.lr * self.high)  # one for all cycles: it keeps its moments
        for cycle in range(self.cycles):
            start = self.warmup_epochs + cycle * self.cycle_epochs
            self._fit(model, f"cycle{cycle + 1}", start, self.cycle_epochs, 0.0, cycling)
            mean.add()
            if self.on_capture is not None:
                self.on_capture(cycle + 1, model)
        mean.put()
        if self.average:
            _widen(model, groups, self.cycles)
            return refresh_norms(model, self.batches)
        if self.refit:
            for quantizer, stack in groups.items():
                quantizer.fit(input_of(quantizer, stack))
                quantizer.freeze()
        refresh_norms(model, self.batches)
        if self.finetune_epochs:
            start = self.epochs - self.finetune_epochs
            self._fit(model, "finetune", start, self.finetune_epochs, self.lr * self.final_lr_scale)
        return model

    def _fit(
        self, model: nn.Module, title: str, start: int, epochs: int, lr: float, cycling: Optimizer | None = None
    ) -> None:
        fit(
            model,
            self.batches,
            PartOf(self.objective, start / self.epochs, (start + epochs) / self.epochs),
            epochs=epochs,
            lr=lr,
            optimizer=self.optimizer if cycling is None else lambda parameters, lr: cycling,
            schedule=cosine() if cycling is None else linear(1.0, self.low),
            clip_norm=self.clip_norm,
            seed=self.seed + start,
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint) / f"{title}.safetensors",
            progress=self.progress,
            title=f"SQWA {title}",
        )


Groups = dict[Quantizer, parametrize.ParametrizationList]


class _Mean:
    """Running sums: of codes as exact integers, of all other parameters as they are."""

    def __init__(self, model: nn.Module, groups: Groups) -> None:
        self.groups, self.count = groups, 0
        masters = {id(_master(stack)) for stack in groups.values()}
        self.others = [
            parameter for parameter in model.parameters() if id(parameter) not in masters and parameter.requires_grad
        ]
        self.codes: dict[Quantizer, Tensor] = {}
        self.sums = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in self.others]

    @torch.no_grad()
    def add(self) -> None:
        self.count += 1
        for quantizer, stack in self.groups.items():
            z = quantizer.codes(input_of(quantizer, stack)).values.to(torch.int32)
            self.codes[quantizer] = self.codes[quantizer] + z if quantizer in self.codes else z
        for total, parameter in zip(self.sums, self.others, strict=True):
            total += parameter

    @torch.no_grad()
    def put(self) -> None:
        """Make the mean the weights of the network; masters become ``D * sum / count``."""
        for quantizer, stack in self.groups.items():
            master = _master(stack)
            codes = quantizer.codes(input_of(quantizer, stack))  # behind masks
            codes = type(codes)(self.codes[quantizer].to(master.dtype), codes.scale, codes.format, codes.per)
            master.copy_(codes.dequantize() / self.count)
        for total, parameter in zip(self.sums, self.others, strict=True):
            parameter.copy_(total / self.count)


def _groups(model: nn.Module) -> Groups:
    """Weight quantizers and the stacks they stand in, each weight once."""
    found: Groups = {}
    for stack in model.modules():
        if isinstance(stack, parametrize.ParametrizationList):
            found |= {step: stack for step in stack if isinstance(step, Quantizer) and step not in found}
    odd = [quantizer.spec for quantizer in found if not isinstance(quantizer.format, Int | Ternary | SparseTernary)]
    if not found or odd:
        raise QuantizationError(
            f"SQWA: {type(model).__name__} has {f'weights as {odd[0]}' if odd else 'no quantized weights'}; wanted "
            "integer codes: put Quantize(weights='ternary') or intN before it"
        )
    if not all(stack.is_tensor for stack in found.values()):
        raise QuantizationError(
            f"SQWA: {type(model).__name__} has weights that are made of several parameters (weight norm), whose mean "
            "is not the mean of the weights; fold them with torch.nn.utils.parametrize.remove_parametrizations before "
            "Quantize"
        )
    return found


def _master(stack: parametrize.ParametrizationList) -> Tensor:
    master = stack.original
    assert isinstance(master, Tensor)
    return master


def _wide_bits(quantizer: Quantizer, count: int) -> int:
    """Bits that hold every sum of `count` codes."""
    return (2 * count * quantizer.format.hi).bit_length()


def _widen(model: nn.Module, groups: Groups, count: int) -> None:
    """Quantizers for the mean itself: `count` times the levels, each `count` times finer."""
    wide: dict[nn.Module, Uniform] = {}
    for quantizer, stack in groups.items():
        wide[quantizer] = Uniform(Int(_wide_bits(quantizer, count)), quantizer.per)
        wide[quantizer].step = quantizer.codes(input_of(quantizer, stack)).scale / count
    for module in model.modules():  # tied weights have a stack in each place
        if isinstance(module, parametrize.ParametrizationList):
            for place, step in enumerate(list(module)):
                if step in wide:
                    module[place] = wide[step]
