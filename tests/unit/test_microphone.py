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


def stand_in(sound, end):
    """A module like sounddevice whose microphone hears `sound` and then raises `end`."""

    class PortAudioError(Exception):
        pass

    class InputStream:
        def __init__(self, rate, block, channels, dtype):
            assert (rate, channels, dtype) == (8000, 1, "float32")
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

    return SimpleNamespace(InputStream=InputStream, PortAudioError=PortAudioError)


def test_speech_at_the_microphone_is_printed_until_ctrl_c(monkeypatch, capsys):
    digits = spoken_digits()
    clips = tuple(clip for clip in digits.test if clip.speaker == "george" and clip.word in ("zero", "seven"))
    sound, _ = digits.stream(clips)
    monkeypatch.setitem(sys.modules, "sounddevice", stand_in(sound, lambda error: KeyboardInterrupt()))
    assert main(["stream", "--mic", "--model", str(pretrained())]) == 0
    out = capsys.readouterr().out
    assert out.startswith("microphone")
    assert "seven" in out
    assert "real-time factor" in out
    assert "ms a chunk" in out


def test_a_microphone_that_fails_is_a_clear_error(monkeypatch):
    broken = stand_in(np.zeros(900, np.float32), lambda error: error("device unplugged"))
    monkeypatch.setitem(sys.modules, "sounddevice", broken)
    chunks = microphone(8000)
    assert len(next(chunks)) == 800
    with pytest.raises(AudioError, match="cannot be used at 8000 Hz: device unplugged"):
        next(chunks)
