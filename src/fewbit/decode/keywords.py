"""Keyword spotting on an endless stream of CTC scores, from a list of words that may change meanwhile.

K. Hwang, M. Lee, W. Sung, "Online keyword spotting with a character-level recurrent neural network", 2015,
arXiv 1512.08903.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fewbit.decode.decoder import Scores, check_scores, softmax
from fewbit.decode.events import Event, Keyword
from fewbit.decode.keyword_list import KeywordList, ListedWord, check_threshold
from fewbit.decode.keyword_paths import Heard, Nodes, Paths, at_the_end, follow, regroup
from fewbit.errors import ArgumentError

SPACE = " "


@dataclass(frozen=True)
class Watch:
    """Progress of a word: since when it is above its threshold (-1: it is not), its best, whether it was reported."""

    since: int = -1
    best: float = 0.0
    start: int = 0
    end: int = 0
    reported: bool = False


@dataclass(frozen=True, eq=False)
class SpotterState:
    """The list in use, the probabilities of its words, and their progress."""

    words: tuple[ListedWord, ...]
    nodes: Nodes = field(repr=False)
    paths: Paths = field(repr=False)
    watches: tuple[Watch, ...]


@dataclass(frozen=True)
class KeywordSpotter:
    """Emits a `Keyword` once for each occurrence of a listed word, soon after its end.

    The score of a word is the probability that the text so far ends in it, to the power ``1 / letters``, so that scores
    of words of different lengths compare. In an alphabet with a space, a word stands between spaces, silences or the
    ends of the stream. Without a space (letters only, or whole words) it may stand anywhere.

    Memory is bounded. States are immutable. When the list changes, words that stay in it continue undisturbed.

    Args:
        keywords: the list; it may change between two steps.
        frame_seconds: time between two frames of scores.
        threshold: score that words without their own threshold must reach.
        silence: seconds of blanks that count as a boundary, like a space.
        settle: seconds for which a score may still rise before its word is reported; 0 gives the lowest latency.
        hysteresis: a word may be reported again once ``ln P`` has fallen by this much below the threshold.
        boundaries: whether words must stand between boundaries, if the alphabet has a space.

    Examples:
        >>> from fewbit.text import Alphabet
        >>> words = KeywordList(Alphabet(("go", "stop"), joiner=" "), ["stop"])
        >>> spotter = KeywordSpotter(words, frame_seconds=0.1, settle=0.0)
        >>> scores = 9 * np.eye(3)[[0, 1, 0, 2, 0, 0]]  # blank, go, blank, stop, blank, blank
        >>> events, state = spotter.step(scores, spotter.init_state())
        >>> print([(event.word, event.start, event.end) for event in events])
        [('stop', 0.3, 0.4)]
    """

    keywords: KeywordList
    frame_seconds: float
    threshold: float = 0.5
    silence: float = 0.4
    settle: float = 0.1
    hysteresis: float = 2.0
    boundaries: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.frame_seconds < math.inf:
            raise ArgumentError(f"frame_seconds must lie above 0, not {self.frame_seconds}")
        check_threshold(self.threshold)
        for name in ("silence", "settle"):
            if not 0 <= getattr(self, name) <= 10:
                raise ArgumentError(f"{name} must lie in 0..10 seconds, not {getattr(self, name)}")
        if not 0 <= self.hysteresis < math.inf:
            raise ArgumentError(f"hysteresis must be 0 or more, not {self.hysteresis}")

    def init_state(self) -> SpotterState:
        """State at the start of a stream."""
        words = self.keywords.words
        nodes = self._nodes(words)
        return SpotterState(words, nodes, Paths.start(nodes, self._silent_frames), (Watch(),) * len(words))

    def step(self, scores: Scores, state: SpotterState) -> tuple[list[Event], SpotterState]:
        """Keywords of ``scores (frames, classes)``, and the new state.

        Raises:
            DecodeError: the scores have another width, or contain NaN.
        """
        scores = check_scores(scores, self.keywords.alphabet.classes)
        state = self._with_list(state)
        heard, paths = follow(state.nodes, state.paths, softmax(scores))
        found, watches = self.watch(state, heard, state.paths.frame)
        return found, replace(state, paths=paths, watches=watches)

    def finish(self, state: SpotterState) -> list[Event]:
        """Keywords that the end of the stream completes."""
        heard = at_the_end(state.nodes, state.paths)
        # No later frame can raise a score any more.
        found, _ = replace(self, settle=0.0).watch(state, heard, state.paths.frame - 1)
        return found

    @property
    def _silent_frames(self) -> int:
        return max(1, math.ceil(self.silence / self.frame_seconds - 1e-9))

    def _nodes(self, words: tuple[ListedWord, ...]) -> Nodes:
        tokens = self.keywords.alphabet.tokens
        space = tokens.index(SPACE) + 1 if self.boundaries and SPACE in tokens else None
        return Nodes.build([listed.classes for listed in words], space)

    def _with_list(self, state: SpotterState) -> SpotterState:
        words = self.keywords.words
        if words is state.words:
            return state
        before = {listed.word: i for i, listed in enumerate(state.words)}
        origin = [before.get(listed.word, -1) for listed in words]
        nodes = self._nodes(words)
        watches = tuple(state.watches[i] if i >= 0 else Watch() for i in origin)
        return SpotterState(words, nodes, regroup(state.nodes, state.paths, nodes, origin), watches)

    def watch(self, state: SpotterState, heard: Heard, first: int) -> tuple[list[Event], tuple[Watch, ...]]:
        """Events of the frames from number `first` on, and the progress of the words after them."""
        watches = list(state.watches)
        found: list[tuple[int, int, Keyword]] = []
        thresholds = np.array([self._word_threshold(listed) for listed in state.words])
        under_way = np.array([watch.since >= 0 for watch in watches], bool)
        (busy,) = np.nonzero((heard.probability >= thresholds).any(axis=0) | under_way)
        for w in busy.tolist():
            for i, p in enumerate(heard.probability[:, w].tolist()):
                watch = self._seen(watches[w], p, heard.span[:, i, w], first + i, thresholds[w])
                if watch.reported and not watches[w].reported:
                    found.append((i, w, self._event(state.words[w], watch, first + i + 1)))
                low = thresholds[w] * math.exp(-self.hysteresis)
                watches[w] = Watch() if watch.reported and p < low else watch
        return [event for *_, event in sorted(found, key=lambda item: item[:2])], tuple(watches)

    def _seen(self, watch: Watch, p: float, span: NDArray[np.int64], frame: int, threshold: float) -> Watch:
        if watch.reported:
            return watch
        if watch.since < 0 and p < threshold:
            return watch
        since = watch.since if watch.since >= 0 else frame
        best, start, end = watch.best, watch.start, watch.end
        if p > best:
            best, (start, end) = p, (int(t) for t in span)
        settled = (frame - since + 1e-9) * self.frame_seconds >= self.settle
        return Watch(since, best, start, end, settled or p < best * math.exp(-self.hysteresis))

    def _word_threshold(self, listed: ListedWord) -> float:
        """On the probability of the word, where `threshold` is on its root, the score."""
        threshold = self.threshold if listed.threshold is None else listed.threshold
        return max(threshold ** len(listed.classes), 1e-300)  # nothing that underflows is a keyword

    def _event(self, listed: ListedWord, watch: Watch, frame: int) -> Keyword:
        score = min(1.0, watch.best ** (1 / len(listed.classes)))
        start, end, time = (round(t * self.frame_seconds, 4) for t in (watch.start, watch.end, frame))
        return Keyword(listed.word, start, end, time, round(score, 4))
