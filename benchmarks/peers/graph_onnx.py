"""The files of ONNX Runtime and OpenVINO: `float.onnx`, `static.onnx` (int8 QDQ) and `dynamic.onnx` of an exported
network.

    python -m benchmarks.peers.graph_onnx FOLDER

static: uint8 activations and int8 weights per channel, calibrated on the inputs of the folder; LSTM, which has no such
form, is dynamic in it. dynamic: products and LSTM only, as ONNX Runtime advises for transformers and recurrent
networks. Both are what its own tools make. What fails is written to `onnx.json`, and the rest goes on.
"""

from pathlib import Path
from typing import Any

import onnx  # type: ignore[import-not-found,unused-ignore]
import torch
from onnxruntime.quantization import (  # type: ignore[import-not-found,unused-ignore]
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import (  # type: ignore[import-not-found,unused-ignore]
    quant_pre_process,
)

from benchmarks.peers.graph_runs import Data
from benchmarks.peers.graph_steps import run_steps

OPSET = 20


class Reader(CalibrationDataReader):  # type: ignore[misc,unused-ignore]
    """The examples to calibrate with, once."""

    def __init__(self, data: Data, names: list[str]) -> None:
        self.feeds = iter([dict(zip(names, given, strict=True)) for given in data.calibration()])

    def get_next(self) -> Any:
        return next(self.feeds, None)


def names_of(path: Path) -> list[str]:
    return [value.name for value in onnx.load(str(path), load_external_data=False).graph.input]


def export(folder: Path) -> None:
    program: Any = torch.export.load(folder / "model.pt2")
    made: Any = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False)
    made.save(str(folder / "float.onnx"), external_data=False)
    quant_pre_process(str(folder / "float.onnx"), str(folder / "prepared.onnx"), skip_symbolic_shape=True)


def has_lstm(path: Path) -> bool:
    return any(node.op_type == "LSTM" for node in onnx.load(str(path)).graph.node)


def dynamic(folder: Path, source: str = "prepared.onnx", target: str = "dynamic.onnx", recurrent: bool = False) -> None:
    operators = ["LSTM"] if recurrent else ["MatMul", "Gemm", "LSTM"]
    quantize_dynamic(
        str(folder / source),
        str(folder / target),
        op_types_to_quantize=operators,
        per_channel=not recurrent,
        weight_type=QuantType.QInt8,
    )


def static(folder: Path) -> None:
    source = folder / "prepared.onnx"
    if has_lstm(source):
        dynamic(folder, target="recurrent.onnx", recurrent=True)
        source = folder / "recurrent.onnx"
    quantize_static(
        str(source),
        str(folder / "static.onnx"),
        Reader(Data(folder), names_of(source)),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


if __name__ == "__main__":
    run_steps("onnx", [export, static, dynamic])
