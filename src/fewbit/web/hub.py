"""One network and many streams: a few worker threads process the waiting sound of each stream in turn."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from threading import Lock
from typing import Any

import numpy as np

from fewbit.decode import Decoder, ParallelDecoders, to_dict
from fewbit.errors import FewbitError, ServerError
from fewbit.streams import Network, Session, frame_seconds
from fewbit.web.protocol import Ask, Fault, Keywords, Limits, Message, Refused, Start
from fewbit.web.spotter import Spotter, keyword_spotter

STATS_SECONDS = 1.0
"""Seconds of sound between two unrequested reports."""

MESSAGES = 1024
"""Maximum number of waiting messages of a stream, of any size."""

Answer = dict[str, Any]


class Stream:
    """The sound of one client on its way through a session.

    The event loop calls `put`; one worker thread at a time calls `work`.
    """

    def __init__(self, session: Session, decoders: ParallelDecoders, spotter: Spotter | None, limits: Limits) -> None:
        self.ended = False
        """Whether the stream has ended."""
        self._session, self._decoders, self._spotter = session, decoders, spotter
        self._most_bytes = int(limits.waiting_seconds * session.sample_rate) * 2
        self._lock = Lock()
        self._waiting: list[tuple[float, Message]] = []
        self._bytes = 0
        self._reported = 0.0
        self._work = self._latency = 0.0

    @property
    def full(self) -> bool:
        """Whether no more messages may wait."""
        return self._bytes >= self._most_bytes or len(self._waiting) >= MESSAGES

    def put(self, message: Message) -> None:
        """Add a message to the queue."""
        with self._lock:
            self._waiting.append((time.perf_counter(), message))
            self._bytes += len(message) if isinstance(message, bytes) else 0

    def work(self) -> list[Answer]:
        """Answers to all waiting messages; the sound of consecutive messages runs as one block."""
        with self._lock:
            waiting, self._waiting, self._bytes = self._waiting, [], 0
        answers: list[Answer] = []
        asked = any(message is Ask.STATS for _, message in waiting)
        waiting = [item for item in waiting if item[1] is not Ask.STATS]  # so that it splits no block
        for is_sound, group in groupby(waiting, key=lambda item: isinstance(item[1], bytes)):
            if is_sound:
                arrived, chunks = zip(*group, strict=True)
                answers += self._hear(b"".join(chunks), arrived[0])
            else:
                for _, message in group:
                    answers += self._obey(message)
        if asked or self._session.seconds - self._reported >= STATS_SECONDS:
            answers.append(self._stats())
        return answers

    def watch(self, words: Sequence[str]) -> list[Answer]:
        """Watch for `words` from now on. An unusable list leaves the old one in place."""
        decoders = dict(self._decoders.decoders)
        before = decoders.pop("keywords", None)
        if words:
            if self._spotter is None:
                return [_keyword_error("this server does not watch for keywords")]
            try:
                decoders["keywords"] = self._spotter(words, before)
            except FewbitError as error:
                return [_keyword_error(str(error))]
        self._decoders.decoders = decoders
        return [{"event": "keywords", "keywords": list(words)}]

    def _hear(self, sound: bytes, arrived: float) -> list[Answer]:
        begin = time.perf_counter()
        events = self._session.step(np.frombuffer(sound, "<i2"))
        answers = [to_dict(event) for event in events]
        self._timed(begin, arrived)
        return answers

    def _obey(self, message: Message) -> list[Answer]:
        match message:
            case Keywords(words=words):
                return self.watch(words)
            case Ask.END if not self.ended:
                self.ended = True
                begin = time.perf_counter()
                answers = [to_dict(event) for event in self._session.finish()]
                self._timed(begin, begin)
                return [*answers, self._stats()]
        return []

    def _timed(self, begin: float, arrived: float) -> None:
        end = time.perf_counter()
        self._work += end - begin
        self._latency = max(self._latency, end - arrived)

    def _stats(self) -> Answer:
        """Figures since the last report."""
        seconds = self._session.seconds
        heard = seconds - self._reported
        figures = {
            "event": "stats",
            "time": round(seconds, 3),
            "latency_ms": round(self._latency * 1e3, 2),
            "real_time_factor": round(self._work / heard, 5) if heard > 0 else 0.0,
        }
        self._reported, self._work, self._latency = seconds, 0.0, 0.0
        return figures


class Hub:
    """The network and everything else that all streams share.

    Args:
        network: usually a `Program`.
        decoder: creates the text decoder of a stream; default greedy CTC.
        keywords: creates a decoder that watches for a list of words; default `keyword_spotter`, if the network has an
            alphabet and the limits allow keywords.
        limits: limits of a client.
        workers: threads that run the network.

    Raises:
        DecodeError: the network has no features, or neither an alphabet nor a decoder.
        ServerError: `workers` is out of range.
    """

    def __init__(
        self,
        network: Network,
        *,
        decoder: Callable[[], Decoder] | None = None,
        keywords: Spotter | None = None,
        limits: Limits | None = None,
        workers: int = 1,
    ) -> None:
        if not 1 <= workers <= 256:
            raise ServerError(f"workers must lie in 1..256, not {workers}")
        first = Session(network, decoder() if decoder else None)  # so that errors appear before the first client
        self.network, self.limits = network, limits or Limits()
        self.taken = 0
        """Number of open connections."""
        self._decoder = decoder or (lambda: first.decoder)
        if keywords is None and network.alphabet is not None:
            keywords = keyword_spotter(network)
        self.spotter = keywords if self.limits.keywords else None
        """Makes decoders that watch for words, if the server offers that."""
        # Each stream has at most one job, and jobs run in order of arrival, so streams take turns.
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fewbit")

    @contextmanager
    def place(self) -> Iterator[None]:
        """Reserve a place for one connection.

        Raises:
            Fault: all places are taken.
        """
        if self.taken >= self.limits.streams:
            raise Fault(Refused.BUSY, f"all {self.limits.streams} places are taken; try again later")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    def open(self, start: Start) -> Stream:
        """A new stream."""
        decoders = ParallelDecoders(frame_seconds(self.network), text=self._decoder())
        session = Session(self.network, decoders, start.sample_rate)
        return Stream(session, decoders, self.spotter, self.limits)

    async def turn(self, stream: Stream) -> list[Answer]:
        """Let a worker thread process the waiting messages of `stream` when its turn comes."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, stream.work)

    def close(self) -> None:
        """Stop the worker threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _keyword_error(message: str) -> Answer:
    return {"event": "error", "code": "keywords", "message": message}
