"""Networks of very few bits for streams: train, compress, run.

    Quantizer   tensor -> tensor on a grid                     fewbit.quant
    Layer       a piece of a sequence network                  fewbit.nn
    Objective   what training minimises                        fewbit.train, fewbit.distill
    Pass        model -> model                                 fewbit.passes
    Program     the packed network: integer ops and bytes      fewbit.program, fewbit.lower
    Session     chunks in, events out                          fewbit.streams

A `Task` ties a network to its data and its measure, for the command line and the analyses (fewbit.tasks).

Running needs no torch. All names are loaded when first used; those of the torch side say what to install if torch is
missing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewbit.decode import Final as Final
    from fewbit.decode import GreedyCTC as GreedyCTC
    from fewbit.decode import Keyword as Keyword
    from fewbit.decode import KeywordSpotter as KeywordSpotter
    from fewbit.decode import Partial as Partial
    from fewbit.decode import TreeBeam as TreeBeam
    from fewbit.distill import SPEQ as SPEQ
    from fewbit.distill import LogitKD as LogitKD
    from fewbit.errors import FewbitError as FewbitError
    from fewbit.features import LogMel as LogMel
    from fewbit.features import microphone as microphone
    from fewbit.features import read_audio as read_audio
    from fewbit.lower import explain as explain
    from fewbit.lower import pack as pack
    from fewbit.passes import SQWA as SQWA
    from fewbit.passes import Finetune as Finetune
    from fewbit.passes import PruneChannels as PruneChannels
    from fewbit.passes import PruneHeads as PruneHeads
    from fewbit.passes import PruneKernels as PruneKernels
    from fewbit.passes import PruneStrided as PruneStrided
    from fewbit.passes import PruneUnits as PruneUnits
    from fewbit.passes import Quantize as Quantize
    from fewbit.passes import compress as compress
    from fewbit.passes import gradual as gradual
    from fewbit.program import Program as Program
    from fewbit.program import cost as cost
    from fewbit.program import load as load
    from fewbit.program import show as show
    from fewbit.quant import attach as attach
    from fewbit.quant import calibrate as calibrate
    from fewbit.quant import detach as detach
    from fewbit.shipped import pretrained as pretrained
    from fewbit.streams import Session as Session
    from fewbit.streams import Transcript as Transcript
    from fewbit.streams import run as run
    from fewbit.streams import stream as stream
    from fewbit.tasks import Task as Task
    from fewbit.text import Alphabet as Alphabet
    from fewbit.text import cer as cer
    from fewbit.text import wer as wer
    from fewbit.train import CTC as CTC
    from fewbit.train import CrossEntropy as CrossEntropy
    from fewbit.train import cosine as cosine
    from fewbit.train import fit as fit
    from fewbit.train import linear as linear

_PLACES = {
    "CTC": "fewbit.train",
    "SPEQ": "fewbit.distill",
    "SQWA": "fewbit.passes",
    "Alphabet": "fewbit.text",
    "CrossEntropy": "fewbit.train",
    "FewbitError": "fewbit.errors",
    "Final": "fewbit.decode",
    "Finetune": "fewbit.passes",
    "GreedyCTC": "fewbit.decode",
    "Keyword": "fewbit.decode",
    "KeywordSpotter": "fewbit.decode",
    "LogMel": "fewbit.features",
    "LogitKD": "fewbit.distill",
    "Partial": "fewbit.decode",
    "Program": "fewbit.program",
    "PruneChannels": "fewbit.passes",
    "PruneHeads": "fewbit.passes",
    "PruneKernels": "fewbit.passes",
    "PruneStrided": "fewbit.passes",
    "PruneUnits": "fewbit.passes",
    "Quantize": "fewbit.passes",
    "Session": "fewbit.streams",
    "Task": "fewbit.tasks",
    "Transcript": "fewbit.streams",
    "TreeBeam": "fewbit.decode",
    "attach": "fewbit.quant",
    "calibrate": "fewbit.quant",
    "cer": "fewbit.text",
    "compress": "fewbit.passes",
    "cosine": "fewbit.train",
    "cost": "fewbit.program",
    "detach": "fewbit.quant",
    "explain": "fewbit.lower",
    "fit": "fewbit.train",
    "gradual": "fewbit.passes",
    "linear": "fewbit.train",
    "load": "fewbit.program",
    "microphone": "fewbit.features",
    "pack": "fewbit.lower",
    "pretrained": "fewbit.shipped",
    "read_audio": "fewbit.features",
    "run": "fewbit.streams",
    "show": "fewbit.program",
    "stream": "fewbit.streams",
    "wer": "fewbit.text",
}
"""Where each public name lives; it is loaded when first used, so that `import fewbit` takes no time."""

_PACKAGES = {
    "analysis",
    "data",
    "decode",
    "demo",
    "distill",
    "errors",
    "features",
    "formats",
    "lower",
    "models",
    "native",
    "nn",
    "passes",
    "plot",
    "program",
    "prune",
    "quant",
    "speed",
    "streams",
    "testing",
    "text",
    "tasks",
    "tracing",
    "train",
    "web",
}

__all__ = [
    "CTC",
    "SPEQ",
    "SQWA",
    "Alphabet",
    "CrossEntropy",
    "FewbitError",
    "Final",
    "Finetune",
    "GreedyCTC",
    "Keyword",
    "KeywordSpotter",
    "LogMel",
    "LogitKD",
    "Partial",
    "Program",
    "PruneChannels",
    "PruneHeads",
    "PruneKernels",
    "PruneStrided",
    "PruneUnits",
    "Quantize",
    "Session",
    "Task",
    "Transcript",
    "TreeBeam",
    "attach",
    "calibrate",
    "cer",
    "compress",
    "cosine",
    "cost",
    "detach",
    "explain",
    "fit",
    "gradual",
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
    if name == "__version__":
        # Asking for it takes longer than all the rest.
        return import_module("importlib.metadata").version("fewbit")
    if name in _PACKAGES:
        return import_module(f"fewbit.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'fewbit' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES, *_PACKAGES})
