"""Laws on recorded human speech: the packed network against torch, and a stream against the whole."""

import numpy as np
import torch

from fewbit.demo.recipe import FEATURES, to_program
from fewbit.models import SpeechRNN, TorchStream
from fewbit.program import cost, load
from fewbit.shipped import pretrained
from fewbit.streams import Session, stream
from fewbit.text import wer

AGREEMENT = 0.995


def test_packing_the_torch_network_gives_the_file_that_ships(model, digits, program):
    assert to_program(model, digits, program.recipe).to_bytes() == pretrained().read_bytes()


def test_program_and_torch_agree_on_frames_of_real_speech(model, digits, program):
    agree = total = said = 0
    for clips in (digits.test, digits.unseen):
        samples, _ = digits.stream(clips)
        frames = FEATURES(samples)
        with torch.no_grad():
            wanted = model(torch.from_numpy(frames)[None])[0][0].argmax(-1).numpy()
        got = program(frames).argmax(-1)
        agree, total, said = agree + int((got == wanted).sum()), total + len(wanted), said + int((wanted > 0).sum())
    assert total > 2000
    assert said > 250  # two networks that say nothing would agree as well
    assert agree / total >= AGREEMENT


def test_weights_are_ternary_and_the_packed_ones_fourteen_times_smaller(model, program):
    for name in ("conv", "rnn0", "rnn1"):
        assert len(model.get_submodule(name).weight.unique()) == 3
    parameters = sum(p.numel() for p in SpeechRNN(**program.recipe["model"]).parameters())
    assert 4 * parameters / cost(program).weight_bytes >= 14


def test_most_words_of_known_speakers_are_heard(digits, program):
    samples, said = digits.stream(digits.test)
    assert wer([said], [stream(program, [samples]).text]) < 0.1


def test_chunks_of_any_length_give_the_events_of_the_whole(program, digits, tmp_path):
    samples, _ = digits.stream(digits.test[:12])
    whole = stream(program, [samples])
    assert len(whole.events) > 3
    loaded = load(program.save(tmp_path / "x.fewbit"))
    rng = np.random.default_rng(0)
    for _ in range(3):
        cuts = np.sort(rng.integers(0, len(samples), 40))
        assert stream(loaded, np.split(samples, cuts)).events == whole.events


def test_many_sessions_share_one_program(program, digits):
    sounds = [digits.stream(digits.test[i : i + 5], seed=i)[0] for i in range(0, 15, 5)]
    alone = [list(stream(program, [sound]).events) for sound in sounds]
    sessions = [Session(program) for _ in sounds]
    together = [[] for _ in sounds]
    for start in range(0, max(map(len, sounds)), 700):
        for session, sound, events in zip(sessions, sounds, together, strict=True):
            events += session.step(sound[start : start + 700])
    for session, events in zip(sessions, together, strict=True):
        events += session.finish()
    assert together == alone


def test_a_torch_network_streams_like_a_program(model, digits):
    network = TorchStream(model, FEATURES, digits.alphabet)
    samples, _ = digits.stream(digits.test[:6])
    texts = {stream(network, np.split(samples, range(0, len(samples), size))).text for size in (333, 1600, 10**6)}
    assert len(texts) == 1
    assert texts != {""}
    assert network.stride == 4
