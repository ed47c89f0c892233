"""How well the words of a network are spotted: one stream of clips at many thresholds, and clips one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.data import Clip, join
from fewbit.decode import Keyword, KeywordList, KeywordSpotter
from fewbit.decode.decoder import softmax
from fewbit.decode.keyword_paths import Nodes, Paths, follow
from fewbit.program.numerics import Q10
from fewbit.streams import Network, alphabet_of, frame_seconds, front_end
from fewbit.streams.session import TAIL_SECONDS
from fewbit.text import Alphabet, Detection, Timed, score_detections

THRESHOLDS = tuple(np.exp(-np.geomspace(0.0002, 9, 40)).round(6).tolist())
GAP = 0.3, 0.8  # seconds between two clips
TOLERANCE = 0.25  # seconds, less than the shortest gap
CHUNK_SECONDS = 0.1


@dataclass(frozen=True, eq=False)
class HeardStream:
    """Scores ``(frames, classes)`` of one long stream, and the words that are said in it."""

    scores: NDArray[np.float64]
    alphabet: Alphabet
    frame_seconds: float
    said: tuple[Timed, ...]

    @property
    def seconds(self) -> float:
        """Length of the stream."""
        return len(self.scores) * self.frame_seconds


def shuffled(clips: Sequence[Clip]) -> list[Clip]:
    """The clips in a random order, always the same."""
    return [clips[i] for i in np.random.default_rng(0).permutation(len(clips))]


def hear(
    network: Network, clips: Sequence[Clip], words_of: Callable[[str], Sequence[str]], seed: int = 0
) -> HeardStream:
    """The clips in their order as one stream without reset, heard in chunks of 0.1 seconds.

    Args:
        network: with features and an alphabet; `clips` have the sample rate of its features.
        clips: what is said, one after the other.
        words_of: the words of a clip's text that count; each is somewhere in the clip.
        seed: of the pauses between the clips.
    """
    features = front_end(network)
    samples, spoken = join(clips, features.sample_rate, np.random.default_rng(seed), GAP)
    waiting, state, scores = features.init_state(), network.init_state(), []
    for chunk in np.array_split(samples, len(samples) // int(features.sample_rate * CHUNK_SECONDS)):
        frames, waiting = features.step(chunk, waiting)
        new, state = network.step(frames, state)
        scores.append(new / Q10)
    said = tuple(Timed(word, s.start, s.end) for s in spoken for word in words_of(s.text))
    return HeardStream(np.concatenate(scores), alphabet_of(network), frame_seconds(network), said)


def spot(stream: HeardStream, words: Sequence[str], *, frames: int = 500, **options: Any) -> list[Keyword]:
    """The words that a `KeywordSpotter` with `options` hears in a stream, so many frames at a time."""
    spotter = KeywordSpotter(KeywordList(stream.alphabet, words), stream.frame_seconds, **options)
    state, found = spotter.init_state(), []
    for i in range(0, len(stream.scores), frames):
        new, state = spotter.step(stream.scores[i : i + frames], state)
        found += new
    found += spotter.finish(state)
    return [event for event in found if isinstance(event, Keyword)]


def sweep(
    stream: HeardStream, words: Sequence[str], thresholds: Sequence[float] = THRESHOLDS, **options: Any
) -> list[Detection]:
    """Misses and false alarms of `spot` at each threshold; a word is right if its middle lies where it was said."""
    hours = len(words) * stream.seconds / 3600
    written = {word.casefold(): word for word in words}  # the alphabet may have letters of the other case
    spotter = KeywordSpotter(KeywordList(stream.alphabet, words), stream.frame_seconds, **options)
    state = spotter.init_state()
    # How probable the words are does not depend on the threshold, and takes nearly all of the time: once for all.
    heard, paths = follow(state.nodes, state.paths, softmax(stream.scores))
    points = []
    for threshold in thresholds:
        strict = replace(spotter, threshold=threshold)
        events, watches = strict.watch(state, heard, 0)
        events += strict.finish(replace(state, paths=paths, watches=watches))
        found = [
            Timed(written[event.word.casefold()], event.start, event.end)
            for event in events
            if isinstance(event, Keyword)
        ]
        points.append(score_detections(threshold, stream.said, found, hours, TOLERANCE))
    return points


def threshold_for(points: Sequence[Detection], false_alarm_rate: float) -> float:
    """The threshold that misses least with at most so many false alarms for each keyword-hour; of equals the highest.

    The highest of all where every one has more.
    """
    allowed = [p for p in points if p.false_alarm_rate <= false_alarm_rate]
    if not allowed:
        return max(p.threshold for p in points)
    return min(allowed, key=lambda p: (p.miss_rate, -p.threshold)).threshold


def best_scores(network: Network, clips: Sequence[Clip], silence_seconds: float = 0.4) -> NDArray[np.float64]:
    """The best score of each token of a whole-word alphabet in each clip, heard alone: ``(clips, tokens)``.

    The score is that of `KeywordSpotter`; silence of 0.5 seconds comes after the clip, as in a `Session`.
    """
    features, step = front_end(network), frame_seconds(network)
    nodes = Nodes.build([(i + 1,) for i in range(len(alphabet_of(network).tokens))], None)
    quiet = np.zeros(int(TAIL_SECONDS * features.sample_rate), np.float32)
    found = []
    for clip in clips:
        frames = features(np.concatenate([clip.samples, quiet]))
        scores, _ = network.step(frames, network.init_state())
        heard, _ = follow(nodes, Paths.start(nodes, round(silence_seconds / step)), softmax(scores / Q10))
        found.append(heard.probability.max(axis=0))
    return np.stack(found)


def name_of(scores: NDArray[np.float64], tokens: Sequence[str], least: float) -> list[str]:
    """The token with the best score of each clip, or nothing where no token has as much as `least`."""
    best = scores.argmax(axis=1)
    return [tokens[i] if row[i] >= least else "" for i, row in zip(best, scores, strict=True)]


def least_score(scores: NDArray[np.float64], tokens: Sequence[str], texts: Sequence[str]) -> float:
    """The `least` of `name_of` that names most clips rightly."""
    grid = np.linspace(0.02, 0.98, 49).round(2).tolist()
    right = [sum(a == b for a, b in zip(name_of(scores, tokens, least), texts, strict=True)) for least in grid]
    return float(grid[int(np.argmax(right))])
