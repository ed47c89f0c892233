"""Number of multiplications of a network for one input."""

from math import prod
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from fewbit.analysis.network_interior import outputs
from fewbit.quant import weight_names


def multiplications(model: nn.Module, batch: Any) -> int:
    """Multiply-accumulates of all weights for one item of a batch (one picture, or one sequence of its length).

    Counted where a module with weights is called: every weight once for each place of its output. Embeddings are
    lookups and count 0.

    Examples:
        >>> import torch
        >>> multiplications(torch.nn.Conv2d(3, 8, 5, padding=2), torch.zeros(2, 3, 10, 10))
        60000
    """
    homes: dict[str, list[str]] = {}
    for full in weight_names(model):
        path, _, name = full.rpartition(".")
        homes.setdefault(path, []).append(name)
    total = 0

    def count(module: nn.Module, names: list[str]) -> Any:
        def hook(_: nn.Module, inputs: Any, output: Any) -> None:
            nonlocal total
            y: Tensor = output[0] if isinstance(output, tuple) else output
            features = 1 if isinstance(module, _ConvNd) else y.dim() - 1
            places = prod(size for axis, size in enumerate(y.shape) if axis not in (0, features))
            total += places * sum(getattr(module, name).numel() for name in names)

        return hook

    handles = [
        module.register_forward_hook(count(module, homes[path]))
        for path, module in model.named_modules()
        if path in homes and not isinstance(module, nn.Embedding | nn.EmbeddingBag)
    ]
    try:
        outputs(model, batch)
    finally:
        for handle in handles:
            handle.remove()
    return total
