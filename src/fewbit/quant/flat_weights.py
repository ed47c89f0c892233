"""The weights that `torch.nn.LSTM`, `GRU` and `RNN` cache from one call to the next."""

from torch import nn


def forget_flat_weights(model: nn.Module) -> nn.Module:
    """Detach the weights that recurrent modules of torch cache from their last call, in place.

    Behind a quantizer they are results of a computation, and a network that holds such tensors cannot be copied. The
    next call renews them.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from copy import deepcopy
        >>> from fewbit.quant import attach
        >>> layer = attach(nn.GRU(4, 3), weights="int8")
        >>> output, state = layer(torch.zeros(5, 1, 4))
        >>> type(deepcopy(forget_flat_weights(layer))).__name__
        'ParametrizedGRU'
    """
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module._flat_weights = [
                weight if weight is None or isinstance(weight, nn.Parameter) else weight.detach()
                for weight in module._flat_weights
            ]
    return model
