"""Recurrent networks of torch behind quantizers: they can be copied and retrained again."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from fewbit.passes import Finetune, Quantize, compress
from fewbit.train import CrossEntropy


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_networks_of_torch_can_be_copied_after_they_were_retrained(kind):
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = kind(6, 5, batch_first=True), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0])

    torch.manual_seed(0)
    batches = [(torch.randn(4, 7, 6), torch.randint(0, 3, (4, 7)))]
    student = compress(Tagger(), Quantize("ternary"), Finetune(batches, CrossEntropy(), 1, progress=False))
    twin = deepcopy(student)
    assert torch.equal(twin(batches[0][0]), student(batches[0][0]))
    student(batches[0][0]).sum().backward()  # of one's own, outside of fit
    again = compress(student, Finetune(batches, CrossEntropy(), 1, progress=False))
    assert len(again.rnn.weight_hh_l0.unique()) <= 3
