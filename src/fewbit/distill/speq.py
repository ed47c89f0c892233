"""Self-distillation by stochastic precision (SPEQ): the network with finer signals teaches itself with coarse ones.

For every batch, each quantized signal of the teacher gets `bits` bits with probability u, else as many as the
student's. Weights, clips and everything else are shared; there is no second network.

    L = hard(student) + weight * T**2 * mean(1 - cos(p_S, p_A)),   p = softmax(logits / T)

References:
    Boo, Shin, Choi, Sung 2020, "Stochastic precision ensemble: self-knowledge distillation for quantized deep neural
    networks" (arXiv 2009.14502).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewbit.errors import ArgumentError, SelectionError
from fewbit.formats import Format, Int, Ternary, UInt
from fewbit.quant import Activation, PerTokenActivation, Quantizer, input_quantizer
from fewbit.settings import curve, listed, number, text, whole
from fewbit.train import CrossEntropy, HardLoss, Schedule, constant, outputs_of, trajectory
from fewbit.train.randomness import random_state, set_random_state

Loss = Literal["cosine", "kl"]


class SPEQ:
    """A hard objective plus the cosine loss against the same network with randomly finer signals.

    The network must have quantized signals of fewer than `bits` bits (`fewbit.quant.attach`, ``activations=``). The
    teacher's forward pass leaves running statistics unchanged and sees the same dropout masks as the student's. In a
    `fewbit.train.TruncatedBPTT` the teacher's states are carried on beside the student's.

    Args:
        temperature: T > 0.
        weight: of the soft loss, a number or a function of progress.
        chance: u in [0, 1]; 0 is the hard objective alone, 1 a teacher of fixed fine signals.
        bits: of the teacher's fine signals.
        hard: objective with a `loss` method; default `CrossEntropy`.
        loss: ``cosine``, or ``kl`` for comparison.
        sites: patterns of module names whose input signals are drawn; default all.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.quant import attach, calibrate
        >>> student = attach(nn.Linear(4, 3), weights="ternary", activations="uint2")
        >>> student = calibrate(student, [torch.rand(8, 4)])
        >>> loss = SPEQ(temperature=2.0)(student, (torch.rand(8, 4), torch.zeros(8).long()), progress=0.0)
        >>> loss.requires_grad
        True
    """

    def __init__(
        self,
        temperature: Annotated[float, number(above=True)] = 2.0,
        weight: Annotated[float | Schedule, curve()] = 1.0,
        chance: Annotated[float, number(0, 1)] = 0.5,
        bits: Annotated[int, whole(2, 8)] = 8,
        hard: HardLoss | None = None,
        loss: Loss = "cosine",
        sites: Annotated[Sequence[str], listed(text, 1)] = ("*",),
    ) -> None:
        if temperature <= 0 or not 0 <= chance <= 1:
            raise ArgumentError(f"SPEQ: temperature {temperature}, chance {chance}; wanted above 0, and 0..1")
        if loss not in _LOSSES:
            raise ArgumentError(f"SPEQ: no loss {loss!r}; there are {', '.join(_LOSSES)}")
        self.temperature, self.chance, self.bits, self.sites = temperature, chance, bits, tuple(sites)
        self.weight: Schedule = weight if callable(weight) else constant(float(weight))
        self.hard, self.soft = hard or CrossEntropy(), _LOSSES[loss]

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        weight = self.weight(progress)
        if not self.chance or not weight:
            return self.hard.loss(outputs_of(model, batch), batch)
        sites = finer_sites(model, self.bits, self.sites)
        drawn = torch.rand(len(sites)) < self.chance
        chosen = [site for site, fine in zip(sites, drawn, strict=True) if fine]
        before = random_state()
        student = outputs_of(model, batch)
        after = random_state()
        set_random_state(before)
        with torch.no_grad(), unchanged_buffers(model), finer_signals(chosen, self.bits), trajectory("finer signals"):
            teacher = outputs_of(model, batch)
        set_random_state(after)
        valid = self.hard.valid_mask(student, batch)
        soft = self.soft(student[valid], teacher[valid], self.temperature)
        return self.hard.loss(student, batch) + weight * soft


def cosine_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T**2 * mean(1 - cos)`` of the softmax at `temperature` of ``(..., classes)`` logits; 0 for no positions.

    Examples:
        >>> from torch import tensor
        >>> a, b = tensor([[9.0, 0.0]]), tensor([[0.0, 9.0]])
        >>> [round(float(cosine_loss(a, other, 1.0)), 2) for other in (a, b)]
        [0.0, 1.0]
    """
    if not student.numel():
        return student.sum()
    p, q = (functional.softmax(logits.float() / temperature, dim=-1) for logits in (student, teacher))
    return (1 - functional.cosine_similarity(p, q, dim=-1)).mean() * temperature**2


def _kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    target = functional.log_softmax(teacher.float() / temperature, dim=-1)
    logs = functional.log_softmax(student.float() / temperature, dim=-1)
    return (target.exp() * (target - logs)).sum(-1).mean() * temperature**2


_LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"cosine": cosine_loss, "kl": _kl}


def finer_sites(model: nn.Module, bits: int, patterns: Sequence[str] = ("*",)) -> list[nn.Module]:
    """Modules whose input is quantized to fewer than `bits` bits.

    Raises:
        SelectionError: there are none.
    """
    sites = [
        module
        for name, module in model.named_modules()
        if any(fnmatchcase(name, pattern) for pattern in patterns) and _coarse(input_quantizer(module), bits)
    ]
    if not sites:
        raise SelectionError(
            f"SPEQ: {type(model).__name__} has no signal of fewer than {bits} bits named like {', '.join(patterns)}: "
            "nothing to draw; attach(model, activations='uint2') first"
        )
    return sites


@contextmanager
def finer_signals(sites: Sequence[nn.Module], bits: int) -> Iterator[None]:
    """Inside the block the inputs of `sites` have `bits` bits, over the same range."""
    coarse: list[Quantizer] = []
    for module in sites:
        quantizer = input_quantizer(module)
        assert isinstance(quantizer, Activation | PerTokenActivation)
        coarse.append(quantizer)
        module._modules["input_quantizer"] = quantizer.at(_finer(quantizer.format, bits))
    try:
        yield
    finally:
        for module, quantizer in zip(sites, coarse, strict=True):
            module._modules["input_quantizer"] = quantizer


@contextmanager
def unchanged_buffers(model: nn.Module) -> Iterator[None]:
    """Inside the block the network has copies of its buffers, such as running statistics, which are then discarded."""
    kept = [(module, dict(module._buffers)) for module in model.modules() if module._buffers]
    for module, buffers in kept:
        module._buffers.update({name: buffer.clone() for name, buffer in buffers.items() if buffer is not None})
    try:
        yield
    finally:
        for module, buffers in kept:
            module._buffers.update(buffers)


def _coarse(quantizer: Quantizer | None, bits: int) -> bool:
    return (
        isinstance(quantizer, Activation | PerTokenActivation)
        and isinstance(quantizer.format, Int | UInt | Ternary)
        and quantizer.format.bits < bits
    )


def _finer(format: Format, bits: int) -> Format:
    return UInt(bits) if isinstance(format, UInt) else Int(bits)
