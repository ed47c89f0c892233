"""The states of torch's generators, for passes over a network that must draw the same dropout masks."""

from typing import NamedTuple

import torch
from torch import Tensor


class RandomState(NamedTuple):
    """Of the CPU, and of every CUDA device."""

    cpu: Tensor
    cuda: list[Tensor]


def random_state() -> RandomState:
    """What the generators would draw from now on."""
    return RandomState(torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])


def set_random_state(state: RandomState) -> None:
    """Let the generators draw what they would have drawn when `state` was taken."""
    torch.set_rng_state(state.cpu)
    if state.cuda:
        torch.cuda.set_rng_state_all(state.cuda)
