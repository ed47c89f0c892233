"""Networks of very few bits for streams: train, compress, run.

    Quantizer   tensor -> tensor on a grid                     fewbit.quant
    Layer       a piece of a sequence network                  fewbit.nn
    Objective   what training minimises                        fewbit.train, fewbit.distill
    Pass        model -> model                                 fewbit.passes
    Program     the packed network: integer ops and bytes      fewbit.program, fewbit.lower
    Session     chunks in, events out                          fewbit.streams

Running needs no torch. Names of the torch side are loaded when first used and say what to install if torch is missing.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from fewbit.decode import Event, Final, Framewise, GreedyCTC, Label, Partial
from fewbit.errors import FewbitError, MissingExtraError
from fewbit.features import LogMel, microphone, read_audio
from fewbit.program import Program, cost, load, show
from fewbit.shipped import pretrained
from fewbit.streams import Session, Transcript, run, stream
from fewbit.text import Alphabet, cer, wer

if TYPE_CHECKING:
    from fewbit.distill import LogitKD as LogitKD
    from fewbit.lower import pack as pack
    from fewbit.passes import Finetune as Finetune
    from fewbit.passes import Quantize as Quantize
    from fewbit.passes import compress as compress
    from fewbit.quant import attach as attach
    from fewbit.quant import calibrate as calibrate
    from fewbit.quant import detach as detach
    from fewbit.train import CTC as CTC
    from fewbit.train import CrossEntropy as CrossEntropy
    from fewbit.train import cosine as cosine
    from fewbit.train import fit as fit
    from fewbit.train import linear as linear

_TORCH_SIDE = {
    "CTC": "fewbit.train",
    "CrossEntropy": "fewbit.train",
    "Finetune": "fewbit.passes",
    "LogitKD": "fewbit.distill",
    "Quantize": "fewbit.passes",
    "attach": "fewbit.quant",
    "calibrate": "fewbit.quant",
    "compress": "fewbit.passes",
    "cosine": "fewbit.train",
    "detach": "fewbit.quant",
    "fit": "fewbit.train",
    "linear": "fewbit.train",
    "pack": "fewbit.lower",
}

_TORCH_PACKAGES = {
    "analysis",
    "data",
    "distill",
    "lower",
    "models",
    "nn",
    "passes",
    "plot",
    "quant",
    "studies",
    "testing",
    "tour",
    "train",
}

__version__ = metadata.version("fewbit")
__all__ = [
    "CTC",
    "Alphabet",
    "CrossEntropy",
    "Event",
    "FewbitError",
    "Final",
    "Finetune",
    "Framewise",
    "GreedyCTC",
    "Label",
    "LogMel",
    "LogitKD",
    "MissingExtraError",
    "Partial",
    "Program",
    "Quantize",
    "Session",
    "Transcript",
    "attach",
    "calibrate",
    "cer",
    "compress",
    "cosine",
    "cost",
    "detach",
    "fit",
    "linear",
    "load",
    "microphone",
    "pack",
    "pretrained",
    "read_audio",
    "run",
    "show",
    "stream",
    "wer",
]


def __getattr__(name: str) -> Any:
    if name in _TORCH_PACKAGES:
        return import_module(f"fewbit.{name}")
    if name not in _TORCH_SIDE:
        raise AttributeError(f"module 'fewbit' has no attribute {name!r}")
    return getattr(import_module(_TORCH_SIDE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_TORCH_SIDE, *_TORCH_PACKAGES})
