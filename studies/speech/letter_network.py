"""A ternary character network for the race of `beam_search.py`, of the text that the n-grams there are counted from.

    python -m studies.speech.letter_network [--folder build/decoder-models]

Reads ``train.txt`` there, trains a hierarchical LSTM on it, first in float, then in ternary weights with the float
network as the teacher, and writes ``char.fewbit`` beside it. Twenty minutes on one core.
"""

import argparse
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from fewbit.data import TextStreams
from fewbit.distill import LogitKD
from fewbit.lower import pack
from fewbit.models import HierarchicalLM
from fewbit.passes import Quantize, compress
from fewbit.text import Alphabet
from fewbit.train import CrossEntropy, Objective, TruncatedBPTT, cosine, fit, linear
from studies.speech.synthetic_speech import LETTERS

HIDDEN, EPOCHS, LR = 128, 2, 8e-3
STREAMS, STEPS = 16, 64
STARTS = 100
"""Every so many words a text starts: the network must know what class 0 means."""


def train(model: torch.nn.Module, text: Tensor, objective: Objective, lr: float, epochs: int, title: str) -> None:
    fit(
        TruncatedBPTT(model),
        TextStreams(text, STREAMS, STEPS),
        objective,
        epochs=epochs,
        lr=lr,
        optimizer=torch.optim.Adam,
        schedule=cosine(warmup=0.05),
        title=title,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/decoder-models"))
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    torch.manual_seed(0)
    alphabet = Alphabet(tuple(LETTERS))
    text = torch.tensor(alphabet.encode((folder / "train.txt").read_text(encoding="utf-8")))
    text[torch.nonzero(text == alphabet.encode(" ")[0])[::STARTS]] = 0
    model = HierarchicalLM(alphabet.classes, HIDDEN)
    train(model, text, CrossEntropy(), LR, EPOCHS, "float")
    calibration = list(islice(TextStreams(text, STREAMS, STEPS), 2))
    student = compress(model, Quantize({"head": "int8", "*": "ternary:row"}, "int8", calibration=calibration))
    objective = LogitKD(TruncatedBPTT(model), temperature=1.0, weight=linear(1.0, 0.0), hard=CrossEntropy())
    train(student, text, objective, LR / 2, 1, "ternary")
    print(pack(student.eval(), alphabet=alphabet).save(folder / "char.fewbit"))


if __name__ == "__main__":
    main()
