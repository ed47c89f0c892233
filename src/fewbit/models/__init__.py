"""Floor 5: ready-made networks."""

import fewbit.torch_side  # noqa: F401
from fewbit.models.file import Trained, load_model, save_model
from fewbit.models.speech import SpeechRNN
from fewbit.models.stream import TorchStream

__all__ = ["SpeechRNN", "TorchStream", "Trained", "load_model", "save_model"]
