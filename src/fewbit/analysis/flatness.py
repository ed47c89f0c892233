"""How sharp the minimum of a network is: the rise of its loss under noise on its weights.

A network for few bits should lie in a flat minimum, because quantization errors act like such noise.

    n_i = alpha s r_i,   r_i = -1 or 1,   s = rms(w - mean w) of each weight tensor
    rise(alpha) = mean of (L(w + n) + L(w - n)) / 2 - L(w)
    curvature   = mean of (L(w + n) + L(w - n) - 2 L(w)) / alpha**2      at the smallest alpha

The error of L2-optimal ternary weights is about 0.44 of their rms, that of 3 bits 0.22, of 4 bits 0.11.

References:
    Sung, Choi, Park, Choi, Shin 2020, "S-SGD" (arXiv 2009.02479).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

import torch
from torch import Tensor, nn

from fewbit.analysis.effective_weights import effective_copy, effective_weights
from fewbit.analysis.report import Table
from fewbit.errors import ArgumentError


@dataclass(frozen=True)
class Sharpness:
    """What `sharpness` measured.

    alphas: sizes of the noise in units of the rms of each weight tensor, negative for the mirrored side, 0 in the
    middle. profiles: for each direction the loss at these alphas.

    Examples:
        >>> found = Sharpness(loss=1.0, alphas=(-0.1, 0.0, 0.1), profiles=((1.2, 1.0, 1.4),))
        >>> found.scales, [round(rise, 3) for rise in found.rises(0.1)]
        ((0.1,), [0.3])
    """

    loss: float
    alphas: tuple[float, ...]
    profiles: tuple[tuple[float, ...], ...]

    @property
    def scales(self) -> tuple[float, ...]:
        """The sizes of noise, smallest first."""
        return self.alphas[len(self.alphas) // 2 + 1 :]

    def rises(self, scale: float) -> tuple[float, ...]:
        """For each direction the mean loss of the two mirrored points less the loss of the network."""
        up, down = self.alphas.index(scale), self.alphas.index(-scale)
        return tuple((profile[up] + profile[down]) / 2 - self.loss for profile in self.profiles)

    @property
    def curvature(self) -> tuple[float, ...]:
        """For each direction n'Hn for noise of one rms, from the smallest noise."""
        least = self.scales[0]
        return tuple(2 * rise / least**2 for rise in self.rises(least))

    def tables(self) -> tuple[Table, ...]:
        """The rise for each size of noise, and the loss along each direction."""
        rises = [(scale, *_spread(self.rises(scale)), max(self.rises(scale))) for scale in self.scales]
        curvature = f"curvature {mean(self.curvature):.4g}"
        return (
            Table(
                f"Rise under noise on the weights, of a loss of {self.loss:.4g} without; {curvature}",
                ("noise / rms of weights", "mean rise", "spread", "largest rise"),
                tuple(rises),
            ),
            Table(
                "Loss along random directions",
                ("noise / rms of weights", *(f"direction {i}" for i in range(len(self.profiles)))),
                tuple((alpha, *losses) for alpha, *losses in zip(self.alphas, *self.profiles, strict=True)),
            ),
        )


def sharpness(
    model: nn.Module,
    loss: Callable[[nn.Module], float],
    *,
    scales: Sequence[float] = (0.05, 0.1, 0.2, 0.4),
    directions: int = 8,
    seed: int = 0,
) -> Sharpness:
    """Measure the loss along random directions of the weights, on both sides.

    The network is left as it is: a copy is moved, and each point starts from the same numbers. Weights are taken as
    the forward pass sees them (of a quantized network, its codes); biases, gains and steps get no noise, and the
    statistics of batch norm stay. Networks of one architecture get the same signs, so they compare in pairs.

    Args:
        model: any network.
        loss: network in eval mode, without gradient -> loss on fixed data.
        scales: sizes of the noise in units of the rms of each weight tensor around its mean.
        directions: random directions, each with its mirror image.
        seed: of the directions.

    Raises:
        ArgumentError: `scales` are not positive and different, `directions` is below 1, or there are no weights.

    Examples:
        >>> import torch
        >>> found = sharpness(torch.nn.Linear(8, 1), lambda m: float(m(torch.ones(1, 8)) ** 2), scales=(0.1, 0.2))
        >>> found.alphas
        (-0.2, -0.1, 0.0, 0.1, 0.2)
    """
    sizes = sorted(float(scale) for scale in scales)
    if not sizes or sizes[0] <= 0 or len(set(sizes)) < len(sizes) or directions < 1:
        raise ArgumentError(
            f"sharpness: scales={tuple(scales)}, directions={directions}; wanted different scales above 0 and at least "
            "one direction"
        )
    copy = effective_copy(model)
    weights = effective_weights(copy)
    if not weights:
        raise ArgumentError(f"sharpness: {type(model).__name__} has no weights to put noise on")
    generator = torch.Generator().manual_seed(seed)
    alphas = (*(-size for size in reversed(sizes)), 0.0, *sizes)
    clean = {name: weight.detach().clone() for name, weight in weights.items()}
    with torch.no_grad():
        own = float(loss(copy))
        profiles = []
        for _ in range(directions):
            noise = {name: _signs(weight, generator) * _rms(weight) for name, weight in clean.items()}
            profile = []
            for alpha in alphas:
                for name, weight in weights.items():
                    torch.add(clean[name], noise[name], alpha=alpha, out=weight)
                profile.append(float(loss(copy)) if alpha else own)
            profiles.append(tuple(profile))
    return Sharpness(own, alphas, tuple(profiles))


def _signs(weight: Tensor, generator: torch.Generator) -> Tensor:
    signs = torch.randint(2, weight.shape, generator=generator)  # on the CPU, so that every device draws the same
    return (2 * signs - 1).to(weight)


def _rms(weight: Tensor) -> Tensor:
    return (weight - weight.mean()).square().mean().sqrt()


def _spread(values: Sequence[float]) -> tuple[float, float | None]:
    return mean(values), stdev(values) if len(values) > 1 else None
