"""The digit recogniser of the demo as a task for the command line.

fewbit train fewbit.demo.digits --out float.safetensors
fewbit compress fewbit.demo.digits float.safetensors --weights "head=int8,*=ternary" --out quantized.safetensors
fewbit pack fewbit.demo.digits quantized.safetensors --out digits.fewbit
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import nn

from fewbit.data import Clip, Digits, spoken_digits
from fewbit.demo.recipe import DECAYING, FEATURES, DigitsRecipe, batches, guide, new_model
from fewbit.models import SpeechRNN, TorchStream
from fewbit.streams import stream
from fewbit.tasks import Task
from fewbit.text import wer
from fewbit.train import CTC, GuidedCTC, cosine


def task() -> Task:
    """The recogniser with the settings of the demo."""
    return digits_task(DigitsRecipe())


def digits_task(recipe: DigitsRecipe) -> Task:
    """The recogniser; other recordings of the known speakers are held out, the unseen speaker is the test."""
    digits = spoken_digits()
    return Task(
        name="digits",
        build=partial(_build, digits, recipe),
        batches=partial(batches, digits, recipe),
        evaluate=partial(_word_errors, digits, digits.test),
        test=partial(_word_errors, digits, digits.unseen),
        metric="word error rate (%)",
        size=recipe.hidden,
        sizes=(24, 48, 96, 192),
        objective=GuidedCTC(guide),
        retrain_objective=CTC(),
        epochs=recipe.epochs,
        lr=recipe.lr,
        optimizer=DECAYING,
        schedule=cosine(warmup=0.1),
        retrain_epochs=recipe.retrain_epochs,
        retrain_lr=recipe.retrain_lr,
        packing={"features": FEATURES, "alphabet": digits.alphabet},
    )


def _build(digits: Digits, recipe: DigitsRecipe, size: int) -> SpeechRNN:
    recipe = replace(recipe, hidden=size)
    return new_model(digits, recipe, batches(digits, recipe, 0))


def _word_errors(digits: Digits, clips: Sequence[Clip], model: nn.Module) -> float:
    """Words wrong for each word said on one joined stream, in %."""
    samples, said = digits.stream(tuple(clips))
    assert isinstance(model, SpeechRNN)
    return 100 * wer([said], [stream(TorchStream(model, FEATURES, digits.alphabet), [samples]).text])
