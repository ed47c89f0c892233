"""Online CTC as a pass: the training of `StreamTrainer`, resumable, the same each time."""

import contextlib

import torch
from torch import nn

from fewbit.nn import GRU, Chain
from fewbit.passes import OnlineFinetune, Quantize, compress
from fewbit.train import LabelledFrames, OnlineCTC, StreamTrainer, UtteranceStreams, cosine


def streams():
    random = torch.Generator().manual_seed(1)
    said = [LabelledFrames(torch.randn(12, 4, generator=random), (1, 2, 1)) for _ in range(8)]
    return UtteranceStreams(said, streams=2)


def network():
    torch.manual_seed(0)
    return Chain(GRU(4, 8), nn.Linear(8, 3))


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_it_is_the_training_of_the_trainer():
    model = network()
    StreamTrainer(model, streams(), OnlineCTC(6), updates=9, lr=0.01, schedule=cosine(), seed=3).run(progress=False)
    found = OnlineFinetune(streams(), 9, window=6, lr=0.01, seed=3, progress=False)(network())
    assert equal(found, model)
    assert not equal(found, network())


def test_the_streams_of_the_caller_are_left_alone():
    given = streams()
    train = OnlineFinetune(given, 5, window=6, progress=False)
    assert equal(train(network()), train(network()))
    assert given.position == streams().position


def test_an_interrupted_training_resumes(tmp_path):
    class Stop(Exception):
        pass

    def interrupted(progress):
        if progress > 0.55:
            raise Stop
        return 1 - progress

    settings = {"window": 6, "lr": 0.01, "progress": False}
    quantized = compress(network(), Quantize(weights="ternary"))
    whole = compress(quantized, OnlineFinetune(streams(), 20, **settings, schedule=lambda done: 1 - done))
    file = tmp_path / "half"
    with contextlib.suppress(Stop):
        compress(quantized, OnlineFinetune(streams(), 20, **settings, schedule=interrupted, checkpoint=file))
    resumed = OnlineFinetune(streams(), 20, **settings, schedule=lambda done: 1 - done, checkpoint=file)
    assert file.is_file()
    assert equal(compress(quantized, resumed), whole)
