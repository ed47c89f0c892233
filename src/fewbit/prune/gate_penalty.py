"""The price of open gates: an objective that closes those that are worth less than their weight.

    L = objective + lambda(t) * sum over all gates of P(soft gate > 0)

With a target number of gates, lambda follows from a controller, whatever the scale of the loss is. With ``e`` the share
of gates that is open above the target::

    ln lambda(t) = ln weight + P e(t) + I integral of e        lambda = 0 where no more gates are open than wanted
"""

import math
from collections.abc import Iterable
from typing import Annotated, Any

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from fewbit.errors import ArgumentError, PruningError
from fewbit.prune.head_gates import Gates, gates_on, held_gates, open_gates
from fewbit.settings import number, whole
from fewbit.train import Objective, OptimizerFactory

PROPORTIONAL, INTEGRAL = 4.0, 40.0
"""Gains of the controller: while a quarter of the gates is open above the target, the price grows tenfold in 23 % of
the training."""


class GatePenalty:
    """An objective with a price on every gate that is open (`fewbit.prune.add_gates`).

    Args:
        objective: what the network is trained on.
        weight: ``lambda``, summed over all gates of a network and not divided by their number; times the number of
            gates over 128 it means the same in networks of other sizes.
        warmup: share of the training over which ``lambda`` grows from 0.
        target: how many gates are to stay open in all; ``lambda`` then begins near `weight` and follows from
            a controller, without a warm-up.
        least: how many stay open at least in each group.
        frozen: share of the training, at its end, in which the gates are held open or closed for good
            (`fewbit.prune.open_gates`), and the weights adapt.

    Raises:
        PruningError: when it is called, the network has no gates.

    Examples:
        >>> import torch
        >>> from fewbit.models import Decoder
        >>> from fewbit.prune import add_gates, structure_of
        >>> from fewbit.train import CrossEntropy
        >>> net, text = Decoder(9, 16, 4, 1), torch.randint(0, 9, (2, 7))
        >>> gates = add_gates(net, [structure_of(net, text).groups["blocks.0.attention"]])
        >>> loss = GatePenalty(CrossEntropy(), weight=0.02)(net, (text[:, :-1], text[:, 1:]), progress=0.5)
        >>> loss.requires_grad
        True
    """

    def __init__(
        self,
        objective: Objective,
        weight: Annotated[float, number()] = 0.02,
        warmup: Annotated[float, number(0, 1)] = 0.05,
        target: Annotated[int | None, whole(1)] = None,
        least: Annotated[int, whole(0)] = 1,
        frozen: Annotated[float, number(0, 1)] = 0.0,
    ) -> None:
        if weight < 0 or not 0 <= warmup <= 1 or not 0 <= frozen < 1:
            raise ArgumentError(
                f"GatePenalty: weight={weight}, warmup={warmup}, frozen={frozen}; wanted a weight from 0, a warm-up in "
                "[0, 1] and a frozen share in [0, 1)"
            )
        self.objective, self.weight, self.warmup = objective, float(weight), float(warmup)
        self.target, self.least, self.frozen = target, least, float(frozen)

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        gates = gates_on(model)
        if not gates:
            raise PruningError(f"{type(model).__name__} has no gates to learn; put them on it with add_gates")
        if self.frozen and progress >= 1 - self.frozen:
            with held_gates(gates, open_gates(gates, self.target, self.least)):
                return self.objective(model, batch, progress)
        loss = self.objective(model, batch, progress)
        penalties = [each.penalty().to(loss.device) for each in gates.values()]
        return loss + self._lambda(list(gates.values()), progress) * sum(penalties[1:], penalties[0])

    def _lambda(self, gates: list[Gates], progress: float) -> float:
        if self.target is None:
            return self.weight * (min(1.0, progress / self.warmup) if self.warmup else 1.0)
        total = sum(len(each.openness) for each in gates)
        is_open = sum(int((each.openness >= 0).sum()) for each in gates)
        excess = (is_open - self.target) / total
        integral, seen = (float(each) for each in gates[0].pressure)
        integral += INTEGRAL * excess * max(progress - seen, 0.0)
        for each in gates:
            each.pressure.copy_(each.pressure.new_tensor([integral, progress]))
        return self.weight * math.exp(PROPORTIONAL * excess + integral) if excess > 0 else 0.0


def gate_optimizer(
    model: nn.Module, optimizer: OptimizerFactory | None = None, factor: float = 10.0
) -> OptimizerFactory:
    """A factory of the optimizer whose gates have a group of their own: `factor` times the rate, no weight decay.

    Args:
        model: with gates (`fewbit.prune.add_gates`).
        optimizer: for all parameters; default AdamW without weight decay.
        factor: of the learning rate.

    Examples:
        >>> import torch
        >>> from functools import partial
        >>> from fewbit.models import Decoder
        >>> from fewbit.prune import add_gates, structure_of
        >>> net, x = Decoder(9, 16, 4, 1), torch.zeros(1, 5, dtype=torch.long)
        >>> gates = add_gates(net, [structure_of(net, x).groups["blocks.0.attention"]])
        >>> made = gate_optimizer(net, partial(AdamW, weight_decay=0.1))(net.parameters(), lr=1e-3)
        >>> [(group["lr"], group["weight_decay"], len(group["params"])) for group in made.param_groups][1]
        (0.01, 0.0, 1)
    """
    mine = {id(each.openness) for each in gates_on(model).values()}

    def make(parameters: Iterable[nn.Parameter], lr: float) -> Optimizer:
        given = list(parameters)
        gates = {"params": [each for each in given if id(each) in mine], "lr": factor * lr, "weight_decay": 0.0}
        groups: list[dict[str, Any]] = [{"params": [each for each in given if id(each) not in mine]}, gates]
        return AdamW(groups, lr=lr, weight_decay=0.0) if optimizer is None else optimizer(groups, lr=lr)

    return make
