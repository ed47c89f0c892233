"""Which digit is said? A small network on recordings inside the package, for the guide `How many bits do I need?`."""

import numpy as np
import torch
from torch import nn

from fewbit.data import TensorBatches, spoken_digits
from fewbit.features import LogMel
from fewbit.tasks import Task

digits = spoken_digits()  # recordings inside the package
mels = LogMel(mels=20, sample_rate=digits.sample_rate)


def features(clip):
    """A word as 8 x 20 numbers: its log-mel frames, averaged over eight pieces."""
    pieces = np.array_split(mels(clip.samples), 8)
    return np.concatenate([piece.mean(axis=0) for piece in pieces])


def tensors(clips):
    """Inputs and labels of some clips."""
    x = torch.tensor(np.array([features(clip) for clip in clips]), dtype=torch.float32)
    x = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)  # how loud the clip is does not matter
    return x, torch.tensor([digits.alphabet.tokens.index(clip.text) for clip in clips])


train, held_out = tensors(digits.train), tensors(digits.test)


def build(size):
    """An untrained network of two hidden layers of `size` units."""
    return nn.Sequential(
        nn.Linear(160, size), nn.ReLU(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, len(digits.alphabet.tokens))
    )


def error(data, model):
    """Share of words heard wrong, in %."""
    x, y = data
    return 100 * float((model(x).argmax(1) != y).float().mean())


task = Task(
    name="one digit",
    build=build,  # a network of any size
    batches=lambda seed: TensorBatches(*train, 16, seed),
    evaluate=lambda model: error(held_out, model),  # smaller is better; choices are made by it
    size=32,
    sizes=(4, 8, 16, 32, 64),
    epochs=40,
    retrain_epochs=20,
)
