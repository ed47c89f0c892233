"""Whole streams: run a file or a microphone through a session and measure the speed."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewbit.decode import Decoder, Event, text_of
from fewbit.errors import DataError
from fewbit.features import CHUNK_SECONDS, Samples, read_audio
from fewbit.program import Program
from fewbit.program.numerics import Q10
from fewbit.streams.session import Network, Session, front_end


@dataclass(frozen=True)
class Transcript:
    """The result of one stream.

    Args:
        text: of all finished utterances.
        audio_seconds: length of the sound.
        real_time_factor: seconds of work per second of sound, from samples to events; below 1 keeps up.
        latency_ms: median time from the last sample of a chunk to its events.
        events: all events.

    Examples:
        >>> import fewbit as fb
        >>> heard = stream(fb.load(fb.pretrained("digits")), "recording.wav")
        >>> print(f"{heard.audio_seconds:.1f} s, keeps up: {heard.real_time_factor < 1}")
        3.6 s, keeps up: True
    """

    text: str
    audio_seconds: float
    real_time_factor: float
    latency_ms: float
    events: tuple[Event, ...]


def stream(
    network: Network,
    source: str | Path | Iterable[Samples],
    *,
    decoder: Decoder | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
    on_event: Callable[[Event], None] | None = None,
) -> Transcript:
    """Process a file (or chunks at the network's own sample rate) chunk by chunk, as if it arrived live.

    Args:
        network: usually a `Program`.
        source: path of a sound file, or chunks ``(n,)`` of samples.
        decoder: default greedy CTC.
        chunk_seconds: length of a chunk.
        on_event: called with each event as it occurs.

    Raises:
        AudioError: the file cannot be read, or contains NaN.

    Examples:
        >>> import fewbit as fb
        >>> heard = fb.stream(fb.load(fb.pretrained("digits")), "recording.wav")
        >>> heard.text
        'two zero zero zero'
    """
    session = Session(network, decoder)
    events: list[Event] = []
    spent: list[float] = []

    def take(new: list[Event]) -> None:
        events.extend(new)
        for event in new if on_event else []:
            on_event(event)  # type: ignore[misc]

    chunks = read_audio(source, session.sample_rate, chunk_seconds) if isinstance(source, str | Path) else source
    for chunk in chunks:
        start = time.perf_counter()
        new = session.step(chunk)
        spent.append(time.perf_counter() - start)
        take(new)
    start = time.perf_counter()
    last = session.finish()
    total = sum(spent) + time.perf_counter() - start
    take(last)
    return Transcript(
        text=text_of(events),
        audio_seconds=round(session.seconds, 3),
        real_time_factor=round(total / session.seconds, 5) if session.seconds else 0.0,
        latency_ms=round(float(np.median(spent)) * 1e3, 3) if spent else 0.0,
        events=tuple(events),
    )


def run(network: Network, source: str | Path) -> NDArray[np.float64]:
    """Scores ``(frames, classes)`` of a whole input: a sound file, or a ``.npy`` file of frames ``(time, features)``.

    Raises:
        AudioError, DataError: the sound or the array cannot be read.
        DecodeError: the network has no features, or the frames do not fit it.

    Examples:
        >>> import fewbit as fb
        >>> scores = fb.run(fb.load(fb.pretrained("digits")), "recording.wav")
        >>> scores.shape  # frames, classes
        (89, 11)
    """
    if Path(source).suffix == ".npy":
        try:
            frames = np.load(source, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{source}: cannot be read as an array of numbers: {error}") from error
    else:
        features = front_end(network)
        frames = features(np.concatenate([np.zeros(0, np.float32), *read_audio(source, features.sample_rate)]))
    if isinstance(network, Program):  # it may look ahead, or need its whole input
        return np.asarray(network(frames))
    scores, _ = network.step(frames, network.init_state())
    return np.asarray(scores / Q10)
