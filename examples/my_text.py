"""A language model of one's own text, for the guide `Retrain a language model to ternary`."""

import math
from functools import partial
from pathlib import Path
from pydoc_data.topics import topics

import torch
from torch.nn import functional

from fewbit.data import Windows
from fewbit.models import Decoder
from fewbit.tasks import Task
from fewbit.text import Alphabet

WINDOW = 64  # characters that a layer of attention sees

mine = Path("my_text.txt")
text = mine.read_text("utf-8") if mine.is_file() else "\n\n".join(topics.values())  # the help texts of Python
paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
alphabet = Alphabet(tuple(sorted(set("".join(paragraphs)))))
stream = torch.tensor([i for paragraph in paragraphs for i in [0, *alphabet.encode(paragraph)]])  # 0 begins a text
tenth = len(stream) // 10
train, held_out, test = stream[: -2 * tenth], stream[-2 * tenth : -tenth], stream[-tenth:]


def build(width):
    """An untrained decoder in the shape of Llama; with a window it packs into a stream of characters."""
    return Decoder(alphabet.classes, width, heads=4, layers=3, style="llama", window=WINDOW, tied=False)


def bits(part, model):
    """Mean cost of the next character, in bits."""
    rows = (len(part) - 1) // 256
    x, y = (part[i : i + rows * 256].view(rows, 256) for i in (0, 1))
    return float(functional.cross_entropy(model(x).flatten(0, 1), y.flatten())) / math.log(2)


task = Task(
    name="my text",
    build=build,
    batches=lambda seed: Windows(train, batch_size=16, steps=2 * WINDOW, count=100, seed=seed),
    evaluate=partial(bits, held_out),  # smaller is better; choices are made by it
    test=partial(bits, test),
    metric="bits per character",
    size=64,
    epochs=8,
    lr=5e-3,
    packing={"alphabet": alphabet},
)
