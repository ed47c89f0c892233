"""What `torch.nn.LSTM`, `GRU` and `RNN` remember of their weights from one call to the next."""

from torch import nn


def forget_flat_weights(model: nn.Module) -> nn.Module:
    """Cut the weights that recurrent modules of torch keep from their last call loose from its gradient, in place.

    Behind a quantizer these are results of a computation, and a network that holds such tensors cannot be copied. The
    next call makes them anew.
    """
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module._flat_weights = [
                weight if weight is None or isinstance(weight, nn.Parameter) else weight.detach()
                for weight in module._flat_weights
            ]
    return model
