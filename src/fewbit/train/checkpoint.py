"""Checkpoints of a training: complete safetensors files, no pickle.

One file holds the model, the optimizer, the states of all random generators and the losses so far. It is written
beside the old one and then renamed over it, so a process killed at any moment leaves a complete checkpoint.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from fewbit.atomic_file import replacing
from fewbit.errors import FileFormatError

_KEY = "fewbit_checkpoint"


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    generator: torch.Generator | None,
    epoch: int,
    losses: list[float],
) -> None:
    """Save everything that the rest of a training depends on."""
    state = optimizer.state_dict()
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    numbers: dict[str, Any] = {}
    for index, slots in state["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{slot}"] = value
            else:
                numbers[f"{index}/{slot}"] = value
    tensors["random/torch"] = torch.get_rng_state()
    if generator is not None:
        tensors["random/generator"] = generator.get_state()
    _, keys, *rest = np.random.get_state(legacy=True)
    tensors["random/numpy"] = torch.from_numpy(np.asarray(keys).astype(np.int64))
    version, internal, gauss = random.getstate()
    meta = {
        "epoch": epoch,
        "losses": losses,
        "optimizer_numbers": numbers,
        "param_groups": state["param_groups"],
        "numpy": rest,
        "python": [version, internal, gauss],
    }
    write_tensors(path, tensors, {_KEY: json.dumps(meta)})


def load_checkpoint(
    path: str | Path, model: nn.Module, optimizer: Optimizer, generator: torch.Generator | None
) -> tuple[int, list[float]]:
    """Restore a checkpoint and return (epochs done, their losses).

    Raises:
        FileFormatError: the file is not a checkpoint, or belongs to another model or optimizer.
    """
    tensors, metadata = read_tensors(path)
    if _KEY not in metadata:
        raise FileFormatError(f"{path}: not a checkpoint of fewbit.train.fit")
    meta = json.loads(metadata[_KEY])
    try:
        model.load_state_dict(_below("model/", tensors))
        slots: dict[int, dict[str, Any]] = {}
        numbers = meta["optimizer_numbers"]
        for name, value in [*_below("optimizer/", tensors).items(), *numbers.items()]:
            index, slot = name.split("/", 1)
            slots.setdefault(int(index), {})[slot] = value
        optimizer.load_state_dict({"state": slots, "param_groups": meta["param_groups"]})
    except (RuntimeError, ValueError, KeyError) as error:
        raise FileFormatError(f"{path}: the checkpoint belongs to another model or optimizer: {error}") from error
    torch.set_rng_state(tensors["random/torch"])
    if generator is not None and "random/generator" in tensors:
        generator.set_state(tensors["random/generator"])
    np.random.set_state(("MT19937", tensors["random/numpy"].numpy().astype(np.uint32), *meta["numpy"]))
    version, internal, gauss = meta["python"]
    random.setstate((version, tuple(internal), gauss))
    return int(meta["epoch"]), list(meta["losses"])


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file, complete or not at all; tensors that share memory are stored separately.

    Examples:
        >>> import torch
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_tensors(f"{folder}/x.safetensors", {"weight": torch.ones(2)}, {"made by": "me"})
        ...     print(read_tensors(f"{folder}/x.safetensors"))
        ({'weight': tensor([1., 1.])}, {'made by': 'me'})
    """
    separate = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    try:
        with replacing(path) as part:
            save_file(separate, part, metadata)
    except SafetensorError as error:  # what the library makes of an error of the file system
        raise OSError(f"{path}: cannot be written: {error}") from error


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, and its metadata.

    Raises:
        FileFormatError: the file is missing or damaged.

    Examples:
        >>> import torch
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_tensors(f"{folder}/x.safetensors", {"weight": torch.ones(2)}, {})
        ...     tensors, metadata = read_tensors(f"{folder}/x.safetensors")
        >>> tensors["weight"]
        tensor([1., 1.])
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"{path}: cannot be read as safetensors: {error}") from error


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
