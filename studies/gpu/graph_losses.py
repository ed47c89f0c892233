"""Objectives without questions to the GPU, for batches without padding: what changes from step to step is a tensor."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fewbit.distill import SPEQ, LogitKD
from fewbit.distill.logits import soft_loss
from fewbit.distill.speq import finer_signals, finer_sites, unchanged_buffers
from fewbit.train import CrossEntropy, outputs_of


class GraphLoss(Protocol):
    """A loss that can be captured."""

    def fill(self, model: nn.Module, batch: Any, progress: float) -> None:
        """Put what changes from step to step into tensors that stay."""
        ...

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        """The loss, by these tensors."""
        ...


class Hard:
    """`CrossEntropy`; nothing changes."""

    def __init__(self, objective: CrossEntropy) -> None:
        self.objective = objective

    def fill(self, model: nn.Module, batch: Any, progress: float) -> None:
        return

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        return self.objective(model, batch, 0.0)


class Taught:
    """`LogitKD` with cross-entropy; the weight of the teacher changes."""

    def __init__(self, objective: LogitKD) -> None:
        self.objective, self.weight = objective, torch.zeros(())

    def fill(self, model: nn.Module, batch: Any, progress: float) -> None:
        self.weight = self.weight.to(batch[0].device)
        self.weight.fill_(self.objective.weight(progress))

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        student = outputs_of(model, batch)
        teacher = self.objective.teacher.to(student.device).eval()
        with torch.no_grad():
            wanted = outputs_of(teacher, batch)
        soft = soft_loss(student, wanted, self.objective.temperature)
        return (1 - self.weight) * self.objective.hard.loss(student, batch) + self.weight * soft


class Drawn:
    """`SPEQ` with cross-entropy; its weight changes, and which signals of its teacher are fine.

    Every signal of the teacher is quantized in both ways, and a tensor says which one counts.
    """

    def __init__(self, objective: SPEQ) -> None:
        self.objective, self.weight, self.fine = objective, torch.zeros(()), torch.zeros(0, dtype=torch.bool)
        self.model: nn.Module | None = None
        self.sites: list[nn.Module] = []

    def fill(self, model: nn.Module, batch: Any, progress: float) -> None:
        if model is not self.model:
            self.model, self.sites = model, finer_sites(model, self.objective.bits, self.objective.sites)
        if len(self.fine) != len(self.sites) or self.fine.device != batch[0].device:
            self.weight = self.weight.to(batch[0].device)
            self.fine = torch.zeros(len(self.sites), dtype=torch.bool, device=batch[0].device)
        self.weight.fill_(self.objective.weight(progress))
        self.fine.copy_(torch.rand(len(self.sites)) < self.objective.chance, non_blocking=True)

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        student = outputs_of(model, batch)
        with torch.no_grad(), unchanged_buffers(model), _either(self.sites, self.objective.bits, self.fine):
            teacher = outputs_of(model, batch)
        soft = self.objective.soft(student, teacher, self.objective.temperature)
        return self.objective.hard.loss(student, batch) + self.weight * soft


def graph_loss(objective: Any) -> GraphLoss | None:
    """The form of an objective that can be captured, if there is one."""
    if isinstance(objective, CrossEntropy):
        return Hard(objective)
    if isinstance(objective, LogitKD | SPEQ) and isinstance(objective.hard, CrossEntropy):
        return Taught(objective) if isinstance(objective, LogitKD) else Drawn(objective)
    return None


class _Either(nn.Module):
    """One of two quantizers of a signal."""

    def __init__(self, coarse: nn.Module, fine: nn.Module, is_fine: Tensor) -> None:
        super().__init__()
        self.coarse, self.fine, self.is_fine = coarse, fine, is_fine

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.is_fine, self.fine(x), self.coarse(x))


@contextmanager
def _either(sites: Sequence[nn.Module], bits: int, fine: Tensor) -> Iterator[None]:
    """Inside, each signal is as fine as `fine` says."""
    coarse = [site._modules["input_quantizer"] for site in sites]
    with finer_signals(sites, bits):
        finer = [site._modules["input_quantizer"] for site in sites]
    try:
        for site, one, other, which in zip(sites, coarse, finer, fine.unbind(), strict=True):
            assert one is not None
            assert other is not None
            site._modules["input_quantizer"] = _Either(one, other, which)
        yield
    finally:
        for site, one in zip(sites, coarse, strict=True):
            site._modules["input_quantizer"] = one
