"""Sound from files and microphones, as chunks of one channel at a wanted sample rate.

soundfile reads the files (wav, flac, ogg and other formats of libsndfile) and soxr resamples them, both block by block:
an hour of sound needs no more memory than a second. Both are imported on first use, because training on ready frames
needs neither.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fewbit.errors import ArgumentError, AudioError, MissingExtraError
from fewbit.features.logmel import Samples, check_samples

CHUNK_SECONDS = 0.1


class Resampler:
    """Streaming change of sample rate; any split of the input gives the same output.

    Examples:
        >>> len(Resampler(16_000, 8_000).step(np.zeros(1_600, np.float32), last=True))
        800
    """

    def __init__(self, source: int, target: int) -> None:
        import soxr

        if source <= 0 or target <= 0:
            raise ArgumentError(f"sample rates must be positive, not {source} -> {target}")
        self._stream = None if source == target else soxr.ResampleStream(source, target, 1, dtype="float32")

    def step(self, samples: Samples, last: bool = False) -> Samples:
        """The resampled sound that is ready after `samples`; `last` flushes the filter."""
        samples = check_samples(samples)
        if self._stream is None:
            return samples
        return np.asarray(self._stream.resample_chunk(samples, last=last), np.float32)


def read_audio(path: str | Path, sample_rate: int, chunk_seconds: float = CHUNK_SECONDS) -> Iterator[Samples]:
    """Read a sound file as chunks ``(n,)`` of one channel, at `sample_rate` samples per second.

    Raises:
        AudioError: the file is missing, is no sound that libsndfile can read, or contains NaN.

    Examples:
        >>> chunks = list(read_audio("recording.wav", sample_rate=16_000, chunk_seconds=0.5))
        >>> sum(map(len, chunks)) / 16_000 > 1  # seconds
        True
    """
    import soundfile

    where = ""
    try:
        if Path(path).suffix.lower() == ".raw":  # soundfile would raise a TypeError that asks for its rate
            raise AudioError("sound without a header is not read; convert it to wav")
        with soundfile.SoundFile(os.fsencode(path)) as file:
            resampler = Resampler(file.samplerate, sample_rate)
            block = max(1, round(file.samplerate * chunk_seconds))
            while len(samples := file.read(block, dtype="float32", always_2d=True)):
                where = f", in the {chunk_seconds:g} s before {file.tell() / file.samplerate:.2f} s"
                yield resampler.step(samples.mean(axis=1, dtype=np.float32))
            yield resampler.step(np.zeros(0, np.float32), last=True)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path}: cannot be read{_why(Path(path), error)}") from error
    except AudioError as error:
        raise AudioError(f"{path}{where}: {error}") from error


def _why(path: Path, error: Exception) -> str:
    if path.is_dir():
        return ": it is a folder"
    if not path.is_file():
        return ": there is no such file"
    if path.stat().st_size == 0:
        return ": the file is empty (0 bytes)"
    return f" as sound (wav, flac, ogg, ...): {getattr(error, 'error_string', error)}"


def microphone(sample_rate: int, chunk_seconds: float = CHUNK_SECONDS) -> Iterator[Samples]:
    """Chunks ``(n,)`` from the default microphone at `sample_rate` samples per second, until Ctrl-C.

    If the microphone does not support that rate, it runs at its own, and the sound is resampled.

    Raises:
        MissingExtraError: sounddevice or the PortAudio library is not installed.
        AudioError: there is no microphone, or it fails.

    Examples:
        >>> for chunk in microphone(16_000):  # doctest: +SKIP
        ...     print(f"{abs(chunk).max():.3f}")
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:
        raise MissingExtraError.for_extra(
            "mic", "the microphone needs sounddevice and PortAudio", "on Debian also: apt install libportaudio2"
        ) from error
    try:
        native = _microphone_rate(sounddevice, sample_rate)
        resampler, block = Resampler(native, sample_rate), max(1, round(native * chunk_seconds))
        with sounddevice.InputStream(native, block, channels=1, dtype="float32") as stream:
            while True:
                samples, _ = stream.read(block)
                yield resampler.step(samples[:, 0].copy())
    except KeyboardInterrupt:
        return  # the usual end: the caller still finishes its session
    except sounddevice.PortAudioError as error:
        raise AudioError(f"the microphone cannot be used: {error}") from error


def _microphone_rate(sounddevice: Any, sample_rate: int) -> int:
    """`sample_rate` if the microphone supports it, else its own."""
    try:
        sounddevice.check_input_settings(samplerate=sample_rate, channels=1, dtype="float32")
    except sounddevice.PortAudioError:
        return int(sounddevice.query_devices(kind="input")["default_samplerate"])
    return sample_rate
