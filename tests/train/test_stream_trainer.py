"""Streams that do not depend on how they are read; a trainer that learns, carries its state and can be stopped."""

import copy
import itertools
import warnings
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fewbit.errors import ArgumentError, DataError, FileFormatError
from fewbit.formats import Ternary
from fewbit.models import SpeechRNN
from fewbit.nn import SRU, CausalConv1d, Chain, MacroBlockDropout
from fewbit.quant import AdaptiveUniform, attach
from fewbit.text import edit_distance
from fewbit.train import LabelledFrames, OnlineCTC, Part, StreamTrainer, SymmetricSGD, UtteranceStreams, linear

SYMBOLS, WIDTH = 3, 6


def utterances(count=12, seed=0, opening=()):
    """Symbols drawn as 4 to 6 frames of a noisy pattern each, with noise between them."""
    generator = torch.Generator().manual_seed(seed)

    def number(low, high):
        return int(torch.randint(low, high + 1, (), generator=generator))

    found = []
    for _ in range(count):
        labels = (
            *opening,
            *(number(1, 2 if opening else SYMBOLS) for _ in range(number(6, 8) if opening else number(1, 8))),
        )
        pieces = []
        for label in labels:
            pattern = torch.zeros(number(4, 6), WIDTH)
            pattern[:, label - 1] = 2.0
            pieces += [torch.zeros(number(2, 4), WIDTH), pattern]
        frames = torch.cat(pieces)
        found.append(LabelledFrames(frames + 0.2 * torch.randn(frames.shape, generator=generator), labels))
    return found


def network(seed=0, *extra):
    torch.manual_seed(seed)
    return Chain(CausalConv1d(WIDTH, 16, 4, 2), nn.Tanh(), *extra, SRU(16, 16), nn.Linear(16, SYMBOLS + 1))


def weights(model):
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


def trainer(model=None, streams=4, objective=None, **arguments):
    made = UtteranceStreams(utterances(), streams, gap=(0, 5), seed=1)
    return StreamTrainer(model or network(), made, objective or OnlineCTC(12, 6), **{"updates": 20} | arguments)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    streams=st.integers(1, 4),
    gap=st.sampled_from([(0, 0), (0, 7), (3, 3)]),
    seed=st.integers(0, 99),
)
def test_what_is_read_does_not_depend_on_the_chunks_and_every_utterance_has_its_turn(cuts, streams, gap, seed):
    pool = utterances(5)

    def make():
        return UtteranceStreams(
            pool, streams, gap=gap, filler=-1.0, seed=seed, augment=lambda x, g: x + torch.rand(1, generator=g)
        )

    whole, found = make().read(sum(cuts))
    pieces, seen, reader = [], [], make()
    for cut in cuts:
        state, random = copy.deepcopy(reader.state_dict()), reader.generator.get_state()
        piece, placed = reader.read(cut)
        again = make()
        again.load_state_dict(state)
        again.generator.set_state(random)
        assert torch.equal(again.read(cut)[0], piece), "a saved stream went on in another way"
        pieces.append(piece)
        seen += placed
    assert torch.equal(torch.cat(pieces, 1), whole)
    assert sorted(set(seen), key=lambda p: p.number) == found
    inside = torch.zeros(streams, sum(cuts), dtype=torch.bool)
    for p in found:
        inside[p.stream, p.start : p.stop] = True
        apart = whole[p.stream, p.start : p.stop] - pool[p.index].frames[: sum(cuts) - p.start]
        assert apart.max() - apart.min() < 1e-5, "the frames are not those of the utterance"
    assert (whole[~inside] == -1).all()
    for start in range(0, len(found) - 4, 5):
        group = [p.index for p in sorted(found, key=lambda p: p.number)[start : start + 5]]
        if found[0].number == 1:
            assert sorted(group) == list(range(5))
    for stream in range(streams):
        row = sorted((p for p in found if p.stream == stream), key=lambda p: p.start)
        assert all(gap[0] <= b.start - a.stop <= gap[1] for a, b in itertools.pairwise(row))


