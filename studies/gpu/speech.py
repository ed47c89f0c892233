"""Recognisers of English in float, as wide as the one in the package and four times as wide, by one recipe.

Features were made beforehand (`prepare.py`), because sound is not read where this runs. A training example is joined
from utterances as for the recogniser in the package; other speeds come from drawing the frames closer or wider.
"""

import json
import os
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fewbit.data.an4_speech import ALPHABET
from fewbit.data.joined_speech import REST, SPEEDS, JoinedSpeech
from fewbit.data.random_examples import joined_batches
from fewbit.models import SpeechRNN
from fewbit.nn.recurrence import loops_only
from fewbit.text import cer, wer
from fewbit.train import CTC, cosine, fit
from studies.gpu.device import allow_tf32, device, plain_float32
from studies.gpu.rows import Tell
from studies.gpu.stopwatch import Stopwatch

WIDTHS = {"ordinary": 1, "four times as wide": 4}
NAMES = {name: f"float, {name}" for name in WIDTHS}
EPOCHS = 60
"""Of each round, as the recogniser in the package is trained."""
Frames = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Log-mel frames and texts of each part, white noise as frames, and the recipe of the recogniser in the package."""

    parts: dict[str, list[tuple[Frames, str]]]
    noise: Frames
    recipe: dict[str, Any]
    frame_rate: float
    floor: float


class JoinedFrames(JoinedSpeech):
    """`JoinedSpeech` from frames that are there already."""

    def __init__(self, data: Prepared) -> None:
        self.alphabet, self.examples, self.floor = ALPHABET, data.recipe["examples"], data.floor
        self.frame_rate, self.noise = data.frame_rate, data.noise
        self.frames = int(data.recipe["seconds"] * self.frame_rate)
        longest = self.frames - int(self.frame_rate * (REST + 0.4))
        self.variants, self.texts = [], []
        for frames, text in data.parts["train"]:
            spoken = [found for speed in SPEEDS if len(found := at_speed(frames, speed)) <= longest]
            if spoken:
                self.variants.append(spoken)
                self.texts.append(text)


def at_speed(frames: Frames, speed: float) -> Frames:
    """The frames drawn closer together (above 1) or wider, in straight lines between neighbours."""
    places = np.arange(0, len(frames) - 1, speed)
    low = places.astype(int)
    part = (places - low)[:, None].astype(np.float32)
    return np.asarray(frames[low] * (1 - part) + frames[low + 1] * part, np.float32)


def arm(tell: Tell, *, seed: int, arm: str, epochs: int, fused: bool = True, small: bool = False) -> None:
    """Train one network in rounds of `epochs` and measure its best paths.

    Args:
        fused: else the recurrences run in loops.
    """
    allow_tf32()
    data = read(small)
    model, loader = untrained(data, arm, seed)
    row: dict[str, Any] = {"kind": "an4", "seed": seed, "arm": arm, "epochs": epochs, "fused": fused}
    row["weights"] = sum(parameter.numel() for parameter in model.parameters())
    with nullcontext() if fused else loops_only():
        for number in range(data.recipe["rounds"]):
            train(model, batches(data, seed + number) if number else loader, data.recipe, epochs, seed + number)
        model.eval()
        for name in ("dev", "test"):
            said = [text for _, text in data.parts[name]]
            heard = best_paths([frames for frames, _ in data.parts[name]], model)
            row |= {f"{name} wer": 100 * wer(said, heard), f"{name} cer": 100 * cer(said, heard)}
    tell(row)


def trial(tell: Tell, *, arm: str, begin: float, end: float, fused: bool = True, small: bool = False) -> None:
    """Seconds for a step of an arm between two times, while other processes run theirs."""
    allow_tf32()
    data = read(small)
    model, loader = untrained(data, arm, 0)
    watch = Stopwatch(loader, begin, end)
    with nullcontext() if fused else loops_only():
        train(model, watch, data.recipe, 1, 0)
    row = {"kind": "trial", "part": arm, "group": "an4", "seconds": watch.seconds()}
    tell(row | {"updates": data.recipe["rounds"] * len(loader)})


def train(model: nn.Module, loader: Any, recipe: dict[str, Any], epochs: int, seed: int) -> None:
    """A round of training."""
    fit(
        model,
        loader,
        CTC(),
        epochs=epochs,
        lr=recipe["lr"],
        optimizer=partial(torch.optim.AdamW, weight_decay=1e-2),
        schedule=cosine(warmup=0.1),
        seed=seed,
        progress=False,
    )


def untrained(data: Prepared, arm: str, seed: int) -> tuple[SpeechRNN, Any]:
    """A network whose normalisation fits 64 examples, and the batches of the first round."""
    recipe, loader = data.recipe, batches(data, seed)
    torch.manual_seed(seed)
    model = SpeechRNN(
        data.noise.shape[1],
        recipe["hidden"] * WIDTHS[arm],
        recipe["layers"],
        ALPHABET.classes,
        kernel=recipe["kernel"],
        stride=recipe["stride"],
        dropout=recipe["dropout"],
    )
    examples = torch.cat([loader.dataset[i][0] for i in range(64)])
    model.get_submodule("norm").fit(examples)  # type: ignore[operator]
    return model, loader


def batches(data: Prepared, seed: int) -> Any:
    """Endlessly varied training batches."""
    return joined_batches(_joined(data), data.recipe["examples"], data.recipe["batch_size"], seed)


@cache
def _joined(data: Prepared) -> JoinedFrames:
    """All rounds draw from the same frames."""
    return JoinedFrames(data)


@torch.no_grad()
def best_paths(utterances: list[Frames], model: nn.Module) -> list[str]:
    """What the best path of each utterance spells."""
    heard = []
    model.to(device())
    with plain_float32():
        for frames in utterances:
            scores, _ = model(torch.from_numpy(frames).to(device()).unsqueeze(0))
            path = torch.unique_consecutive(scores[0].argmax(-1)).tolist()
            heard.append(" ".join(ALPHABET.decode(path).split()))
    return heard


@cache
def read(small: bool) -> Prepared:
    """What `prepare.py` left, or noise where only the path is tested."""
    if small:
        rng = np.random.default_rng(0)
        spoken = [(rng.uniform(5, 20, (60, 8)).astype(np.float32), "YES NO"[: 3 + i % 3]) for i in range(6)]
        recipe = {"hidden": 8, "layers": 2, "kernel": 4, "stride": 2, "dropout": 0.1, "rounds": 2}
        recipe |= {"examples": 4, "batch_size": 2, "seconds": 2.0, "lr": 2e-3}
        noise = rng.uniform(5, 6, (300, 8)).astype(np.float32)
        return Prepared({"train": spoken, "dev": spoken[:2], "test": spoken[:2]}, noise, recipe, 100.0, 5.0)
    with np.load(Path(os.environ["FEWBIT_DATA"]) / "an4_frames" / "frames.npz", allow_pickle=False) as arrays:
        about = json.loads(str(arrays["about"]))
        parts = {}
        for name in ("train", "dev", "test"):
            steps = np.cumsum(arrays[name], axis=0, dtype=np.uint8)  # differences, modulo 256
            frames = steps.astype(np.float32) * np.float32(about["step"]) + np.float32(about["floor"])
            ends = np.cumsum(about["lengths"][name])[:-1]
            parts[name] = list(zip(np.split(frames, ends), about["texts"][name], strict=True))
        noise = arrays["noise"].astype(np.float32)
    return Prepared(parts, noise, about["recipe"], about["frame_rate"], about["floor"])
