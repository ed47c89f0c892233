"""The recogniser of English letters and words in the package: trained on AN4, ternary, spelling what it hears."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from fewbit import passes
from fewbit.data import An4, an4, speech_batches
from fewbit.demo.recipe import one_thread
from fewbit.features import LogMel
from fewbit.lower import pack
from fewbit.models import SpeechRNN, TorchStream
from fewbit.program import load
from fewbit.streams import Network
from fewbit.tasks import save_network
from fewbit.train import CTC
from recipes.english_card import Rates, write_english_card
from recipes.english_language import measure, tune, write_language_models
from recipes.rounds import control_rounds, distilled, float_rounds, normalized, ternary_rounds

FEATURES = LogMel(mels=64, sample_rate=16_000)
TERNARY, FLOAT, CONTROL = "ternary", "float", "float, trained on"
BESIDE = {FLOAT: "float", CONTROL: "float-control"}
"""Float network -> the word in the names of its files: ``an4.WORD.safetensors``, and its search ``an4.WORD.toml``."""


@dataclass(frozen=True)
class EnglishRecipe:
    """Everything that the recogniser depends on besides data and seed.

    epochs, retrain_epochs: of each round of float training and of ternary retraining; a round begins with the full
    learning rate again (Loshchilov, Hutter 2017).
    """

    hidden: int = 384
    layers: int = 4
    kernel: int = 8
    stride: int = 4
    dropout: float = 0.2
    rounds: int = 2
    epochs: int = 60
    retrain_rounds: int = 2
    retrain_epochs: int = 30
    examples: int = 480
    batch_size: int = 8
    seconds: float = 6.0
    lr: float = 2e-3
    retrain_lr: float = 1e-3
    temperature: float = 2.0

    def batches(self, speech: An4, seed: int) -> "DataLoader[Any]":
        """Training batches."""
        size = {"examples": self.examples, "batch_size": self.batch_size}
        return speech_batches(speech, FEATURES, **size, seconds=self.seconds, seed=seed)

    def model(self, speech: An4, loader: "DataLoader[Any]", seed: int) -> SpeechRNN:
        """An untrained recogniser whose normalisation fits the training data."""
        torch.manual_seed(seed)
        model = SpeechRNN(
            FEATURES.mels,
            self.hidden,
            self.layers,
            speech.alphabet.classes,
            kernel=self.kernel,
            stride=self.stride,
            dropout=self.dropout,
        )
        return normalized(model, loader)

    def epochs_of(self, network: str) -> int:
        """All epochs of a network: the ternary one and the control begin where the float one ends."""
        more = 0 if network == FLOAT else self.retrain_rounds * self.retrain_epochs
        return self.rounds * self.epochs + more

    def compression(self) -> passes.Recipe:
        """Direct quantization, then training with the float network as the teacher whose part falls to nothing."""
        return distilled(self.retrain_epochs, self.retrain_lr, self.temperature)


def train_float(speech: An4, recipe: EnglishRecipe, seed: int, checkpoint: Path | None = None) -> SpeechRNN:
    """The float recogniser."""
    return float_rounds(
        lambda loader: recipe.model(speech, loader, seed),
        lambda i: recipe.batches(speech, seed + i),
        CTC(),
        rounds=recipe.rounds,
        epochs=recipe.epochs,
        lr=recipe.lr,
        seed=seed,
        checkpoint=checkpoint,
    )


def retrain(
    teacher: SpeechRNN,
    speech: An4,
    recipe: EnglishRecipe,
    seed: int,
    checkpoint: Path | None = None,
    rounds: Callable[..., SpeechRNN] = ternary_rounds,
) -> SpeechRNN:
    """The ternary recogniser that learns from the float network; with `control_rounds` its control, the float network
    trained on as long and in the same way, without quantizers.
    """
    return rounds(
        teacher,
        lambda i: recipe.batches(speech, seed + 100 + i),
        recipe.compression(),
        rounds=recipe.retrain_rounds,
        seed=seed,
        checkpoint=checkpoint,
    )


@one_thread()
def english(
    folder: str | Path,
    out: str | Path,
    *,
    recipe: EnglishRecipe | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    control: bool = False,
) -> Rates:
    """Train the recogniser of English that ships with fewbit, and its language models, from AN4.

    Leaves ``an4.fewbit``, ``an4.char.ngram``, ``an4.word.ngram``, ``an4.toml`` with the weights of the language models
    and the card ``an4.md`` in the folder `out`, beside ``an4.float.safetensors`` and ``an4.float.toml``, the float
    network and the weights tuned for it. Returns the word and character error rates on the test speakers (see
    `measure`), each network with its own weights.

    Args:
        folder: of AN4, with `manifest.tsv`.
        out: folder for the files.
        recipe: sizes, learning rates and epochs; default those of the shipped one.
        seed: of all randomness.
        checkpoint: file name; training resumes from it and saves to it after each epoch. Every round adds an
            ending.
        control: also train the float network on for the epochs of the ternary one, as what the ternary network is
            compared to: ``an4.float-control.safetensors``, with weights in ``an4.float-control.toml``. The product
            does not need it; it adds 60 epochs to the 180 of the shipped recipe.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    recipe = recipe or EnglishRecipe()
    path = None if checkpoint is None else Path(checkpoint)
    speech = an4(folder)
    teacher = train_float(speech, recipe, seed, path)
    floats = {FLOAT: teacher}
    _save_float(out, FLOAT, teacher, recipe, seed)
    student = retrain(teacher, speech, recipe, seed, path)
    if control:
        floats[CONTROL] = retrain(teacher, speech, recipe, seed, path, control_rounds)
        _save_float(out, CONTROL, floats[CONTROL], recipe, seed)
    told = about(recipe, student, seed) | recipe.compression().to_dict()
    packed = pack(student, features=FEATURES, alphabet=speech.alphabet, recipe=told).save(out / "an4.fewbit")
    write_language_models(speech, packed)
    networks: dict[str, tuple[Network, Path]] = {
        name: (TorchStream(model.eval(), FEATURES, speech.alphabet), out / f"an4.{BESIDE[name]}.toml")
        for name, model in floats.items()
    }
    networks[TERNARY] = load(packed), out / "an4.toml"
    rates = {}
    for name, (network, settings) in networks.items():
        tune(network, packed, speech.dev, settings)
        rates[name] = measure(network, packed, speech.test, settings)
    write_english_card(packed, rates, len({utterance.speaker for utterance in speech.train}), seed)
    return rates


def _save_float(out: Path, name: str, model: SpeechRNN, recipe: EnglishRecipe, seed: int) -> None:
    told = about(recipe, model, seed) | {"epochs": recipe.epochs_of(name)}
    save_network(out / f"an4.{BESIDE[name]}.safetensors", model, model.config, told)


def about(recipe: EnglishRecipe, model: SpeechRNN, seed: int) -> dict[str, Any]:
    """What the packed file says of how it was made."""
    return {"english": asdict(recipe), "model": model.config, "seed": seed}
