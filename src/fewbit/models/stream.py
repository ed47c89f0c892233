"""A torch network with the interface of a Program, so that a session can run it for comparison."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fewbit.features import LogMel
from fewbit.nn import CausalConv1d, Layer
from fewbit.program.numerics import Q10
from fewbit.text import Alphabet


class TorchStream:
    """Runs ``model(x, state)`` of a `fewbit.nn.Layer` in eval mode, chunk by chunk.

    Examples:
        >>> import numpy as np
        >>> import fewbit as fb
        >>> from fewbit.models import SpeechRNN
        >>> net = TorchStream(SpeechRNN(8, 12, 1, 3), fb.LogMel(8), fb.Alphabet(("a", "b")))
        >>> scores, state = net.step(np.zeros((4, 8), np.float32), net.init_state())
        >>> scores.shape, net.stride
        ((2, 3), 2)
    """

    def __init__(self, model: Layer, features: LogMel, alphabet: Alphabet) -> None:
        self.model = model.eval()
        self.features: dict[str, Any] | None = features.to_dict()
        self.alphabet: dict[str, Any] | None = alphabet.to_dict()

    @property
    def stride(self) -> int:
        """Input frames for each output frame."""
        strides = [module.stride for module in self.model.modules() if isinstance(module, CausalConv1d)]
        return int(np.prod(strides, dtype=int))

    def init_state(self) -> Any:
        """State at the start of a stream."""
        return None

    def step(self, x: NDArray[np.float32], state: Any) -> tuple[NDArray[np.int64], Any]:
        """Scores in Q10 for a chunk ``(time, features)``, rounded like those of a Program."""
        with torch.no_grad():
            y, state = self.model(torch.from_numpy(x)[None], state)
        return np.floor(y[0].double().numpy() * Q10 + 0.5).astype(np.int64), state
