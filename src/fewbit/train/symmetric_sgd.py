"""SGD with symmetric weight noise (S-SGD): the gradient is taken at two mirrored points around the weights.

    g = (grad L(w + n) + grad L(w - n)) / 2,    n_i = s r_i,  r_i = -1 or 1,  s = alpha rms(w - mean w)

    E[(L(w + n) + L(w - n)) / 2] = L(w) + s**2 / 2 * trace of the curvature + ...

Training therefore prefers flat minima, whose networks tolerate quantization better. Mirroring cancels the first-order
error of one-sided noise; the fixed size removes the chance in it. A network meant for b bits is trained with
``alpha = 10**(-SQNR / 20)``: 0.4 for ternary, 0.2 for 3 bits, 0.1 for 4 bits.

References:
    Sung, Choi, Park, Choi, Shin 2020, "S-SGD: symmetrical stochastic gradient descent with weight noise injection for
    reaching flat minima" (arXiv 2009.02479).
"""

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, cast

import torch
from torch import Tensor
from torch.optim import SGD

from fewbit.errors import ArgumentError
from fewbit.settings import number, whole
from fewbit.train.randomness import random_state, set_random_state

Noise = Literal["sign", "sphere", "gauss"]


class SymmetricSGD(SGD):
    """SGD on the mean gradient of two mirrored points; `step` needs a closure and calls it twice.

    Weights are the parameters with two or more axes longer than 1; biases, gains and learned steps get no noise. A step
    updates the clean weights by the mean gradient, as a plain optimizer would. If a loss is not finite, the update is
    skipped and `skipped` grows by one (`fewbit.train.fit` stops after such an epoch; your own loop may continue). Noise
    is seeded by the number of the step, so it is the same in every process and after a resume; dropout draws the same
    masks at both points. Running statistics of batch norm are those of noisy weights: call `refresh_norms` after
    training.

    Args:
        params, lr, momentum, weight_decay, nesterov: as in `torch.optim.SGD`.
        alpha: size of the noise in units of the rms of each weight.
        noise: ``sign`` (every element the same size), ``sphere`` (every tensor the same norm) or ``gauss``.
        symmetric: ``False`` gives one-sided noise, at half the cost.
        warmup: steps over which alpha rises linearly from 0.
        clip_norm: largest norm of the mean gradient; `fewbit.train.fit` lowers it to its own ``clip_norm``.
        seed: of the noise.

    Raises:
        ArgumentError: `alpha` is below 0, or `noise` is not one of the three.

    Examples:
        >>> import torch
        >>> model, calls = torch.nn.Linear(4, 2), []
        >>> optimizer = SymmetricSGD(model.parameters(), lr=0.1, alpha=0.2)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = model(torch.ones(1, 4)).square().sum()
        ...     loss.backward()
        ...     calls.append(loss)
        ...     return loss
        >>> loss = optimizer.step(closure)
        >>> len(calls)  # at both mirrored points
        2
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: Annotated[float, number()] = 0.9,
        weight_decay: Annotated[float, number()] = 0.0,
        *,
        nesterov: bool = False,
        alpha: Annotated[float, number()] = 0.2,
        noise: Noise = "sign",
        symmetric: bool = True,
        warmup: Annotated[int, whole(0)] = 0,
        clip_norm: float = math.inf,
        seed: int = 0,
    ) -> None:
        if not alpha >= 0 or noise not in ("sign", "sphere", "gauss"):
            raise ArgumentError(
                f"SymmetricSGD: alpha={alpha}, noise={noise!r}; wanted alpha of 0 or more, and sign, sphere or gauss"
            )
        super().__init__(params, lr, momentum, weight_decay=weight_decay, nesterov=nesterov)
        for group in self.param_groups:
            group.setdefault("alpha", alpha)
            group.setdefault("steps", 0)
            group.setdefault("skipped", 0)
        self.noise, self.symmetric, self.warmup, self.clip_norm, self.seed = noise, symmetric, warmup, clip_norm, seed

    @property
    def skipped(self) -> int:
        """Updates left out because a loss was not finite."""
        return int(self.param_groups[0]["skipped"])

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step.

        Args:
            closure: zeroes the gradients, computes the loss of a batch, calls backward and returns the loss.

        Raises:
            ArgumentError: there is no closure.
        """
        if closure is None:
            raise ArgumentError(
                "SymmetricSGD.step needs a closure that zeroes gradients, computes the loss and its gradient"
            )
        run = cast(Callable[[], Tensor], torch.enable_grad()(closure))
        noise = self._draw()
        if not noise:  # alpha is 0: plain SGD
            loss = run()
            self._clip()
            super().step()
        else:
            loss = self._noisy(run, noise)
        for group in self.param_groups:
            group["steps"] += 1
        return loss

    def _noisy(self, run: Callable[[], Tensor], noise: dict[Tensor, Tensor]) -> Tensor:
        clean = {parameter: parameter.detach().clone() for parameter in noise}
        random = random_state()
        losses, gradients = [], []
        try:
            for sign in (1, -1) if self.symmetric else (1,):
                set_random_state(random)
                with torch.no_grad():
                    for parameter, n in noise.items():
                        torch.add(clean[parameter], n, alpha=sign, out=parameter)
                losses.append(run().detach())
                gradients.append([_copy(parameter.grad) for parameter in self._parameters()])
        finally:
            with torch.no_grad():
                for parameter, value in clean.items():
                    parameter.copy_(value)
        loss = torch.stack(losses).mean()
        if not torch.isfinite(loss):
            for group in self.param_groups:
                group["skipped"] += 1
            return loss
        for parameter, *found in zip(self._parameters(), *gradients, strict=True):
            known = [gradient for gradient in found if gradient is not None]
            parameter.grad = torch.stack(known).mean(0) if known else None
        self._clip()
        super().step()
        return loss

    @torch.no_grad()
    def _draw(self) -> dict[Tensor, Tensor]:
        drawn: dict[Tensor, Tensor] = {}
        for place, group in enumerate(self.param_groups):
            rise = min(1.0, (group["steps"] + 1) / self.warmup) if self.warmup else 1.0
            generator = torch.Generator().manual_seed((self.seed * 1009 + place) * 1_000_003 + group["steps"])
            for parameter in group["params"]:
                weight = sum(size > 1 for size in parameter.shape) > 1
                if not weight or not parameter.requires_grad or group["alpha"] == 0:
                    continue
                size = group["alpha"] * rise * _rms(parameter)
                shape = torch.randn(parameter.shape, generator=generator).to(parameter)
                if self.noise == "sign":
                    shape = torch.where(shape >= 0, 1.0, -1.0).to(parameter)
                elif self.noise == "sphere":
                    shape *= parameter.numel() ** 0.5 / shape.norm()
                drawn[parameter] = size * shape
        return drawn

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _clip(self) -> None:
        if math.isfinite(self.clip_norm):
            torch.nn.utils.clip_grad_norm_(self._parameters(), self.clip_norm)


def _rms(weight: Tensor) -> Tensor:
    """Rms of a weight around its mean; of a constant weight, that of a freshly initialised layer."""
    rms = (weight - weight.mean()).square().mean().sqrt()
    varies = rms > 1e-6 * weight.abs().amax()  # a mean of equal numbers is rounded
    return torch.where(varies, rms, weight[0].numel() ** -0.5)


def _copy(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.detach().clone()
