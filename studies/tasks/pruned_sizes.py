"""How much of the convolutions of a network is left, counted and in closed form."""

from dataclasses import dataclass

from torch import Tensor, nn

from fewbit.inference import inference_mode


@dataclass(frozen=True)
class Convolutions:
    """Weights of live kernels, and the multiplications that they stand for in one picture."""

    weights: int
    macs: int


def convolutions_of(model: nn.Module, picture: Tensor) -> Convolutions:
    """Count the kernels that have a weight other than 0.

    Args:
        picture: a batch of one.
    """
    weights, macs = 0, 0
    places: dict[nn.Module, int] = {}
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    hooks = [
        layer.register_forward_hook(lambda module, _, output: places.update({module: output[0, 0].numel()}))
        for layer in layers
    ]
    try:
        with inference_mode(model):
            model(picture)
    finally:
        for hook in hooks:
            hook.remove()
    for layer in layers:
        taps = layer.weight[0, 0].numel()
        live = int((layer.weight != 0).flatten(2).any(2).sum())
        weights += live * taps
        macs += live * taps * places[layer]
    return Convolutions(weights, macs)


@dataclass(frozen=True)
class ClosedForm:
    """Kernels of a chain of convolutions under shares that are pruned: what `convolutions_of` would count.

    maps: of the input of the chain and of each convolution. The kernels of the first convolution stay.

    Example:
        >>> chain = ClosedForm((3, 10, 10))
        >>> chain.kernels(), chain.kernels(maps=0.3), round(chain.kernels(maps=0.3, kernels=0.6), 1)
        (130.0, 70.0, 40.6)
        >>> round(chain.sparsity(maps=0.3, kernels=0.6), 3)
        0.688
        >>> round(chain.kernel_ratio(chain.kernels(0.3, 0.6), maps=0.3), 3)
        0.6
    """

    maps: tuple[int, ...]

    def kernels(self, maps: float = 0.0, kernels: float = 0.0) -> float:
        """Live kernels; of maps as many as masks keep, of kernels the mean over all masks of the ratio.

        A map that has lost all of its kernels takes those that read it along, with the chance ``kernels ** inputs``.
        """
        inputs, *layers = self.maps[0], *(many - _rounded(maps, many) for many in self.maps[1:])
        found, alive = 0.0, 1.0
        for number, outputs in enumerate(layers):
            gone = kernels if number else 0.0
            found += (1 - gone) * outputs * inputs * alive
            alive = 1 - gone**inputs
            inputs = outputs
        return found

    def sparsity(self, maps: float = 0.0, kernels: float = 0.0) -> float:
        """Share of the kernels that is pruned."""
        return 1 - self.kernels(maps, kernels) / self.kernels()

    def map_ratio(self, sparsity: float) -> float:
        """The share of maps, in hundredths, whose sparsity comes nearest."""
        return min((share / 100 for share in range(100)), key=lambda ratio: abs(self.sparsity(ratio) - sparsity))

    def kernel_ratio(self, left: float, maps: float = 0.0) -> float:
        """The share of kernels that leaves so many, after a share of maps is gone."""
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self.kernels(maps, middle) > left else (low, middle)
        return low


def chain_of(model: nn.Module) -> ClosedForm:
    """The closed form of a network whose convolutions follow one another."""
    first, *_ = shapes = [tuple(module.weight.shape[:2]) for module in model.modules() if isinstance(module, nn.Conv2d)]
    return ClosedForm((first[1], *(outputs for outputs, _ in shapes)))


def _rounded(ratio: float, many: int) -> int:
    return min(int(ratio * many + 0.5), many - 1)
