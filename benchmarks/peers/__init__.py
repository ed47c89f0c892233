"""Peers of fewbit's kernels: what other libraries offer for the same work, measured in processes of their own.

Each module of a peer has ``matmul(rows, columns, frames, threads)`` and ``rnn(cell, hidden, layers, steps, threads)``.
Both list offers; an offer builds a `case.Case`. `benchmarks.peers.worker` measures the cases of one peer.
"""

PEERS = {
    "onnxruntime": ("benchmarks.peers.onnx_matmul", "benchmarks.peers.onnx_rnn"),
    "openvino": ("benchmarks.peers.openvino_matmul", "benchmarks.peers.openvino_rnn"),
    "torch": ("benchmarks.peers.torch_matmul", "benchmarks.peers.torch_rnn"),
    "ggml": ("benchmarks.peers.ggml_matmul", None),
}
