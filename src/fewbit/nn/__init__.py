"""Floor 3: float layers of sequence networks, all ``forward(x, state=None) -> (y, state)``."""

import fewbit.torch_side  # noqa: F401
from fewbit.nn.conv import CausalConv1d
from fewbit.nn.gru import GRU
from fewbit.nn.layer import BatchNorm, Chain, Layer, Normalize, Signal
from fewbit.nn.lstm import LSTM
from fewbit.nn.qrnn import QRNN
from fewbit.nn.sru import SRU

__all__ = ["GRU", "LSTM", "QRNN", "SRU", "BatchNorm", "CausalConv1d", "Chain", "Layer", "Normalize", "Signal"]
