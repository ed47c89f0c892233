"""The sizes that modules keep beside their tensors, read from the tensors again."""

from torch import Tensor, nn

from fewbit import nn as layers
from fewbit.prune.attention_heads import fit_attention


def fit_sizes(module: nn.Module) -> None:
    """Set what a module says of its sizes to those of its parameters.

    Examples:
        >>> from torch import Tensor, nn
        >>> layer = nn.Linear(3, 4)
        >>> layer.weight = nn.Parameter(layer.weight[:2].detach())
        >>> fit_sizes(layer)
        >>> layer.out_features
        2
    """
    match module:
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            if module.groups == module.in_channels > 1:  # depthwise before the cut: a group for each input
                module.groups = len(module.weight) * module.groups // module.out_channels
            module.out_channels, module.in_channels = len(module.weight), module.weight.shape[1] * module.groups
        case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.BatchNorm3d():
            held = module.running_mean if module.running_mean is not None else module.weight
            if held is not None:
                module.num_features = len(held)
        case nn.RNNBase():
            read, back = _of(module, "weight_ih_l0"), _of(module, "weight_hh_l0")
            module.input_size, module.hidden_size = read.shape[1], back.shape[1]
        case nn.MultiheadAttention():
            fit_attention(module)
        case nn.Embedding():
            module.embedding_dim = module.weight.shape[1]
        case nn.PReLU():
            module.num_parameters = len(module.weight)
        case layers.LSTM() | layers.GRU():
            module.inputs, module.hidden_size = module.weight.shape[1], module.weight_hidden.shape[1]
        case layers.SRU():
            module.inputs, module.hidden_size = module.weight.shape[1], len(module.bias) // 2
        case layers.QRNN():
            fit_sizes(module.gates)
            module.inputs, module.hidden_size = module.gates.inputs, module.gates.outputs // 3
        case layers.CausalConv1d():
            module.outputs, module.inputs = len(module.weight), module.weight.shape[1] // module.kernel


def _of(module: nn.Module, name: str) -> Tensor:
    """A weight, behind a quantizer if there is one."""
    found = getattr(module, name)
    assert isinstance(found, Tensor)
    return found