def test_the_window_is_run_from_the_state_before_it():
    """With a rate of zero every step of the trainer must see what one run over the whole stream gives."""
    model = network()
    made = trainer(model, updates=8, lr=0.0, optimizer=torch.optim.SGD)
    seen = []
    forward = made._forward
    made._forward = lambda *arguments: seen.append(forward(*arguments)) or seen[-1]
    made.run(progress=False)
    x, _ = UtteranceStreams(utterances(), 4, gap=(0, 5), seed=1).read(8 * 6 * 2)
    whole, _ = model(x)
    for n, (logits, _) in enumerate(seen, 1):
        assert torch.allclose(logits, whole[:, max(0, 6 * n - 12) : 6 * n], atol=1e-6)


def test_gradients_are_the_sum_over_streams():
    objective = OnlineCTC(12, 6, reduction="sum")
    logits = torch.randn(3, 12, 4)
    parts = [Part(0, 0, 9, True, True, (1, 2)), Part(1, 0, 12, True, False, (3,)), Part(2, 4, 12, True, True, ())]
    together = objective(logits, parts, objective.start(3, 2)).errors
    for s, part in enumerate(parts):
        alone = objective(logits[s : s + 1], [part._replace(stream=0)], objective.start(1, 2)).errors
        assert torch.equal(alone[0], together[s])
    assert objective.scale(3) == 1
    assert OnlineCTC(12, 6).scale(3) == 1 / 18


@pytest.mark.parametrize("layer", ["dropout", "macro-block dropout", "ternary", "symmetric"])
def test_a_restored_training_goes_on_bit_for_bit(layer, tmp_path):
    def make(seed):
        extra = {"dropout": nn.Dropout(0.2), "macro-block dropout": MacroBlockDropout(0.3)}.get(layer, nn.Identity())
        model = network(seed, extra)
        if layer == "ternary":
            model = attach(model, "ternary+adaptive")
        noisy = {"lr": 0.1, "optimizer": partial(SymmetricSGD, alpha=0.1)} if layer == "symmetric" else {}
        return trainer(model, schedule=linear(1.0, 0.1), warmup=4, **noisy)

    whole = make(0)
    whole.run(progress=False)
    first = make(0)
    first.run(9, progress=False)
    first.save(tmp_path / "file")
    second = make(5)
    second.load(tmp_path / "file")
    assert second.done == 9
    second.run(progress=False)
    assert torch.equal(weights(whole.model), weights(second.model))
    assert torch.equal(whole.alphas, second.alphas)
    assert str(whole.losses) == str(second.losses)
    assert whole.done == second.done == 20


def test_checkpoints_of_others_are_refused(tmp_path):
    made = trainer()
    made.run(2, progress=False)
    made.save(tmp_path / "file")
    other = Chain(SRU(WIDTH, 8), nn.Linear(8, SYMBOLS + 1))
    with pytest.raises(FileFormatError, match="another model"):
        trainer(other).load(tmp_path / "file")
    with pytest.raises(FileFormatError, match="other streams"):
        trainer(streams=3).load(tmp_path / "file")


def test_it_learns_and_em_is_what_makes_a_short_window_do():
    """Symbol 3 only opens utterances, which are longer than the window: CTC-TR never has an error for it."""
    errors = {}
    for em in (True, False):
        model = network()
        made = StreamTrainer(
            model,
            UtteranceStreams(utterances(60, opening=(3,)), 16),
            OnlineCTC(12, 6),
            updates=180,
            lr=1e-2,
            optimizer=torch.optim.Adam,
            warmup=60 if em else 180,
        )
        made.run(progress=False)
        errors[em] = label_errors(model, utterances(40, seed=9, opening=(3,)))
    assert errors[True] < 0.05
    assert errors[False] > 0.11, "an eighth of the labels are openings"


