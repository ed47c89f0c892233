"""The hierarchical character language model at the size of its paper: one network a job."""

import os
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fewbit.data import Characters, TextStreams, english_books
from fewbit.train import CrossEntropy, TruncatedBPTT, cosine, fit
from studies.gpu.cudnn_lstm import fuse
from studies.gpu.device import allow_tf32, device, measured_there
from studies.gpu.rows import Tell
from studies.gpu.stopwatch import Stopwatch
from studies.methods.hlstm import ARMS, network, word_perplexity
from studies.tasks.named import bits_per_character

NAMES = ARMS
HIDDEN, STREAMS, STEPS, LR, EPOCHS = 512, 128, 128, 2e-3, 12
"""Cells, endless streams, characters of truncated BPTT, learning rate of Adam, and the epochs of the published run."""
SMALL = {"hidden": 8, "streams": 4, "steps": 16}


def arm(tell: Tell, *, seed: int, arm: str, epochs: float, small: bool = False) -> None:
    """Train one network; `epochs` below 1 is a share of the text."""
    allow_tf32()
    text, model = read(small), untrained(arm, seed, small)
    part = text.train[: int(min(1.0, epochs) * len(text.train))]
    begin = time.monotonic()
    train(model, streams(part, small), max(1, round(epochs)), seed)
    row: dict[str, Any] = {"kind": "hierarchical", "seed": seed, "arm": arm, "passes": epochs}
    row |= {"training_seconds": round(time.monotonic() - begin, 1)}
    row |= {"weights": sum(parameter.numel() for parameter in model.parameters() if parameter.ndim > 1)}
    model.eval()
    with torch.no_grad(), parametrize.cached():
        for name, stream in (("dev", text.dev), ("test", text.test)):
            row[name] = measured_there(partial(bits_per_character, stream.to(device())), model)
    tell(row | {"perplexity": word_perplexity(row["test"], text.test)})


def trial(tell: Tell, *, arm: str, begin: float, end: float, small: bool = False) -> None:
    """Seconds for a step of an arm between two times, while other processes run theirs."""
    allow_tf32()
    model = untrained(arm, 0, small)
    batches = streams(read(small).train, small)
    watch = Stopwatch(batches, begin, end)
    train(model, watch, 1, 0)
    row = {"kind": "trial", "part": arm, "group": "hierarchical"}
    tell(row | {"seconds": watch.seconds(), "updates": len(batches)})


def train(model: nn.Module, batches: Any, epochs: int, seed: int) -> None:
    """As in the study of two cores, with more streams."""
    fit(
        TruncatedBPTT(model),
        batches,
        CrossEntropy(),
        epochs=epochs,
        lr=LR,
        optimizer=torch.optim.Adam,
        schedule=cosine(warmup=0.05),
        seed=seed,
        progress=False,
    )


def untrained(arm: str, seed: int, small: bool) -> nn.Module:
    """The network of an arm, with cuDNN where its clock always ticks."""
    torch.manual_seed(seed)
    return fuse(network(arm, 29, SMALL["hidden"] if small else HIDDEN), arm)


def streams(text: Tensor, small: bool) -> TextStreams:
    """The text in endless streams."""
    return TextStreams(text, SMALL["streams"], SMALL["steps"]) if small else TextStreams(text, STREAMS, STEPS)


@cache
def read(small: bool) -> Characters:
    """The books, or noise where only the path is tested."""
    if small:
        generator = torch.Generator().manual_seed(0)
        parts = [torch.randint(29, (n,), generator=generator) for n in (400, 200, 200)]
        return Characters(parts[0], parts[1], parts[2], tuple(map(str, range(29))))
    return english_books(Path(os.environ["FEWBIT_DATA"]) / "english_books")
