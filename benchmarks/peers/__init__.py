"""Peers of fewbit's kernels: what other libraries offer for the same work, measured in processes of their own.

Each module of a peer has ``matmul(rows, columns, frames, threads)`` and ``rnn(cell, hidden, layers, steps, threads)``.
Both list offers; an offer builds a `peers.case.Case`. `peers.worker` measures the cases of one peer.
"""

PEERS = {
    "onnxruntime": ("peers.onnx_matmul", "peers.onnx_rnn"),
    "openvino": ("peers.openvino_matmul", "peers.openvino_rnn"),
    "torch": ("peers.torch_matmul", "peers.torch_rnn"),
    "ggml": ("peers.ggml_matmul", None),
}
