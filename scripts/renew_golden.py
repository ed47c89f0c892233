"""Renew the golden files of the packed format: only when the version of the file rises, and never an old one.

    python scripts/renew_golden.py tests/golden

Writes `every_op_vN.fewbit`, a Program with every kind of op, and `every_op_vN.npy`, the scores that it gives for the
frames `golden_frames()`. The tests read the golden files of all versions and compare every byte and every integer.
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


def main(folder: Path) -> None:
    torch.manual_seed(0)
    frames = torch.from_numpy(golden_frames())[None]
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
    program = pack(student, recipe={"made by": "scripts/renew_golden.py"})
    program.save(folder / f"every_op_v{VERSION}.fewbit")
    np.save(folder / f"every_op_v{VERSION}.npy", program.step(golden_frames(), program.init_state())[0])
    print([type(op).__name__ for op in program.ops])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
