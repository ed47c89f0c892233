"""Sound files: any format, rate, number of channels and chunk size gives the same sound."""

import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.errors import ArgumentError, AudioError, MissingExtraError
from fewbit.features import Resampler, microphone, read_audio
from fewbit.testing import splits

RATE = 8000


def tone(rate, seconds=1.0, pitch=440):
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def noise(n, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, n).astype(np.float32)


def heard(path, rate=RATE, **more):
    return np.concatenate([np.zeros(0, np.float32), *read_audio(path, rate, **more)])


def peak(sound):
    return np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_a_tone_stays_the_same_tone(kind, rate, tmp_path):
    path = tmp_path / f"tone.{kind}"
    soundfile.write(path, tone(rate), rate)
    sound = heard(path)
    assert sound.dtype == np.float32
    assert abs(len(sound) - RATE) <= 1
    assert abs(peak(sound) - 440) <= 1
    assert np.abs(sound[1000:-1000]).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_the_first_sample_keeps_its_place(rate, tmp_path):
    # A resampler that did not make up for its delay would shift every time in a transcript.
    path = tmp_path / "late.wav"
    soundfile.write(path, np.concatenate([np.zeros(rate // 2), tone(rate, 0.5)]), rate)
    assert abs(int(np.argmax(np.abs(heard(path)) > 0.1)) - RATE // 2) <= 5


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_channels_are_averaged(kind, tmp_path):
    left, right = (np.round(noise(2000, seed) * 32_000) / 32_768 for seed in (1, 2))
    path = tmp_path / f"stereo.{kind}"
    soundfile.write(path, np.stack([left, right], axis=1), RATE, subtype="PCM_16")
    assert np.allclose(heard(path), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 11_025, 48_000])
def test_any_chunk_size_gives_the_same_samples(rate, tmp_path):
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise(3000), rate, subtype="FLOAT")
    whole = heard(path, chunk_seconds=10.0)
    for seconds in (1e-9, 0.001, 0.0173, 0.1):
        assert np.array_equal(heard(path, chunk_seconds=seconds), whole)


@pytest.mark.parametrize("target", [8000, 11_025, 16_000])
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2000), max_size=6))
def test_any_split_of_the_input_resamples_alike(target, cuts):
    sound = noise(2000)
    pipe = Resampler(16_000, target)
    pieces = [pipe.step(sound[piece]) for piece in splits(len(sound), cuts)]
    pieces.append(pipe.step(np.zeros(0, np.float32), last=True))
    assert np.array_equal(np.concatenate(pieces), Resampler(16_000, target).step(sound, last=True))


@pytest.mark.parametrize("rate", [8000, 48_000])
@pytest.mark.parametrize("samples", [0, 1, 2])
def test_a_very_short_file_is_read(samples, rate, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.full(samples, 0.5), rate)
    assert abs(len(heard(path)) - samples * RATE / rate) <= 1


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_silence_is_silent_and_clipped_noise_is_finite(rate, tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.zeros(rate), rate)
    assert not heard(path).any()
    soundfile.write(path, np.clip(5 * noise(rate), -1, 1), rate)
    sound = heard(path)
    assert np.isfinite(sound).all()
    assert 0.5 < np.abs(sound).max() < 3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_file_with_nan_is_refused_by_name(value, tmp_path):
    path = tmp_path / "broken.wav"
    sound = noise(1000)
    sound[900] = value
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    # Chunks of 0.1 s: the second has 200 samples.
    place = "in the 0.1 s before 0.12 s: 1 of 200 samples are NaN, infinite or beyond 1e6, the first at index 100"
    fault = f"{path}, {place}; repair the recording"
    with pytest.raises(AudioError, match=fault):
        heard(path)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("none.wav", "there is no such file"),
        ("none", "there is no such file"),
        ("", "it is a folder"),
        ("empty.wav", r"the file is empty \(0 bytes\)"),
    ],
)
def test_a_missing_file_a_folder_and_an_empty_file_are_refused(name, fault, tmp_path):
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=f"{tmp_path / name}: cannot be read: {fault}"):
        heard(tmp_path / name)


@pytest.mark.parametrize("content", [b"RIFF", b"This is a text.\n" * 50, b"\x00" * 500])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.txt"])
def test_a_file_that_is_no_sound_is_refused(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=rf"{path}: cannot be read as sound \(wav, flac, ogg, ...\): "):
        heard(path)


def test_sound_without_a_header_is_refused(tmp_path):
    (tmp_path / "a.raw").write_bytes(bytes(100))
    with pytest.raises(AudioError, match="sound without a header is not read; convert it to wav"):
        heard(tmp_path / "a.raw")


@pytest.mark.parametrize("rates", [(0, 8000), (8000, 0), (-1, 8000)])
def test_a_rate_must_be_positive(rates):
    with pytest.raises(ArgumentError, match=f"sample rates must be positive, not {rates[0]} -> {rates[1]}"):
        Resampler(*rates)


def test_a_refused_chunk_leaves_the_resampler_as_it_was():
    sound = noise(2000)
    pipe = Resampler(16_000, RATE)
    first = pipe.step(sound[:1000])
    with pytest.raises(AudioError, match="1 of 1 samples are NaN"):
        pipe.step(np.array([np.nan]))
    rest = pipe.step(sound[1000:], last=True)
    assert np.array_equal(np.concatenate([first, rest]), Resampler(16_000, RATE).step(sound, last=True))


def test_a_microphone_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"the microphone needs sounddevice .* pip install 'fewbit\[mic\]'"):
        next(microphone(RATE))
