"""Programs made by hand: small, random from a fixed seed, and with every kind of op."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

# The networks are small and two workers share two cores: threads of one process would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save as to_safetensors

from fewbit.features import LogMel
from fewbit.formats import Binary, Format, Granularity, Int, PerGroup, PerRow, PerTensor, Ternary, UInt, pack
from fewbit.formats import default_layout as smallest
from fewbit.program import Program, ops
from fewbit.program import load as load_program
from fewbit.program.numerics import INT16, INT32, Q10, Q12, rescale_from
from fewbit.text import Alphabet

CODES = (-127, 127)
Change = Callable[[dict[str, Any], dict[str, Any]], None]


def matrix(
    random: np.random.Generator,
    rows: int,
    columns: int,
    format: Format,
    layout: str | None = None,
    per: Granularity | None = None,
) -> ops.Matrix:
    layout = layout or smallest(format)
    data = pack(random.choice(format.levels(), (rows, columns)), format, layout)
    scales = None
    if isinstance(per, PerGroup):
        scales = random.integers(1, (1 << ops.GROUP_SHIFT) + 1, (rows, -(-columns // per.size)))
    return ops.Matrix(rows, columns, format, layout, per or PerRow(), data, scales)


@pytest.fixture(scope="session")
def every_op() -> Program:
    """Each kind of op, each kind of weight: 6 features in, 3 scores out, stride 2."""
    random = np.random.default_rng(0)

    def weight(*args: Any, **more: Any) -> ops.Matrix:
        return matrix(random, *args, **more)

    def bias(n: int) -> Any:
        return random.integers(-100, 100, n)

    def gates(n: int, factor: float = 1.0) -> Any:
        return rescale_from(random.uniform(0.5, 1.0, n) * factor, *INT16)

    to_codes = rescale_from(127 / 32768, *CODES)
    skip = {"cell_multiplier": 1 << 15, "skip_multiplier": 1 << 14, "shift": 30, "low": -127, "high": 127}
    chain = (
        ops.Quantize("input", *random.normal(3, 1, (2, 6)).astype(np.float32), *CODES),
        ops.Conv("conv", 3, 2, weight(5, 18, Int(4)), bias(5), rescale_from(random.uniform(0.02, 0.04, 5), *CODES)),
        ops.Requantize("requantize", 5, rescale_from(-0.7, -100, 100)),
        ops.Dense("grouped", weight(6, 5, Int(6), per=PerGroup(2)), bias(6), rescale_from(0.05, *CODES)),
        ops.SRU("sru", 6, weight(18, 6, Ternary()), bias(18), gates(18, 30.0), **skip),
        ops.SRU("narrow", 4, weight(16, 6, Binary()), bias(16), gates(16, 30.0), **skip),
        ops.QRNN("qrnn", 3, 2, weight(9, 8, Int(8)), bias(9), gates(9), to_codes),
        ops.LSTM(
            "lstm", 3, weight(12, 3, Int(5)), bias(12), gates(12), weight(12, 3, Int(3)), gates(1, 10.0), to_codes
        ),
        ops.GRU(
            "gru", 4, weight(12, 3, UInt(3)), bias(12), gates(12), weight(12, 4, Int(2)), bias(4), gates(12), to_codes
        ),
        ops.Dense(
            "head", weight(3, 4, Ternary(), layout="bits", per=PerTensor()), bias(3), rescale_from(Q10 / 100, *INT32)
        ),
    )
    features, alphabet = LogMel(mels=6, sample_rate=8000), Alphabet(("a", "b"))
    return Program(chain, features.to_dict(), alphabet.to_dict(), {"made": "by hand"})


@pytest.fixture(scope="session")
def listener() -> Program:
    """Hears noise at 8 kHz and says a lot about it: its input and its scores lie around 0."""
    random = np.random.default_rng(1)
    features, alphabet = LogMel(mels=8, sample_rate=8000), Alphabet(("a", "b", "c"))
    frames = features(random.uniform(-0.5, 0.5, 16_000).astype(np.float32))
    offset = -40 * frames.mean(axis=0)
    skip = {"cell_multiplier": 1 << 15, "skip_multiplier": 1 << 15, "shift": 30, "low": -127, "high": 127}
    gates = rescale_from(np.full(24, 8.0), -8 * Q12, 8 * Q12 - 1)
    body = (
        ops.Quantize("input", np.full(8, 40, np.float32), offset, *CODES),
        ops.Conv("conv", 2, 2, matrix(random, 8, 16, Int(4)), np.zeros(8, np.int64), rescale_from(0.1, *CODES)),
        ops.SRU("sru", 8, matrix(random, 24, 8, Ternary()), np.zeros(24, np.int64), gates, **skip),
    )
    head = ops.Dense("head", matrix(random, 4, 8, Int(8)), np.zeros(4, np.int64), rescale_from(1.0, *INT32))
    mean = Program((*body, head))(frames).mean(axis=0)
    head = replace(head, bias=np.rint(-mean * Q10).astype(np.int64))
    return Program((*body, head), features.to_dict(), alphabet.to_dict())


@pytest.fixture(scope="session")
def repack() -> Callable[[bytes, Change], bytes]:
    """``repack(data, change)``: the packed file after ``change(description, tensors)``; NaN is written as ``NaN``."""

    def edit(data: bytes, change: Change) -> bytes:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        meta = json.loads(header["__metadata__"]["fewbit"])
        tensors = {name: value.copy() for name, value in tensors_of(data).items()}
        change(meta, tensors)
        return to_safetensors(tensors, {"fewbit": json.dumps(meta)})

    return edit


@pytest.fixture(scope="session")
def small():
    """The recipe of the demo with all sizes cut down: for the commands, not for their results."""
    from fewbit.demo import DigitsRecipe

    return DigitsRecipe(hidden=16, layers=1, epochs=1, retrain_epochs=1, utterances=48, batch_size=16)


@pytest.fixture(scope="session")
def digits():
    """The recordings in the package."""
    from fewbit.data import spoken_digits

    return spoken_digits()


@pytest.fixture(scope="session")
def program():
    """The packed digit recogniser of the package."""
    from fewbit.shipped import pretrained

    return load_program(pretrained())


@pytest.fixture(scope="session")
def model():
    """The quantized torch network from which it was packed (`recipes/ship_digits.py` puts both in place)."""
    from fewbit.models import SpeechRNN
    from fewbit.tasks import load_network

    return load_network(Path(__file__).parent / "demo" / "digits.safetensors", SpeechRNN.of).model
