"""Tree beam search over an endless stream of CTC scores, with a language model and committed text.

K. Hwang, W. Sung, "Character-level incremental speech recognition with recurrent neural networks", ICASSP 2016,
arXiv 1601.06581.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.decode.decoder import Scores
from fewbit.decode.events import Event, Final, Label, Partial
from fewbit.decode.scorer import Scorer
from fewbit.decode.tree_native import search
from fewbit.decode.tree_search import Changed, Ended, Search, SearchEvent, SearchOptions, TokenSpan
from fewbit.errors import ArgumentError, DecodeError
from fewbit.text import Alphabet

SPACE = " "
MOST = 1 << 20
ENDLESS = 1 << 62


@dataclass(frozen=True)
class Hypothesis:
    """A string of the beam; `score = ln P_CTC + scorer + insertion_bonus * labels` since the stream began.

    Examples:
        >>> decoder = TreeBeam(Alphabet(("a", "b")), frame_seconds=0.1)
        >>> _, state = decoder.step(np.log([[0.1, 0.6, 0.3]]), decoder.init_state())
        >>> print([best.text for best in decoder.nbest(state)])
        ['a', 'b', '']
    """

    text: str
    score: float


@dataclass(frozen=True)
class BeamState:
    """The tree of a stream, and the text and number of stable characters shown last."""

    tree: Any
    text: str = ""
    stable: int = 0


@dataclass(frozen=True)
class TreeBeam:
    """Beam search decoder: finds the most probable text, summed over all its CTC paths, not the most probable path.

    Memory and time per frame are bounded: labels further than `depth` from the end of the best string are committed,
    and strings that contradict them are deleted. States are immutable.

    Args:
        alphabet: meaning of the classes; class 0 is the blank.
        frame_seconds: time between two frames of scores.
        scorer: language model over the same alphabet, with its own weight.
        width: number of active strings.
        depth: labels of the best string that stay open to correction.
        prune_interval: frames between two commitments.
        insertion_bonus: added to the score for every label, -50..50; with a language model it should be above 0.
        endpoint_seconds: an utterance ends when the best string has been in its blank for this time.
        longest_seconds: a longer utterance is cut at its last committed space.
        show_interval: frames between two looks at the best string.
        blank_skip: frames whose blank is more probable create no new strings; 1 is off, 0.999 loses little.
        label_floor: labels below this natural log-probability in their frame create no new strings.

    Raises:
        ArgumentError: a number is out of range, or the scorer has another alphabet.

    Examples:
        >>> decoder = TreeBeam(Alphabet(tuple(" abc")), frame_seconds=0.1, width=8)
        >>> scores = 9 * np.eye(5)[[2, 0, 3, 0, 4, 0]]  # a, blank, b, blank, c, blank
        >>> events, state = decoder.step(scores, decoder.init_state())
        >>> print(events[-1].text, "|", decoder.finish(state)[0].text)
        abc | abc
    """

    alphabet: Alphabet
    frame_seconds: float
    scorer: Scorer | None = None
    _: KW_ONLY
    width: int = 64
    depth: int = 50
    prune_interval: int = 20
    insertion_bonus: float = 0.0
    endpoint_seconds: float = 1.0
    longest_seconds: float = 30.0
    show_interval: int = 1
    blank_skip: float = 1.0
    label_floor: float = -math.inf

    def __post_init__(self) -> None:
        for name in ("width", "depth", "prune_interval", "show_interval"):
            if not 1 <= getattr(self, name) <= MOST:
                raise ArgumentError(f"TreeBeam: {name} must lie in 1..2**20, not {getattr(self, name)}")
        for name in ("frame_seconds", "endpoint_seconds", "longest_seconds"):
            if not getattr(self, name) > 0:
                raise ArgumentError(f"TreeBeam: {name} must be above 0, not {getattr(self, name)}")
        if not -50 <= self.insertion_bonus <= 50:
            raise ArgumentError(f"TreeBeam: insertion_bonus must lie in -50..50, not {self.insertion_bonus}")
        if not 0 <= self.blank_skip <= 1:
            raise ArgumentError(f"TreeBeam: blank_skip must be a probability, 0..1, not {self.blank_skip}")
        if not self.label_floor <= 0:
            raise ArgumentError(f"TreeBeam: label_floor must be a log-probability, at most 0, not {self.label_floor}")
        if self.scorer is not None and self.scorer.alphabet.tokens != self.alphabet.tokens:
            raise ArgumentError(
                f"TreeBeam: the scorer's tokens are {list(self.scorer.alphabet.tokens)}, "
                f"the network's {list(self.alphabet.tokens)}; they must be the same, in the same order"
            )

    def init_state(self) -> BeamState:
        """State at the start of a stream."""
        return BeamState(self._search.start())

    def step(self, scores: Scores, state: BeamState) -> tuple[list[Event], BeamState]:
        """Events of ``scores (frames, classes)``: a `Partial` whenever the text changes, a `Final` for each utterance.

        Scores are logits or log-probabilities; some, but not all, of a frame may be minus infinity.

        Raises:
            DecodeError: the scores have another shape or are not finite, or the language model excludes all strings.
        """
        found, tree = self._search.step(state.tree, self._checked(scores))
        return self._events(found, BeamState(tree, state.text, state.stable))

    def finish(self, state: BeamState) -> list[Event]:
        """The last utterance, if one is open."""
        return self._events(self._search.finish(state.tree), state)[0]

    def nbest(self, state: BeamState, count: int = 10) -> list[Hypothesis]:
        """The best texts of the current utterance, all different, best first, with spaces at their ends."""
        return [Hypothesis(self._text(best.labels), best.score) for best in self._search.best(state.tree, count)]

    def nodes(self, state: BeamState) -> int:
        """Strings in memory: at most ``1 + width * 2 * (depth + prune_interval)``, usually a few times `width`."""
        return self._search.nodes(state.tree)

    def save(self, state: BeamState) -> bytes:
        """The exact state as bytes, for `restore` of an equal decoder. Load it only from a trusted place."""
        text = state.text.encode()
        return struct.pack("<qq", state.stable, len(text)) + text + self._search.save(state.tree)

    def restore(self, saved: bytes) -> BeamState:
        """The state that was saved.

        Raises:
            DecodeError: the bytes are damaged, or come from a decoder with other arguments.
        """
        if len(saved) < 16 or not 0 <= struct.unpack_from("<q", saved, 8)[0] <= len(saved) - 16:
            raise DecodeError("the saved state is damaged")
        stable, size = struct.unpack_from("<qq", saved)
        text = saved[16 : 16 + size].decode(errors="replace")
        return BeamState(self._search.restore(saved[16 + size :]), text, stable)

    @cached_property
    def _search(self) -> Search:
        spaced = not self.alphabet.joiner and SPACE in self.alphabet.tokens
        options = SearchOptions(
            classes=self.alphabet.classes,
            width=self.width,
            depth=self.depth,
            prune_interval=self.prune_interval,
            endpoint=self._frames(self.endpoint_seconds),
            longest=self._frames(self.longest_seconds),
            show_interval=self.show_interval,
            space=self.alphabet.tokens.index(SPACE) + 1 if spaced else -1,
            insertion_bonus=self.insertion_bonus,
            blank_skip=self.blank_skip,
            floor=math.exp(self.label_floor),
        )
        return search(options, self.scorer)

    def _frames(self, seconds: float) -> int:
        frames = seconds / self.frame_seconds
        return ENDLESS if frames > ENDLESS else max(1, math.ceil(frames - 1e-9))

    def _checked(self, scores: Scores) -> Scores:
        scores = np.asarray(scores, np.float64)
        if scores.ndim != 2 or scores.shape[1] != self.alphabet.classes:
            raise DecodeError(f"wanted scores (frames, {self.alphabet.classes}), got {scores.shape}")
        if not len(scores):
            return scores
        # Both are NaN if any score is; rows are checked only if something is infinite.
        finite = np.isfinite(scores.min()) and np.isfinite(scores.max())
        if not finite and not np.isfinite(scores.max(axis=1)).all():
            raise DecodeError("scores are NaN or infinite; the network or its input is broken")
        return scores

    def _events(self, found: list[SearchEvent], state: BeamState) -> tuple[list[Event], BeamState]:
        events: list[Event] = []
        shown = state.text, state.stable
        for news in found:
            if isinstance(news, Ended):
                events += self._final(news)
                shown = "", 0
                continue
            now = self._shown(news)
            if now != shown:
                events.append(Partial(now[0], self._time(news.frame), now[1]))
                shown = now
        return events, BeamState(state.tree, *shown)

    def _shown(self, news: Changed) -> tuple[str, int]:
        """Text without spaces at its ends, and how many characters of it are committed."""
        raw = self._text(news.labels)
        committed = news.committed if self._characters is not None else len(self._text(news.labels[: news.committed]))
        text = raw.strip(SPACE)
        before = len(raw) - len(raw.lstrip(SPACE))
        # A committed space is shown as soon as something follows it, and may be last again in the next text.
        return text, len(text[: max(0, committed - before)].rstrip(SPACE))

    def _final(self, news: Ended) -> list[Event]:
        spans = news.spans
        while spans and self._text([spans[0].label]) == SPACE:
            spans = spans[1:]
        while spans and self._text([spans[-1].label]) == SPACE:
            spans = spans[:-1]
        if not spans:
            return []
        labels = tuple(self._label(span, start, after) for span, start, after in _neighbours(spans))
        score = sum(label.prob for label in labels) / len(labels)
        text = self._text([span.label for span in spans])
        return [Final(text, labels[0].start, labels[-1].end, round(score, 4), labels)]

    def _label(self, span: TokenSpan, start: int, after: int) -> Label:
        end = max(start, min(max(start, span.last) + 1, after))
        return Label(self._text([span.label]), self._time(start), self._time(end), round(span.prob, 4))

    @cached_property
    def _characters(self) -> NDArray[np.uint32] | None:
        """The character of each class if all tokens are single characters; then one array operation makes the text."""
        tokens = self.alphabet.tokens
        if self.alphabet.joiner or any(len(token) > 1 for token in tokens):
            return None
        return np.array([0, *map(ord, tokens)], np.dtype("<u4"))

    def _text(self, labels: Sequence[int] | NDArray[np.int64]) -> str:
        if self._characters is not None:
            return self._characters[np.asarray(labels, np.int64)].tobytes().decode("utf-32-le")
        tokens = self.alphabet.tokens
        return self.alphabet.joiner.join([tokens[label - 1] for label in labels])

    def _time(self, frame: int) -> float:
        return round(frame * self.frame_seconds, 4)


def _neighbours(spans: list[TokenSpan]) -> list[tuple[TokenSpan, int, int]]:
    """Each label with its start and that of the next one, so that starts never run backwards."""
    starts = list(np.maximum.accumulate([span.start for span in spans]).tolist())
    return list(zip(spans, starts, [*starts[1:], ENDLESS], strict=True))
