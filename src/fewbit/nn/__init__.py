"""Float layers of sequence networks: ``forward(x, state=None) -> (y, state)``, and self-attention without state."""

import fewbit.torch_side  # noqa: F401
from fewbit.nn.all_attention import AllAttention
from fewbit.nn.attention import Attention
from fewbit.nn.clock_schedule import ClockSchedule
from fewbit.nn.conv import CausalConv1d
from fewbit.nn.graph.cells import gru_graph, lstm_graph, sru_graph
from fewbit.nn.graph.clocked import clocked_lstm_graph, hierarchical_lstm_graph
from fewbit.nn.graph.drawing import Graph
from fewbit.nn.graph.layer import GraphRNN
from fewbit.nn.graph.parts import Edge, Node
from fewbit.nn.graph.planning import plan
from fewbit.nn.graph.recognition import Recognised, recognise
from fewbit.nn.graph.schedule import Plan
from fewbit.nn.graph.weight_import import import_weights
from fewbit.nn.gru import GRU
from fewbit.nn.hlstm import HLSTM
from fewbit.nn.layer import BatchNorm, Chain, Layer, Normalize, Signal
from fewbit.nn.lstm import LSTM
from fewbit.nn.macro_block_dropout import MacroBlockDropout, hold_masks
from fewbit.nn.multihead_attention import MultiheadAttention
from fewbit.nn.one_hot import OneHot
from fewbit.nn.qrnn import QRNN
from fewbit.nn.sru import SRU

__all__ = [
    "GRU",
    "HLSTM",
    "LSTM",
    "QRNN",
    "SRU",
    "AllAttention",
    "Attention",
    "BatchNorm",
    "CausalConv1d",
    "Chain",
    "ClockSchedule",
    "Edge",
    "Graph",
    "GraphRNN",
    "Layer",
    "MacroBlockDropout",
    "MultiheadAttention",
    "Node",
    "Normalize",
    "OneHot",
    "Plan",
    "Recognised",
    "Signal",
    "clocked_lstm_graph",
    "gru_graph",
    "hierarchical_lstm_graph",
    "hold_masks",
    "import_weights",
    "lstm_graph",
    "plan",
    "recognise",
    "sru_graph",
]
