"""A training step's loss and gradients as one CUDA graph: hundreds of small kernels that the CPU starts by one call.

`Graphed` stands in the place of an objective, so `fewbit.train.fit` and the passes stay as they are. The graph is
captured once and replayed while all tensors of the network lie where they lay; when one has moved, because a quantizer
has a new step or the network was elsewhere, it is captured anew. What it gives is compared with a plain step before it
is used.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.train import Objective
from studies.gpu.graph_losses import GraphLoss, graph_loss

NEAR = 0.02
"""Largest difference between a replayed and a plain step, relative to the largest number (TF32, sums in any order)."""

Step = Callable[[], tuple[Tensor, Sequence[Tensor | None]]]
Capture = Callable[[Step], tuple[Callable[[], None], Tensor, Sequence[Tensor | None]]]


class Graphed:
    """An objective by a graph; on a CPU, and where `graph_loss` has no form for it, the objective itself.

    Args:
        objective: what is minimised.
        capture: makes of a step what replays it, and where its loss and gradients are then found.

    Attributes:
        equal: whether the graph gave what a plain step gives; ``None`` before it was tried.
    """

    def __init__(self, objective: Objective, capture: Capture | None = None) -> None:
        self.objective, self.form = objective, graph_loss(objective)
        self.capture = capture or (captured if torch.cuda.is_available() else None)
        self.equal: bool | None = None
        self._key: tuple[int, ...] = ()
        self._batch: tuple[Tensor, ...] = ()
        self._replay: Callable[[], None] = _nothing
        self.loss, self.gradients = torch.zeros(()), list[Tensor | None]()

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        if self.capture is None or self.form is None or (self.equal is not None and not self.equal):
            return self.objective(model, batch, progress)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.form.fill(model, batch, progress)
        key = _places(model, batch)
        if key != self._key:
            self._make(self.capture, self.form, model, batch, parameters)
            self._key = key
        for mine, given in zip(self._batch, batch, strict=True):
            mine.copy_(given)
        if not self.equal:
            return self.form(model, self._batch)
        loss: Tensor = _Replayed.apply(self, *parameters)  # type: ignore[no-untyped-call]
        return loss

    def replay(self) -> Tensor:
        """Run the graph on the batch that was put in."""
        self._replay()
        return self.loss.clone()

    def _make(
        self, capture: Capture, form: GraphLoss, model: nn.Module, batch: Any, parameters: list[nn.Parameter]
    ) -> None:
        self._batch = tuple(part.clone() for part in batch)

        def step() -> tuple[Tensor, Sequence[Tensor | None]]:
            with _new_weights():
                loss = form(model, self._batch)
            return loss.detach(), torch.autograd.grad(loss, parameters, allow_unused=True)

        buffers = {buffer: buffer.clone() for buffer in model.buffers()}

        def put_back() -> None:
            for buffer, before in buffers.items():
                buffer.copy_(before)

        plain = step()
        self._replay, self.loss, gradients = capture(step)
        self.gradients = list(gradients)
        put_back()
        if self.equal is None:
            self._replay()
            put_back()
            self.equal = _near((plain[0], *plain[1]), (self.loss, *self.gradients))


def captured(step: Step) -> tuple[Callable[[], None], Tensor, Sequence[Tensor | None]]:
    """A step as a CUDA graph."""
    here, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(here)
    with torch.cuda.stream(side):  # libraries make their workspaces here and not in the capture
        for _ in range(2):
            step()
    here.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss, gradients = step()
    return graph.replay, loss, gradients


class _Replayed(torch.autograd.Function):
    """Loss and gradients that a replay finds at once; the loss must be the last thing before `backward`."""

    @staticmethod
    def forward(ctx: Any, graphed: Graphed, *parameters: Tensor) -> Tensor:
        ctx.graphed = graphed
        return graphed.replay()

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *ctx.graphed.gradients)


@contextmanager
def _new_weights() -> Iterator[None]:
    """Inside, quantized weights are computed anew, though `fewbit.train.fit` keeps those of a step."""
    before = parametrize._cache
    parametrize._cache = {}
    try:
        yield
    finally:
        parametrize._cache = before


def _places(model: nn.Module, batch: Any) -> tuple[int, ...]:
    """Where everything lies that a graph reads."""
    tensors = [*model.parameters(), *model.buffers()]
    return (id(model), *batch[0].shape, *(tensor.data_ptr() for tensor in tensors))


def _near(plain: Sequence[Tensor | None], replayed: Sequence[Tensor | None]) -> bool:
    for a, b in zip(plain, replayed, strict=True):
        if (a is None) != (b is None):
            return False
        if a is not None and b is not None:
            apart = float((a - b).abs().max()) / max(float(a.abs().max()), 1e-12)
            if not apart <= NEAR:
                return False
    return True


def _nothing() -> None:
    return None
