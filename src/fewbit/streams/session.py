"""A session processes one stream: chunks of sound in, events out.

It is the only object that holds state. Any number of sessions share one network.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fewbit.decode import Decoder, Event, GreedyCTC
from fewbit.errors import ArgumentError, DecodeError
from fewbit.features import LogMel, Resampler
from fewbit.program.numerics import Q10
from fewbit.text import Alphabet, read_alphabet

TAIL_SECONDS = 0.5
"""Silence added at the end of a stream, so that the network can output what it heard last."""


class Network(Protocol):
    """What a session runs: a `Program`, or any object with the same methods.

    Examples:
        >>> import fewbit as fb
        >>> network: Network = fb.load(fb.pretrained("digits"))
        >>> print(network.stride, network.features["rate"])
        4 8000
    """

    @property
    def features(self) -> dict[str, Any] | None:
        """Plain description of the front end (`LogMel.to_dict`)."""
        ...

    @property
    def alphabet(self) -> dict[str, Any] | None:
        """Plain description of the classes (`Alphabet.to_dict`)."""
        ...

    @property
    def stride(self) -> int:
        """Input frames per output frame."""
        ...

    def init_state(self) -> Any:
        """State at the start of a stream."""
        ...

    def step(self, x: NDArray[np.float32], state: Any) -> tuple[NDArray[np.int64], Any]:
        """Scores in Q10 for a chunk of frames, and the new state."""
        ...


class Session:
    """Runs `network` on a stream and returns the events of `decoder`.

    Args:
        network: usually a `Program` packed with features and an alphabet.
        decoder: default greedy CTC over the network's alphabet.
        sample_rate: that of the chunks, which are resampled if needed. Default: that of the network's features.

    Raises:
        DecodeError: the network has no description of its features or of its alphabet.
        ArgumentError: `sample_rate` is not positive.

    Examples:
        >>> import fewbit as fb
        >>> session = fb.Session(fb.load(fb.pretrained("digits")))
        >>> session.step(np.zeros(4000, np.float32))
        []
    """

    def __init__(self, network: Network, decoder: Decoder | None = None, sample_rate: int | None = None) -> None:
        self.features = front_end(network)
        if decoder is None:
            decoder = GreedyCTC(alphabet_of(network), frame_seconds(network))
        self.network, self.decoder = network, decoder
        self.sample_rate = sample_rate or self.features.sample_rate
        self.seconds = 0.0
        """Seconds of sound so far."""
        self._ended = False
        self._resampler = Resampler(self.sample_rate, self.features.sample_rate)
        self._waiting = self.features.init_state()
        self._network_state = network.init_state()
        self._decoder_state = decoder.init_state()

    def step(self, chunk: NDArray[np.float32]) -> list[Event]:
        """Process a chunk ``(n,)`` of samples in [-1, 1], of any length; return its events.

        Raises:
            AudioError: the chunk has another shape, or contains NaN. The session can continue with the next chunk.
        """
        self._demand_open()
        samples = self._resampler.step(chunk)
        self.seconds += len(chunk) / self.sample_rate
        return self._hear(samples)

    def finish(self) -> list[Event]:
        """End the stream and return the remaining events; afterwards the session is closed."""
        self._demand_open()
        self._ended = True
        rest = self._resampler.step(np.zeros(0, np.float32), last=True)
        silence = np.zeros(int(TAIL_SECONDS * self.features.sample_rate), np.float32)
        events = self._hear(np.concatenate([rest, silence]))
        return events + self.decoder.finish(self._decoder_state)

    def _demand_open(self) -> None:
        if self._ended:
            raise DecodeError("the session has finished; create a new one for another stream")

    def _hear(self, samples: NDArray[np.float32]) -> list[Event]:
        frames, self._waiting = self.features.step(samples, self._waiting)
        scores, self._network_state = self.network.step(frames, self._network_state)
        events, self._decoder_state = self.decoder.step(scores / Q10, self._decoder_state)
        return events


def front_end(network: Network) -> LogMel:
    """The front end of a network.

    Raises:
        DecodeError: the network has no features, or they are not those of `LogMel`; or `network` is no network.

    Examples:
        >>> import fewbit as fb
        >>> front_end(fb.load(fb.pretrained("digits"))).sample_rate
        8000
    """
    if not hasattr(network, "features"):
        raise DecodeError(f"{network!r} is no network; fewbit.load reads one from a file")
    if network.features is None:
        raise DecodeError("the network was packed without features; pack it with features=LogMel(...) to listen")
    try:
        return LogMel.from_dict(network.features)
    except ArgumentError as error:
        raise DecodeError(f"the network's features are not those of LogMel: {error}") from error


def frame_seconds(network: Network) -> float:
    """Time between two frames of a network's scores.

    Examples:
        >>> import fewbit as fb
        >>> frame_seconds(fb.load(fb.pretrained("digits")))
        0.04
    """
    features = front_end(network)
    return features.hop / features.sample_rate * network.stride


def alphabet_of(network: Network) -> Alphabet:
    """The meaning of the classes of a network.

    Raises:
        DecodeError: the network has no alphabet, or its description is wrong.

    Examples:
        >>> import fewbit as fb
        >>> alphabet_of(fb.load(fb.pretrained("digits"))).tokens[:3]
        ('zero', 'one', 'two')
    """
    if network.alphabet is None:
        raise DecodeError(
            "the network was packed without an alphabet; pack it with features and alphabet, or give the session a "
            "decoder"
        )
    return read_alphabet(network.alphabet)
