"""Bytes of the trained numbers of a network."""

from math import prod

from torch import nn
from torch.nn.utils import parametrize

from fewbit.formats import packed_shape
from fewbit.quant import Quantizer, quantizers

FLOAT_BYTES = 4


def stored_bytes(model: nn.Module) -> int:
    """Bytes of packed codes and their scales, and 4 bytes for every number that is not quantized.

    Codes are packed as in a ``*.fewbit`` file (`fewbit.formats.packed_shape`). Biases, norms and running
    statistics are floats; one tensor under two names is counted once, the scales of signals are not counted.

    Examples:
        >>> import torch
        >>> from fewbit.passes import Quantize, compress
        >>> layer = torch.nn.Linear(10, 3)  # 30 weights and 3 biases
        >>> stored_bytes(layer), stored_bytes(compress(layer, Quantize(weights="int4")))
        (132, 31)
    """
    total, known = 0, set()
    for full, quantizer in quantizers(model):
        path, _, name = full.rpartition(".")
        module = model.get_submodule(path)
        if not parametrize.is_parametrized(module, name):  # the quantizer of a signal
            continue
        master = module.get_submodule(f"parametrizations.{name}").get_parameter("original")
        if id(master) in known:
            continue
        known.add(id(master))
        codes = quantizer.codes(master.detach())
        packed = packed_shape(len(master), master[0].numel(), codes.format)
        total += prod(packed) + FLOAT_BYTES * codes.scale.numel()
    for module in model.modules():
        if isinstance(module, Quantizer):
            known |= {id(tensor) for tensor in [*module.parameters(), *module.buffers()]}
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point() and id(tensor) not in known:
            total += FLOAT_BYTES * tensor.numel()
    return total
