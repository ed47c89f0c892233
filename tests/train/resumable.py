"""A training that may be killed: `python resumable.py FOLDER`; a step is logged as one character."""

import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fewbit.quant import attach
from fewbit.train import CrossEntropy, cosine, fit

folder = Path(sys.argv[1])
torch.manual_seed(0)
x = torch.randn(64, 6)
batches = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), 16, shuffle=True)
model = attach(nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2)), "ternary")


class Logged(CrossEntropy):
    """Cross-entropy that logs its calls and takes its time, so that a kill falls into the middle."""

    def __call__(self, model, batch, progress):
        with (folder / "epochs").open("a") as log:
            log.write(".")
        time.sleep(0.01)
        return super().__call__(model, batch, progress)


fit(model, batches, Logged(), epochs=8, schedule=cosine(), checkpoint=folder / "checkpoint", progress=False)
torch.save(model.state_dict(), folder / "weights.pt")
