"""States of torch's random generators, so that two runs of a network can draw the same dropout masks."""

from typing import NamedTuple

import torch
from torch import Tensor


class RandomState(NamedTuple):
    """The states of the CPU and of every CUDA device."""

    cpu: Tensor
    cuda: list[Tensor]


def random_state() -> RandomState:
    """The current states of the generators."""
    return RandomState(torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])


def set_random_state(state: RandomState) -> None:
    """Restore the generators to `state`."""
    torch.set_rng_state(state.cpu)
    if state.cuda:
        torch.cuda.set_rng_state_all(state.cuda)
