"""Everyday networks, quantized and packed: they agree with torch, run as streams, and are the same after saving."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils import _pytree

import fewbit as fb
from fewbit.errors import DecodeError
from fewbit.lower.attended import KEYS
from fewbit.native import is_available
from fewbit.program import Program, Reference
from fewbit.program.native_run import Native
from fewbit.program.numerics import INT32, Q15
from fewbit.program.ops import Attend
from fewbit.testing import splits
from tests.lower.everyday import GPT, NETWORKS, Network
from tests.lower.everyday_hf import HF_NETWORKS

SMALL = 0.01
"""Of the spread of a result: a smaller difference is none."""


def arguments(batch: Any) -> list[Tensor]:
    """The tensors of a batch, in order."""
    found: list[Tensor] = _pytree.tree_leaves(batch)
    return found


def results(model: nn.Module, batch: Any) -> list[Tensor]:
    """What torch gives for a batch, as plain tensors."""
    with torch.no_grad():
        match batch:
            case dict():
                out = model(**batch)
            case tuple():
                out = model(*batch)
            case _:
                out = model(batch)
    return [leaf for leaf in _pytree.tree_leaves(out) if isinstance(leaf, Tensor)]


@dataclass
class Case:
    """A network of the table: as torch has it, fake-quantized, and packed."""

    name: str
    network: Network

    @cached_property
    def model(self) -> nn.Module:
        return self.network.model()

    @cached_property
    def batches(self) -> list[Any]:
        return self.network.batches()

    @cached_property
    def fake(self) -> nn.Module:
        quantize = fb.Quantize(self.network.weights, "int8", calibration=self.batches)
        return fb.compress(self.model, quantize).eval()

    @cached_property
    def program(self) -> Program:
        return fb.pack(self.fake, example=self.batches, context=self.network.context)

    @cached_property
    def reference(self) -> Reference:
        return Reference(self.program.ops)

    def row(self, batch: Any, i: int) -> list[NDArray[Any]]:
        """One example of a batch, as the Program takes it."""
        assert self.program.signature is not None
        return [tensor[i].numpy() for tensor in arguments(batch)[: len(self.program.signature.inputs)]]

    def frames(self, length: int | None = None) -> NDArray[np.float32]:
        """The frames of a held-out example."""
        assert self.program.signature is not None
        (batch,) = self.network.batches(1, length, seed=9)
        return self.program.signature.frames(self.row(batch, 0))

    def integers(self, x: NDArray[np.float32]) -> NDArray[np.int64]:
        """What the reference gives for frames of a whole input."""
        return self.reference.step(x, self.reference.init_state(), True)[0]

    def check_agreement(self, batches: list[Any]) -> None:
        """Mean difference of the Program and of the fake-quantized network, for each result.

        It is below the mean difference that quantization makes (to the float network), or below `SMALL` times the
        spread of the result where that is larger.
        """
        kept: list[list[list[NDArray[Any]]]] = []
        for batch in batches:
            fake, real = results(self.fake, batch), results(self.model, batch)
            for i in range(self.network.rows):
                out = self.program(*self.row(batch, i))
                outs = out if isinstance(out, tuple) else (out,)
                kept.append([[np.asarray(o), f[i].numpy(), r[i].numpy()] for o, f, r in zip(outs, fake, real)])  # noqa: B905
        for each in zip(*kept, strict=True):
            for out, fake, _ in each:
                assert out.dtype == np.float64
                assert out.shape == fake.shape
            out, fake, real = (np.stack([row[i] for row in each]) for i in range(3))
            limit = max(np.abs(fake - real).mean(), SMALL * fake.std())
            assert np.abs(out - fake).mean() < limit


@pytest.fixture(scope="module", params=NETWORKS | HF_NETWORKS)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param, (NETWORKS | HF_NETWORKS)[request.param])


def test_the_program_agrees_with_the_fake_quantized_network(case):
    case.check_agreement(case.network.batches(2, seed=7))


def test_time_rate_and_lookahead_are_found(case):
    program, network = case.program, case.network
    assert program.signature is not None
    assert program.signature.inputs[0].time + 1 == (network.time or 0)
    assert (program.stride, program.lookahead) == (network.rate, network.late)


def test_sums_of_attention_fit_32_bits(case):
    """So that products of whole blocks, which have no wider sums, serve it."""
    graph = case.program.graph
    attending = [(op, places) for op, places in zip(graph.ops, graph.inputs, strict=True) if isinstance(op, Attend)]
    if not attending:
        pytest.skip("there is no attention in it")
    for op, places in attending:
        q, k, v = (graph.values[place].largest for place in places)
        assert op.width * q * k <= INT32[1] >= KEYS * (Q15 - 1) * v


def test_native_integers_are_those_of_the_reference(case):
    if not is_available():
        pytest.skip("the native library is not here")
    native = Native(case.program.ops)
    for length in (case.network.frames, 11) if case.network.time else (None,):
        x = case.frames(length)
        assert np.array_equal(native.step(x, native.init_state(), True)[0], case.integers(x))


@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(0, 16), max_size=5))
def test_any_split_of_a_stream_gives_the_same_integers(case, cuts):
    if not case.network.streams:
        pytest.skip("it needs its whole input")
    x = case.frames()
    native = Native(case.program.ops) if is_available() else case.reference
    for executor in (case.reference, native):
        state, pieces = executor.init_state(), []
        places = splits(len(x), cuts)
        for piece in places:
            y, state = executor.step(x[piece], state, piece is places[-1])
            pieces.append(y)
        assert np.array_equal(np.concatenate(pieces), case.integers(x))


def test_a_network_streams_or_says_what_needs_the_whole_input(case):
    program = case.program
    if case.network.streams or case.network.time is None:
        x = case.frames()
        early, state = program.step(x[:-2], program.init_state())
        late, _ = program.step(x[-2:], state, last=True)
        assert np.array_equal(np.concatenate([early, late]), case.integers(x))
    else:
        assert program.graph.whole is not None
        with pytest.raises(DecodeError, match=r"^\S+.* \(\w+\) needs the whole input at once, so the network"):
            program.init_state()


def test_saved_is_loaded(case, tmp_path: Path):
    path = case.program.save(tmp_path / "network.fewbit")
    loaded = fb.load(path)
    assert loaded.to_bytes() == path.read_bytes() == case.program.to_bytes()
    x = case.frames()
    again = Reference(loaded.ops)
    assert np.array_equal(again.step(x, again.init_state(), True)[0], case.integers(x))
    assert loaded.signature == case.program.signature


def test_other_lengths_than_that_of_the_example(case):
    if case.network.time is None:
        pytest.skip("its input has no time")
    longest = case.network.longest
    for length in (7, 29 if longest is None else longest):
        case.check_agreement(case.network.batches(1, length, seed=8))
    if longest is not None:
        with pytest.raises(DecodeError, match="positions"):
            case.integers(case.frames(longest + 1))


# -- trained networks: what counts is what they decide


def last_of_two(rows: int, frames: int) -> tuple[Tensor, Tensor]:
    """Noisy features of symbols; the class of a frame is that of this symbol and of the one two frames ago."""
    symbols = torch.randint(0, 3, (rows, frames))
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(5))[symbols] + 0.3 * torch.randn(rows, frames, 8)
    before = torch.cat([torch.zeros(rows, 2, dtype=torch.int64), symbols[:, :-2]], 1)
    return x, symbols * 3 + before


def repeated_words(rows: int, frames: int) -> tuple[Tensor, Tensor]:
    """Sentences that repeat a word of three to five symbols; what comes next is in the past."""
    x = torch.empty(rows, frames + 1, dtype=torch.int64)
    for row in x:
        word = torch.randint(0, 12, (int(torch.randint(3, 6, ())),))
        row[:] = word.repeat(frames // len(word) + 2)[: frames + 1]
    return x[:, :-1], x[:, 1:]


class GRUTagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(8, 32, batch_first=True), nn.Linear(32, 9)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0])


TRAINED = {
    "gru tagger": (GRUTagger, last_of_two, 150, {"head": "int8", "*": "int4:row"}),
    "gpt": (partial(GPT, "function", width=32, symbols=12), repeated_words, 200, "int8"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_network_decides_as_its_fake_quantized_one(name):
    build, draw, steps, weights = TRAINED[name]
    torch.manual_seed(3)
    model = build()
    batches = [draw(32, 24) for _ in range(steps)]
    fb.fit(model, batches, fb.CrossEntropy(), epochs=1, lr=5e-3, progress=False)
    fake = fb.compress(model, fb.Quantize(weights, "int8", calibration=batches[:4])).eval()
    program = fb.pack(fake, example=batches[:4])
    x, y = draw(64, 24)
    with torch.no_grad():
        scores = fake(x)
    integer = torch.from_numpy(np.stack([program(row.numpy()) for row in x])).float()
    flat = [nn.functional.cross_entropy(each.flatten(0, 1), y.flatten()) for each in (scores, integer)]
    assert float(flat[0]) < 0.9 * np.log(scores.shape[-1])  # it learned something
    assert abs(float(flat[1] - flat[0])) < 0.002
    best = scores.topk(2, dim=-1).values
    clear = best[..., 0] - best[..., 1] >= 0.2
    same = integer.argmax(-1) == scores.argmax(-1)
    assert float(same[clear].float().mean()) >= 0.998
