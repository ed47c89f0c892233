"""What tests of refusals share: examples, a network, and whether a model is as it was."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import LoweringError

X = [torch.randn(4, 12, 8, generator=torch.Generator().manual_seed(0))]
PICTURES = [torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))]
SYMBOLS = [torch.randint(0, 10, (4, 12), generator=torch.Generator().manual_seed(0))]


class Network(nn.Module):
    """Two linear layers, and something between them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.relu(self.inner(x)))


def quantized(model: nn.Module, batches: Any = X, weights: Any = "int8", activations: Any = "int8") -> nn.Module:
    return fb.compress(model, fb.Quantize(weights, activations, calibration=batches)).eval()


def check_refused(message: str, model: nn.Module, example: Any = X, **more: Any) -> None:
    with pytest.raises(LoweringError, match=message) as refused:
        fb.pack(model, example=example, **more)
    assert str(refused.value).count("\n") == 0


class State:
    """Everything about a model that packing could change."""

    def __init__(self, model: nn.Module) -> None:
        self.tensors = deepcopy(model.state_dict())
        self.modes = [module.training for module in model.modules()]
        self.hooks = [list(module._forward_pre_hooks) + list(module._forward_hooks) for module in model.modules()]
        self.attributes = [set(vars(module)) for module in model.modules()]
        self.grads = [parameter.requires_grad for parameter in model.parameters()]

    def check(self, model: nn.Module) -> None:
        other = State(model)
        assert self.tensors.keys() == other.tensors.keys()
        assert all(torch.equal(value, other.tensors[name]) for name, value in self.tensors.items())
        assert self.modes == other.modes
        assert self.hooks == other.hooks
        assert self.attributes == other.attributes
        assert self.grads == other.grads
