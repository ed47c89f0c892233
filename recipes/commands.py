"""The spotter of ten command words in the package: trained on Speech Commands, ternary, whole words as classes."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from fewbit import passes
from fewbit.data import Clip, JoinedCommands, SpeechCommands, joined_batches, speech_commands
from fewbit.data.commands_speech import UNKNOWN
from fewbit.demo.recipe import one_thread
from fewbit.features import LogMel
from fewbit.lower import pack
from fewbit.models import SpeechRNN, TorchStream
from fewbit.program import load
from fewbit.streams import Network
from fewbit.tasks import save_network
from fewbit.text import miss_rate_at
from fewbit.train import GuidedCTC
from recipes.card import write_card
from recipes.commands_card import CARD, NOTICE, CommandFigures, rows
from recipes.rounds import distilled, float_rounds, normalized, ternary_rounds
from recipes.spotted_words import HeardStream, best_scores, hear, least_score, name_of, shuffled, sweep

FEATURES = LogMel(mels=40, sample_rate=16_000)
RATES = 1, 12  # false alarms for each keyword-hour


@dataclass(frozen=True)
class CommandsRecipe:
    """Everything that the spotter depends on besides data and seed.

    guided: part of the float training that the known places of the words lead, with a weight that falls to nothing.
    """

    hidden: int = 192
    layers: int = 3
    kernel: int = 8
    stride: int = 4
    dropout: float = 0.1
    epochs: int = 70
    guided: float = 0.2
    retrain_epochs: int = 30
    examples: int = 600
    batch_size: int = 8
    seconds: float = 5.0
    lr: float = 3e-3
    retrain_lr: float = 2e-3
    temperature: float = 2.0

    def examples_of(self, commands: SpeechCommands) -> JoinedCommands:
        """Training examples; they are the same for all batches, and take a minute to make."""
        return JoinedCommands(commands, FEATURES, self.examples, self.seconds)

    def batches(self, examples: JoinedCommands, seed: int) -> "DataLoader[Any]":
        """Training batches."""
        return joined_batches(examples, self.examples, self.batch_size, seed)

    def model(self, commands: SpeechCommands, loader: "DataLoader[Any]", seed: int) -> SpeechRNN:
        """An untrained network whose normalisation fits the training data."""
        torch.manual_seed(seed)
        sizes: dict[str, Any] = {"kernel": self.kernel, "stride": self.stride, "dropout": self.dropout}
        model = SpeechRNN(FEATURES.mels, self.hidden, self.layers, commands.alphabet.classes, **sizes)
        return normalized(model, loader)

    def objective(self) -> GuidedCTC:
        """What the float training minimises."""
        return GuidedCTC(lambda progress: max(0.0, 0.9 * (1 - progress / self.guided)))

    def compression(self) -> passes.Recipe:
        """Direct quantization, then training with the float network as the teacher whose part falls to nothing."""
        return distilled(self.retrain_epochs, self.retrain_lr, self.temperature)


@one_thread()
def commands(
    folder: str | Path,
    out: str | Path,
    *,
    recipe: CommandsRecipe | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> dict[str, CommandFigures]:
    """Train the spotter of command words that ships with fewbit, from Speech Commands.

    Leaves ``commands.float.safetensors``, ``commands.fewbit``, the card ``commands.md`` and the notice
    ``commands.LICENSE`` in the folder `out`, and returns what `measure` finds on the test speakers, in float and
    ternary.

    Args:
        folder: of Speech Commands, with `manifest.tsv`.
        out: folder for the files.
        recipe: sizes, learning rates and epochs; default those of the shipped one.
        seed: of all randomness.
        checkpoint: file name; training resumes from it and saves to it after each epoch. Two endings are added.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    recipe = recipe or CommandsRecipe()
    path = None if checkpoint is None else Path(checkpoint)
    data = speech_commands(folder)
    examples = recipe.examples_of(data)
    teacher = float_rounds(
        lambda loader: recipe.model(data, loader, seed),
        lambda i: recipe.batches(examples, seed + i),
        recipe.objective(),
        rounds=1,
        epochs=recipe.epochs,
        lr=recipe.lr,
        seed=seed,
        checkpoint=path,
    )
    save_network(out / "commands.float.safetensors", teacher, teacher.config, about(recipe, teacher, seed))
    student = ternary_rounds(
        teacher,
        lambda i: recipe.batches(examples, seed + 100 + i),
        recipe.compression(),
        rounds=1,
        seed=seed,
        checkpoint=path,
    )
    told = about(recipe, student, seed) | recipe.compression().to_dict()
    packed = pack(student, features=FEATURES, alphabet=data.alphabet, recipe=told).save(out / "commands.fewbit")
    networks: dict[str, Network] = {"float": floating(teacher, data), "ternary": load(packed)}
    figures = {name: measure(network, data) for name, network in networks.items()}
    words = [clip for clip in data.train if clip.text in data.words]
    counts = {
        "spoken": len(words),
        "speakers": len({clip.speaker for clip in words}),
        "others": sum(clip.text == UNKNOWN for clip in data.train),
        "silent": sum(clip.text == "" for clip in data.train),
        "clips": len(data.test),
    }
    write_card(packed, CARD, seed=seed, rows=rows(figures), **counts)
    packed.with_suffix(".LICENSE").write_text(NOTICE, encoding="utf-8")
    return figures


def measure(network: Network, data: SpeechCommands) -> CommandFigures:
    """Clips named rightly and words missed, on the test speakers; what is chosen was chosen on the dev speakers."""
    tokens = data.alphabet.tokens
    dev, test = (best_scores(network, clips) for clips in (data.dev, data.test))
    said = [[clip.text for clip in clips] for clips in (data.dev, data.test)]
    named = name_of(test, tokens, least_score(dev, tokens, said[0]))
    points = sweep(stream_of(network, data, data.test), data.words)
    return CommandFigures(
        accuracy=sum(a == b for a, b in zip(named, said[1], strict=True)) / len(named),
        misses={rate: miss_rate_at(points, rate) for rate in RATES},
    )


def stream_of(network: Network, data: SpeechCommands, clips: tuple[Clip, ...]) -> HeardStream:
    """All clips in a fixed random order as one stream, as `network` hears them."""
    return hear(network, shuffled(clips), lambda text: [text] if text in data.words else [])


def floating(model: SpeechRNN, data: SpeechCommands) -> TorchStream:
    """A float spotter in the place of a Program."""
    return TorchStream(model.eval(), FEATURES, data.alphabet)


def about(recipe: CommandsRecipe, model: SpeechRNN, seed: int) -> dict[str, Any]:
    """What the packed file says of how it was made."""
    return {"commands": asdict(recipe), "model": model.config, "seed": seed}
