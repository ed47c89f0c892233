"""Trained networks in files: safetensors with a description from which the network is rebuilt."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fewbit.errors import FileFormatError
from fewbit.models.speech import SpeechRNN
from fewbit.quant import attach
from fewbit.train import read_tensors, write_tensors

_KEY = "fewbit_model"


@dataclass(frozen=True)
class Trained:
    """A `SpeechRNN`, how it is quantized, and how it was trained.

    quantized: the arguments `weights` and `activations` of `attach`, or ``None`` for a float network.

    Examples:
        >>> trained = Trained(SpeechRNN(8, 12, 1, 5), recipe={"seed": 3})
        >>> trained.quantized is None, trained.recipe["seed"]
        (True, 3)
    """

    model: SpeechRNN
    quantized: dict[str, Any] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)


def save_model(path: str | Path, trained: Trained) -> Path:
    """Write a network to a file, whole or not at all.

    Examples:
        >>> from tempfile import mkdtemp
        >>> path = save_model(f"{mkdtemp()}/net.safetensors", Trained(SpeechRNN(8, 12, 1, 5), recipe={"seed": 3}))
        >>> load_model(path).recipe
        {'seed': 3}
    """
    # The order of patterns matters: keys are not sorted.
    about = {"config": trained.model.config, "quantized": trained.quantized, "recipe": trained.recipe}
    write_tensors(path, trained.model.state_dict(), {_KEY: json.dumps(about)})
    return Path(path)


def load_model(path: str | Path) -> Trained:
    """Read a network back, with its quantizers attached.

    Raises:
        FileFormatError: the file is damaged, or is not made by `save_model`.

    Examples:
        >>> from tempfile import mkdtemp
        >>> path = save_model(f"{mkdtemp()}/net.safetensors", Trained(SpeechRNN(8, 12, 1, 5), recipe={"seed": 3}))
        >>> load_model(path).recipe
        {'seed': 3}
    """
    tensors, metadata = read_tensors(path)
    if _KEY not in metadata:
        raise FileFormatError(f"{path}: not a network saved by fewbit.models.save_model")
    try:
        about = json.loads(metadata[_KEY])
        model = SpeechRNN(**about["config"])
        if about["quantized"] is not None:
            attach(model, **about["quantized"])
        model.load_state_dict(tensors)
    except (RuntimeError, ValueError, KeyError, TypeError, LookupError) as error:
        raise FileFormatError(f"{path}: the tensors do not fit the network it describes: {error}") from error
    model.eval()
    return Trained(model, about["quantized"], about["recipe"])
