"""Renew the golden files of the packed format: only when the version of the file rises, and never an old one.

    python scripts/renew_golden.py tests/golden

Writes `every_op_vN.fewbit` and `hierarchy_vN.fewbit`, Programs that together have every kind of op, and with the ending
`.npy` the scores that they give for the frames `golden_frames()`; a file that is there is left alone. The tests
read the golden files of all versions and compare every byte and every integer.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fewbit import nn as layers
from fewbit.lower import pack
from fewbit.passes import Quantize, compress
from fewbit.program.write import VERSION
from fewbit.quant import Activation, input_quantizer

FEATURES = 10


def golden_frames() -> NDArray[np.float32]:
    """Frames ``(80, 10)`` that no generator has to be trusted for."""
    t = np.arange(80)[:, None] / 7
    return np.asarray(3 * np.sin(t * np.arange(1, FEATURES + 1)) + t / 5, np.float32)


def every_op(frames: torch.Tensor) -> nn.Module:
    """A quantized network with all ops of the first release."""
    model = layers.Chain(
        layers.Normalize(FEATURES).fit(frames),
        layers.CausalConv1d(FEATURES, 12, 4, 2),
        layers.BatchNorm(12),
        nn.ReLU(),
        layers.SRU(12, 9),
        layers.QRNN(9, 8),
        layers.LSTM(8, 7),
        layers.GRU(7, 6),
        nn.Linear(6, 5),
    )
    model.train()(frames)
    weights = {"1": "int4/5", "4": "int3:row", "5.gates": "int6", "6.weight": "binary", "8": "int8", "*": "ternary"}
    student = compress(model, Quantize(weights, "int8", calibration=[frames])).eval()
    quantizer = input_quantizer(student.get_submodule("8"))
    assert isinstance(quantizer, Activation)
    quantizer.step = quantizer.step * 0.9  # so that a requantize op is needed
    return student


def hierarchy(frames: torch.Tensor) -> nn.Module:
    """A quantized network with two clocks."""
    model = layers.Chain(
        layers.Normalize(FEATURES).fit(frames), layers.HLSTM(FEATURES, 7, (0, 3), direct=True), nn.Linear(7, 5)
    )
    weights = {"2": "int8", "*": "ternary:row"}
    return compress(model, Quantize(weights, "int8", calibration=[frames])).eval()


def main(folder: Path) -> None:
    frames = torch.from_numpy(golden_frames())[None]
    for name, network in (("every_op", every_op), ("hierarchy", hierarchy)):
        path = folder / f"{name}_v{VERSION}.fewbit"
        if path.exists():
            continue
        torch.manual_seed(0)
        program = pack(network(frames), recipe={"made by": "scripts/renew_golden.py"})
        program.save(path)
        np.save(path.with_suffix(".npy"), program.step(golden_frames(), program.init_state())[0])
        print(path.name, [type(op).__name__ for op in program.ops])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
