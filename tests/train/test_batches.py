"""Batches of any kind through training, retraining and packing: tensors, tuples, dictionaries, several inputs."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit.batches import call_of, first_tensor, labels_of, output_of
from fewbit.errors import DataError

A, B = torch.randn(40, 4), torch.randn(40, 3)
Y = (A[:, 0] + B[:, 0] > 0).long()


class Joined(nn.Module):
    """Two inputs; the result is a tensor, a tuple or a dictionary."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.inner, self.head = kind, nn.Linear(7, 8), nn.Linear(8, 2)

    def forward(self, a, b, labels=None):
        assert labels is None
        scores = self.head(torch.relu(self.inner(torch.cat([a, b], -1))))
        return {"tensor": scores, "tuple": (scores, a), "output": OrderedDict(loss=None, logits=scores)}[self.kind]


BATCHES = {"tuple": (A, B, Y), "dictionary": {"a": A, "b": B, "labels": Y, "mask": None}}


@pytest.mark.parametrize("kind", ["tensor", "tuple", "output"])
@pytest.mark.parametrize("batch", BATCHES)
def test_several_inputs_are_trained_compressed_and_distilled(kind, batch):
    torch.manual_seed(0)
    model, batches = Joined(kind), [BATCHES[batch]] * 20
    history = fb.fit(model, batches, fb.CrossEntropy(), epochs=3, lr=0.02, progress=False)
    assert history.losses[-1] < 0.5 * history.losses[0]
    student = fb.compress(
        model,
        fb.Quantize(weights="ternary", activations="int8", calibration=batches),
        fb.Finetune(batches, fb.LogitKD(model), epochs=1, progress=False),
    )
    assert len(student.head.weight.unique()) == 3


def test_labels_are_the_last_item_of_a_plain_tuple_and_the_second_of_a_named_one():
    assert labels_of((A, B, Y)) is Y
    assert labels_of(torch.utils.data.default_collate([(1, 2), (3, 4)])).tolist() == [2, 4]
    batch = fb.train.CTCBatch(A, B, Y, Y)
    assert labels_of(batch) is B


def test_labels_are_no_input():
    model = Joined("tensor")
    args, named = call_of(model, BATCHES["dictionary"])
    assert args == ()
    assert set(named) == {"a", "b"}
    assert call_of(model, BATCHES["tuple"])[0] == (A, B)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: labels_of({"a": A}), r"the batch has \['a'\]; wanted 'labels' among them"),
        (lambda: labels_of((A,)), r"the batch is tuple without labels; wanted \(inputs, labels\)"),
        (lambda: labels_of(A), "the batch is Tensor without labels"),
        (lambda: output_of(()), "the model gave tuple; wanted a tensor"),
        (lambda: output_of("text"), "the model gave str"),
        (lambda: first_tensor({"a": 1}), "the batch is dict without a tensor"),
    ],
)
def test_what_is_missing_is_said(ask, message):
    with pytest.raises(DataError, match=message):
        ask()
