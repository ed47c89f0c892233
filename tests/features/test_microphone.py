"""The microphone, played by a stand-in for sounddevice: this machine may have none."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fewbit.cli.main import main
from fewbit.data import spoken_digits
from fewbit.errors import AudioError
from fewbit.features import microphone
from fewbit.shipped import pretrained


def stand_in(sound, end, native=8000):
    """A module like sounddevice whose microphone hears `sound` at its `native` rate and then raises `end`."""

    class PortAudioError(Exception):
        pass

    class InputStream:
        def __init__(self, rate, block, channels, dtype):
            assert (rate, channels, dtype) == (native, 1, "float32")
            self.place = 0

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, block):
            self.place += block
            if self.place > len(sound):
                raise end(PortAudioError)
            return sound[self.place - block : self.place, None], False

    def check_input_settings(samplerate, channels, dtype):
        if samplerate != native:
            raise PortAudioError("Invalid sample rate")

    return SimpleNamespace(
        InputStream=InputStream,
        PortAudioError=PortAudioError,
        check_input_settings=check_input_settings,
        query_devices=lambda kind: {"default_samplerate": float(native)},
    )


def test_speech_at_the_microphone_is_printed_until_ctrl_c(monkeypatch, capsys):
    digits = spoken_digits()
    clips = tuple(clip for clip in digits.test if clip.speaker == "george" and clip.text in ("zero", "seven"))
    sound, _ = digits.stream(clips)
    monkeypatch.setitem(sys.modules, "sounddevice", stand_in(sound, lambda error: KeyboardInterrupt()))
    assert main(["stream", "--mic", "--model", str(pretrained())]) == 0
    out = capsys.readouterr().out
    assert out.startswith("microphone")
    assert "seven" in out
    assert "real-time factor" in out
    assert "ms per chunk" in out


def test_a_microphone_that_fails_is_a_clear_error(monkeypatch):
    broken = stand_in(np.zeros(900, np.float32), lambda error: error("device unplugged"))
    monkeypatch.setitem(sys.modules, "sounddevice", broken)
    chunks = microphone(8000)
    assert len(next(chunks)) == 800
    with pytest.raises(AudioError, match="cannot be used: device unplugged"):
        next(chunks)


def test_a_microphone_of_another_rate_is_resampled(monkeypatch):
    sound = np.sin(np.arange(48_000) / 48_000 * 2 * np.pi * 440).astype(np.float32)
    played = stand_in(sound, lambda error: KeyboardInterrupt(), native=48_000)
    monkeypatch.setitem(sys.modules, "sounddevice", played)
    heard = np.concatenate(list(microphone(8000)))
    assert 6000 < len(heard) <= 8000  # the filter still holds its tail
    spectrum = np.abs(np.fft.rfft(heard[:6000] * np.hanning(6000)))
    assert abs(np.argmax(spectrum) * 8000 / 6000 - 440) < 2
