"""Data to train and test on."""

import fewbit.torch_side  # noqa: F401
from fewbit.data.an4_speech import An4, an4
from fewbit.data.batches import TensorBatches
from fewbit.data.clips import Clip, Spoken, join
from fewbit.data.commands_speech import SpeechCommands, speech_commands
from fewbit.data.corpora import Characters, TextStreams, Windows, wikitext2
from fewbit.data.digits import Digits, data_folder, spoken_digits
from fewbit.data.images import ImageFolder, Images, cifar, mnist, shift_and_flip
from fewbit.data.joined_commands import JoinedCommands
from fewbit.data.joined_speech import JoinedSpeech, speech_batches
from fewbit.data.letters import LETTERS, english_books, to_letters, wikitext2_letters
from fewbit.data.random_examples import joined_batches

__all__ = [
    "LETTERS",
    "An4",
    "Characters",
    "Clip",
    "Digits",
    "ImageFolder",
    "Images",
    "JoinedCommands",
    "JoinedSpeech",
    "SpeechCommands",
    "Spoken",
    "TensorBatches",
    "TextStreams",
    "Windows",
    "an4",
    "cifar",
    "data_folder",
    "english_books",
    "join",
    "joined_batches",
    "mnist",
    "shift_and_flip",
    "speech_batches",
    "speech_commands",
    "spoken_digits",
    "to_letters",
    "wikitext2",
    "wikitext2_letters",
]
