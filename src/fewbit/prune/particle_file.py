"""The state of a particle filter between two rounds, and its file: safetensors, whole or not there, no pickle."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.errors import FileFormatError
from fewbit.prune.elements import Elements, Masks
from fewbit.prune.score import Score
from fewbit.prune.search_result import Memory
from fewbit.train import read_tensors, write_tensors

_KEY = "fewbit_particle_filter"
SETTINGS = ("particles", "crossover", "mutation", "elite", "seed", "keep")
"""What the rounds depend on. Their number is not among them: a search can be made longer."""


@dataclass(frozen=True)
class Particles:
    """Particles that wait for the next round.

    masks: ``(particles, size)`` by name of the elements. weights: ``(particles,)`` with sum 1. rounds: done so far.
    """

    masks: dict[str, Tensor]
    weights: Tensor
    generator: torch.Generator
    memory: Memory
    rounds: int

    def mask(self, index: int) -> Masks:
        """The masks of one particle."""
        return {name: masks[index] for name, masks in self.masks.items()}


def search_of(settings: object, model: nn.Module, elements: Sequence[Elements], ratio: float) -> dict[str, object]:
    """What makes two searches the same one: plain values, with a checksum of the network."""
    checksum = hashlib.sha256()
    for name, value in model.state_dict().items():
        if isinstance(value, Tensor):
            checksum.update(name.encode())
            checksum.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return {name: getattr(settings, name) for name in SETTINGS} | {
        "ratio": ratio,
        "elements": [_described(each) for each in elements],
        "network": checksum.hexdigest(),
    }


def save_particles(path: str | Path, search: Mapping[str, object], state: Particles) -> None:
    """Write the state after a round."""
    log = [(score.error, score.loss, float(score.count)) for score in state.memory.log]
    tensors = {f"particles/{name}": masks for name, masks in state.masks.items()}
    for place, (_, _, masks) in enumerate(state.memory.ranked):
        tensors |= {f"best/{place}/{name}": mask for name, mask in masks.items()}
    tensors |= {
        "weights": state.weights,
        "generator": state.generator.get_state(),
        "log": torch.tensor(log, dtype=torch.float64),
    }
    numbers = [number for _, number, _ in state.memory.ranked]
    meta = {"search": search, "rounds": state.rounds, "best": numbers}
    write_tensors(path, tensors, {_KEY: json.dumps(meta)})


def load_particles(path: str | Path, search: Mapping[str, Any], rounds: int) -> Particles:
    """Read the state of a search that has at most `rounds` rounds behind it.

    Raises:
        FileFormatError: the file is no such state, is of another search, or of more rounds.
    """
    tensors, metadata = read_tensors(path)
    if _KEY not in metadata:
        raise FileFormatError(f"{path}: not the state of a ParticleFilter")
    meta = json.loads(metadata[_KEY])
    for name, here in search.items():
        there = meta["search"].get(name)
        if there != here:
            raise FileFormatError(
                f"{path}: is of another search: {name} is {there} there and {here} here; give another checkpoint"
            )
    if meta["rounds"] > rounds:
        raise FileFormatError(f"{path}: has {meta['rounds']} rounds behind it; wanted at most {rounds}")
    names = [described[0] for described in search["elements"]]
    log = [Score(error, loss, int(count)) for error, loss, count in tensors["log"].tolist()]
    ranked = [
        (log[number].rank, number, {name: tensors[f"best/{place}/{name}"] for name in names})
        for place, number in enumerate(meta["best"])
    ]
    generator = torch.Generator()
    generator.set_state(tensors["generator"])
    masks = {name: tensors[f"particles/{name}"] for name in names}
    return Particles(masks, tensors["weights"], generator, Memory(search["keep"], log, ranked), meta["rounds"])


def _described(each: Elements) -> list[object]:
    """Plain values in which elements of two searches differ; without patterns they are those of earlier releases."""
    if each.patterns is None:
        return [each.name, each.size]
    return [each.name, each.size, ["".join("01"[kept] for kept in choice) for choice in each.patterns.choices]]