def label_errors(model, pool):
    wrong = total = 0
    for frames, labels in pool:
        with torch.no_grad():
            best = torch.unique_consecutive(model.eval()(frames[None])[0][0].argmax(-1)).tolist()
        wrong += edit_distance(labels, [symbol for symbol in best if symbol])
        total += len(labels)
    return wrong / total


def test_a_speech_network_with_quantizers_trains_on_streams():
    torch.manual_seed(0)
    model = SpeechRNN(WIDTH, 12, 2, SYMBOLS + 1, kernel=4, stride=2)
    model.norm.fit(torch.cat([u.frames for u in utterances()]))
    student = attach(model, {"head": "int8", "*": AdaptiveUniform(Ternary(), estimates=20)})
    quantizer = student.rnn0.parametrizations.weight[0]
    calls, before = [], quantizer.scale.clone()
    quantizer.register_forward_hook(lambda *_: calls.append(1))
    made = trainer(student, updates=6)
    assert made.stride == 2
    losses = made.run(progress=False)
    assert len(calls) == 6, "once for each update, though the window is run in two pieces"
    assert len(losses) == 6
    assert not torch.equal(before, quantizer.scale)
    copy.deepcopy(student)


def test_utterances_too_short_for_their_labels_are_counted_and_told_once():
    short = [LabelledFrames(torch.randn(5, WIDTH), (1, 1, 2, 2)), LabelledFrames(torch.randn(12, WIDTH), (1,))]
    made = StreamTrainer(network(), UtteranceStreams(short, 2), OnlineCTC(12, 6), updates=5)
    with pytest.warns(RuntimeWarning, match="fewer output frames than its labels need"):
        made.run(4, progress=False)
    assert made.infeasible > 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made.run(progress=False)


def test_empty_targets_and_utterances_shorter_than_a_step_are_fine():
    pool = [LabelledFrames(torch.randn(n, WIDTH), labels) for n, labels in ((1, ()), (2, ()), (9, (1,)), (40, ()))]
    made = StreamTrainer(network(), UtteranceStreams(pool, 3), OnlineCTC(12, 6), updates=12)
    made.run(progress=False)
    assert made.infeasible == 0
    assert all(torch.isfinite(p).all() for p in made.model.parameters())


def test_faults_are_said():
    with pytest.raises(ArgumentError, match="0 utterances, 2 streams"):
        UtteranceStreams([], 2)
    with pytest.raises(ArgumentError, match=r"least gap <= most gap, not \(3, 2\)"):
        UtteranceStreams(utterances(), 2, gap=(3, 2))
    with pytest.raises(DataError, match=r"utterance 1 has frames of shape \(0, 6\)"):
        UtteranceStreams([*utterances(1), LabelledFrames(torch.zeros(0, WIDTH), ())], 2)
    with pytest.raises(DataError, match=r"labels of utterance 0 must be 1 or more, not \(0,\)"):
        UtteranceStreams([LabelledFrames(torch.zeros(3, WIDTH), (0,))], 2)
    with pytest.raises(DataError, match=r"augment turned \(\d+, 6\) into \(0, 6\)"):
        UtteranceStreams(utterances(), 2, augment=lambda x, _: x[:0]).read(3)
    with pytest.raises(ArgumentError, match="updates=0, warmup=0, stride=2"):
        trainer(updates=0)
    with pytest.raises(ArgumentError, match="has nothing to train"):
        trainer(network().requires_grad_(False))
    with pytest.raises(ArgumentError, match=r"wanted 3 frames of 4 streams; is stride=1 right\?"):
        trainer(objective=OnlineCTC(6, 3), stride=1).run(progress=False)
    broken = network()
    with torch.no_grad():
        broken[0].bias.fill_(torch.nan)
    with pytest.raises(DataError, match="became NaN or infinite in update 1 of 20"):
        trainer(broken).run(progress=False)
