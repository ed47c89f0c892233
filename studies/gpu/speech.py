"""Recognisers of English by one recipe: float, as wide as in the package and four times as wide; ternary; control.

The ternary network and the control begin with the float network of their seed and have the same further epochs,
batches and teacher: the control is the float network trained on without quantizers (`recipes.rounds`).

Features were made beforehand (`prepare.py`), because sound is not read where this runs. A training example is joined
from utterances as for the recogniser in the package; other speeds come from drawing the frames closer or wider.
"""

import json
import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fewbit import passes
from fewbit.data.an4_speech import ALPHABET
from fewbit.data.joined_speech import REST, SPEEDS, JoinedSpeech
from fewbit.data.random_examples import joined_batches
from fewbit.models import SpeechRNN
from fewbit.nn.recurrence import loops_only
from fewbit.tasks import load_network, save_network
from fewbit.text import cer, wer
from fewbit.train import CTC, cosine, fit
from recipes.rounds import DECAYING, control_rounds, distilled, ternary_rounds
from studies.gpu.device import allow_tf32, device, plain_float32
from studies.gpu.rows import Tell
from studies.gpu.stopwatch import Stopwatch

WIDTHS = {"ordinary": 1, "four times as wide": 4}
TAUGHT = {"control": control_rounds, "ternary": ternary_rounds}
"""Arms that begin with the float network of ordinary width."""
NAMES = {name: f"float, {name}" for name in WIDTHS} | {"control": "float, trained on", "ternary": "ternary"}
EPOCHS = 60
"""Of each round in float, as the recogniser in the package is trained."""
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


def arm(
    tell: Tell, *, seed: int, arm: str, epochs: int, networks: str, fused: bool = True, small: bool = False
) -> None:
    """Train one network and measure its best paths.

    Args:
        epochs: of each round in float; a round of further training has its share of them by the recipe.
        networks: folder in which the float network of a seed is kept, once it is trained.
        fused: else the recurrences run in loops.
    """
    allow_tf32()
    data = read(small)
    row: dict[str, Any] = {"kind": "an4", "seed": seed, "arm": arm, "epochs": epochs, "fused": fused}
    row["all epochs"] = data.recipe["rounds"] * epochs
    with nullcontext() if fused else loops_only():
        if arm in TAUGHT:
            model = train_on(data, arm, seed, epochs, float_network(data, seed, epochs, Path(networks)))
            row["all epochs"] += data.recipe["retrain_rounds"] * further(data, epochs)
        elif arm == "ordinary":
            model = float_network(data, seed, epochs, Path(networks))
        else:
            model = trained(data, arm, seed, epochs)
        model.eval()
        row["weights"] = sum(parameter.numel() for parameter in model.parameters())
        for name in ("dev", "test"):
            said = [text for _, text in data.parts[name]]
            heard = best_paths([frames for frames, _ in data.parts[name]], model)
            row |= {f"{name} wer": 100 * wer(said, heard), f"{name} cer": 100 * cer(said, heard)}
    tell(row)


def trained(data: Prepared, arm: str, seed: int, epochs: int) -> SpeechRNN:
    """A float network after its rounds."""
    model, loader = untrained(data, arm, seed)
    for number in range(data.recipe["rounds"]):
        train(model, batches(data, seed + number) if number else loader, data.recipe, epochs, seed + number)
    return model


def float_network(data: Prepared, seed: int, epochs: int, folder: Path) -> SpeechRNN:
    """The float network of ordinary width of a seed, trained where it is not there.

    Jobs that train it at once all go on with the network of the job that ended first.
    """
    path = folder / f"an4-e{epochs}-s{seed}.safetensors"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = trained(data, "ordinary", seed, epochs)
        mine = save_network(path.with_suffix(f".{os.getpid()}"), made, made.config)
        with suppress(FileExistsError):
            os.link(mine, path)
        mine.unlink()
    return load_network(path, SpeechRNN.of).model


def train_on(data: Prepared, arm: str, seed: int, epochs: int, teacher: SpeechRNN) -> SpeechRNN:
    """The ternary network or the control, from the float network, which is also the teacher of both."""
    return TAUGHT[arm](
        teacher,
        lambda i: batches(data, seed + 100 + i),
        how(data, further(data, epochs)),
        rounds=data.recipe["retrain_rounds"],
        seed=seed,
        progress=False,
    )


def further(data: Prepared, epochs: int) -> int:
    """Epochs of a round of further training, in the recipe's proportion to those of a round in float."""
    return max(1, round(epochs * int(data.recipe["retrain_epochs"]) / int(data.recipe["epochs"])))


def how(data: Prepared, epochs: int) -> passes.Recipe:
    """Quantization and further training, as in the recipe of the package."""
    return distilled(epochs, data.recipe["retrain_lr"], data.recipe["temperature"])


def trial(tell: Tell, *, arm: str, begin: float, end: float, fused: bool = True, small: bool = False) -> None:
    """Seconds for a step of an arm between two times, while other processes run theirs."""
    allow_tf32()
    data = read(small)
    recipe = data.recipe
    model, loader = untrained(data, arm, 0)
    watch = Stopwatch(loader, begin, end)
    with nullcontext() if fused else loops_only():
        if arm in TAUGHT:
            given: dict[str, Any] = {"batches": watch, "objective": CTC(), "teacher": model, "calibration": loader}
            made = how(data, 1).passes(**given, progress=False)
            passes.compress(model, *(made if arm == "ternary" else made[1:]))
            rounds = recipe["retrain_rounds"] * recipe["retrain_epochs"] / recipe["epochs"]
        else:
            train(model, watch, recipe, 1, 0)
            rounds = recipe["rounds"]
    row = {"kind": "trial", "part": arm, "group": "an4", "seconds": watch.seconds()}
    tell(row | {"updates": rounds * len(loader)})


def train(model: nn.Module, loader: Any, recipe: dict[str, Any], epochs: int, seed: int) -> None:
    """A round of training."""
    fit(
        model,
        loader,
        CTC(),
        epochs=epochs,
        lr=recipe["lr"],
        optimizer=DECAYING,
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
        recipe["hidden"] * WIDTHS.get(arm, 1),
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
        recipe = {"hidden": 8, "layers": 2, "kernel": 4, "stride": 2, "dropout": 0.1, "rounds": 2, "epochs": 2}
        recipe |= {"retrain_rounds": 2, "retrain_epochs": 1, "retrain_lr": 1e-3, "temperature": 2.0}
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
