"""Log-mel frames: the same numbers for any split, and those of kaldi."""

import kaldi_native_fbank as knf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import ArgumentError, AudioError
from fewbit.features import LogMel
from fewbit.testing import splits

FRONTS = [
    LogMel(mels=8, sample_rate=8000),
    LogMel(),
    LogMel(mels=20, sample_rate=44_100, window_ms=20.0, hop_ms=7.5, floor=-5.0),
    LogMel(mels=5, sample_rate=8000, window_ms=16.0, hop_ms=16.0),
]
fronts = pytest.mark.parametrize("front", FRONTS, ids=["8k", "default", "44k", "no overlap"])


def noise(seconds, rate, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * rate)).astype(np.float32)


@fronts
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 4000), max_size=6))
def test_any_split_gives_the_same_bits(front, cuts):
    sound = noise(0.09, 44_100)[: front.sample_rate // 10]
    state, pieces = front.init_state(), []
    for piece in splits(len(sound), cuts):
        frames, state = front.step(sound[piece], state)
        pieces.append(frames)
    assert np.array_equal(np.concatenate(pieces), front(sound))


def test_single_samples_give_the_same_bits_and_the_tail_stays_shorter_than_a_window():
    front = FRONTS[0]
    sound = noise(0.1, front.sample_rate)
    state, pieces = front.init_state(), []
    for i in range(len(sound)):
        frames, state = front.step(sound[i : i + 1], state)
        assert len(state) < front.window
        pieces.append(frames)
    assert np.array_equal(np.concatenate(pieces), front(sound))


@fronts
@given(st.integers(0, 3000))
def test_a_frame_comes_as_soon_as_its_window_is_full(front, length):
    frames, state = front.step(np.zeros(length, np.float32), front.init_state())
    assert frames.shape == (max(0, (length - front.window) // front.hop + 1), front.mels)
    assert frames.dtype == np.float32
    assert len(state) == length - len(frames) * front.hop


@fronts
def test_frames_are_those_of_kaldi_run_whole(front):
    sound = noise(0.2, front.sample_rate)
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = front.sample_rate
    options.frame_opts.frame_length_ms = front.window_ms
    options.frame_opts.frame_shift_ms = front.hop_ms
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = front.mels
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(front.sample_rate, (sound * 32768).tolist())
    wanted = [bank.get_frame(i) for i in range(bank.num_frames_ready)]
    assert np.array_equal(front(sound), np.maximum(wanted, np.float32(front.floor)))


@fronts
@pytest.mark.parametrize("level", [0.0, 0.25, -1.0])
def test_silence_lies_on_the_floor(front, level):
    # The mean of a frame is removed, so a constant is silence too.
    frames = front(np.full(front.window + 3 * front.hop, level, np.float32))
    assert len(frames) == 4
    assert (frames == front.floor).all()


def test_a_louder_sound_is_higher_and_a_tone_peaks_in_its_filter():
    front = LogMel(mels=20, sample_rate=8000)
    seconds = np.arange(4000) / 8000
    low, high = (front(np.sin(2 * np.pi * pitch * seconds).astype(np.float32)).mean(axis=0) for pitch in (200, 3000))
    assert low.argmax() < 4
    assert high.argmax() > 15
    quiet = noise(0.2, 8000)
    assert np.allclose(front(quiet * 2) - front(quiet), np.log(4), atol=1e-3)


def test_an_empty_chunk_changes_nothing():
    front = FRONTS[0]
    _, state = front.step(noise(0.03, 8000), front.init_state())
    frames, after = front.step(np.zeros(0, np.float32), state)
    assert frames.shape == (0, 8)
    assert np.array_equal(after, state)


def test_float64_is_taken_as_float32_and_pcm_by_its_full_scale():
    front = FRONTS[0]
    sound = noise(0.1, 8000)
    assert np.array_equal(front(sound.astype(np.float64)), front(sound))
    pcm = np.round(sound * 2**15).astype(np.int16)
    assert np.array_equal(front(pcm), front((pcm / 2**15).astype(np.float32)))
    assert np.array_equal(front(pcm.astype(np.int32) * 2**16), front(pcm))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e6, -3e38])
def test_samples_that_are_no_sound_are_refused_and_the_stream_goes_on(value):
    front = FRONTS[0]
    sound = noise(0.1, 8000)
    _, state = front.step(sound[:100], front.init_state())
    broken = sound[100:].copy()
    broken[[7, 9]] = value
    fault = "2 of 700 samples are NaN, infinite or beyond 1e6, the first at index 7; repair the recording"
    with pytest.raises(AudioError, match=fault):
        front.step(broken, state)
    frames, _ = front.step(sound[100:], state)
    assert np.array_equal(frames, front(sound))


@pytest.mark.parametrize("shape", [(100, 2), (1, 100), ()])
def test_anything_but_one_channel_is_refused(shape):
    with pytest.raises(AudioError, match=r"wanted one channel of samples, shape \(n,\), got shape"):
        LogMel()(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"mels": 0}, r"mels must lie in 1\.\.256, not 0"),
        ({"mels": 257}, r"mels must lie in 1\.\.256, not 257"),
        ({"mels": 2}, "no filter bank has LogMel.mels=2"),
        ({"mels": 256, "sample_rate": 8000}, "no filter bank has LogMel.mels=256, sample_rate=8000"),
        ({"sample_rate": 1000, "window_ms": 1.0, "hop_ms": 1.0}, "no filter bank has"),
        ({"sample_rate": 999}, r"rate must lie in 1000\.\.192000 Hz, not 999"),
        ({"sample_rate": 192_001}, r"rate must lie in 1000\.\.192000 Hz"),
        ({"hop_ms": 30.0}, "wanted 1 <= hop_ms <= window_ms <= 1000, not hop_ms=30.0, window_ms=25.0"),
        ({"hop_ms": 0.5}, "wanted 1 <= hop_ms"),
        ({"window_ms": 1001.0}, "window_ms <= 1000"),
        ({"window_ms": np.nan}, "window_ms=nan"),
        ({"floor": np.nan}, "floor must be a finite number, not nan"),
        ({"floor": -np.inf}, "floor must be a finite number, not -inf"),
    ],
)
def test_a_front_end_that_cannot_be_is_refused_when_it_is_made(wrong, fault):
    with pytest.raises(ArgumentError, match=fault):
        LogMel(**wrong)


@fronts
def test_a_plain_description_makes_an_equal_front_end(front):
    assert LogMel.from_dict(front.to_dict()) == front
