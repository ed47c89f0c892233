"""A training in one or several processes: `torchrun ... distributed.py OUT`; writes losses and weights as JSON."""

import json
import os
import sys
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fewbit.nn import SRU, Chain
from fewbit.quant import attach
from fewbit.train import CrossEntropy, cosine, fit

torch.set_num_threads(1)
torch.manual_seed(0)
x = torch.randn(48, 10, 6)
batches = DataLoader(TensorDataset(x, (x.cumsum(1)[..., 0] > 0).long()), 16)
model = attach(Chain(SRU(6, 12), nn.Linear(12, 2)), "ternary")
sgd = partial(torch.optim.SGD, momentum=0.9)
history = fit(model, batches, CrossEntropy(), epochs=5, lr=0.5, optimizer=sgd, schedule=cosine(), progress=False)
if os.environ.get("RANK", "0") == "0":
    weights = torch.cat([p.detach().flatten() for p in model.parameters()]).tolist()
    world = int(os.environ.get("WORLD_SIZE", "1"))
    Path(sys.argv[1]).write_text(json.dumps({"losses": history.losses, "weights": weights, "processes": world}))
