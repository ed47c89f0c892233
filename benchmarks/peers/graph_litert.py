"""The files of LiteRT: `float.tflite`, `static.tflite` (int8) and `dynamic.tflite` of an exported network.

    python -m benchmarks.peers.graph_litert FOLDER

Made by litert-torch and ai-edge-quantizer with its own recipes: int8 weights per channel with int8 activations, and
with activations that are quantized as they come. What fails is written to `litert.json`, and the rest goes on.
"""

from pathlib import Path
from typing import Any

import litert_torch  # type: ignore[import-not-found,unused-ignore]
import numpy as np
import torch
from ai_edge_quantizer import qtyping, quantizer, recipe  # type: ignore[import-not-found,unused-ignore]

from benchmarks.peers.graph_runs import Array, Data
from benchmarks.peers.graph_steps import run_steps


def export(folder: Path) -> None:
    program: Any = torch.export.load(folder / "model.pt2")
    data = Data(folder)
    given = tuple(torch.from_numpy(x) for x in (data.inputs[0], *data.states))
    litert_torch.convert(program.module(), given).export(str(folder / "float.tflite"))


def narrow(x: Array) -> Array:
    """Symbols as LiteRT takes them."""
    return x.astype(np.int32) if x.dtype == np.int64 else x


def static(folder: Path) -> None:
    examples = [{f"args_{i}": narrow(x) for i, x in enumerate(given)} for given in Data(folder).calibration()]
    maker = quantizer.Quantizer(str(folder / "float.tflite"), recipe.static_wi8_ai8())
    for place in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):  # those stay float32, as elsewhere
        maker.update_quantization_recipe(".*", place, algorithm_key="no_quantize")
    found = maker.calibrate({"serving_default": examples})
    maker.quantize(found).export_model(str(folder / "static.tflite"), overwrite=True)


def dynamic(folder: Path) -> None:
    maker = quantizer.Quantizer(str(folder / "float.tflite"), recipe.dynamic_wi8_afp32())
    maker.quantize().export_model(str(folder / "dynamic.tflite"), overwrite=True)


if __name__ == "__main__":
    run_steps("litert", [export, static, dynamic])
