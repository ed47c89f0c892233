"""Floor 5: data to train and test on."""

import fewbit.torch_side  # noqa: F401
from fewbit.data.batches import TensorBatches
from fewbit.data.clips import Clip, Spoken, join
from fewbit.data.corpora import Characters, Windows, wikitext2
from fewbit.data.digits import Digits, data_folder, spoken_digits
from fewbit.data.images import ImageFolder, Images, cifar, mnist, shift_and_flip

__all__ = [
    "Characters",
    "Clip",
    "Digits",
    "ImageFolder",
    "Images",
    "Spoken",
    "TensorBatches",
    "Windows",
    "cifar",
    "data_folder",
    "join",
    "mnist",
    "shift_and_flip",
    "spoken_digits",
    "wikitext2",
]
