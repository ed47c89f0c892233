"""Misses against false alarms: how good a spotter of words is, whatever its threshold.

False alarms are counted for each keyword-hour, the sound's hours times the words listened for. A. Martin et al., "The
DET curve in assessment of detection task performance", Eurospeech 1997.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fewbit.errors import ArgumentError


@dataclass(frozen=True)
class Timed:
    """A word and where it lies, in seconds: where it was said, or where it was heard.

    Raises:
        ArgumentError: it ends before it starts.

    Example:
        >>> Timed("stop", start=1.2, end=1.6).word
        'stop'
    """

    word: str
    start: float
    end: float

    def __post_init__(self) -> None:
        if not self.start <= self.end:
            raise ArgumentError(f"{self.word!r} starts at {self.start} but ends at {self.end}")


@dataclass(frozen=True)
class Detection:
    """What a spotter found at one threshold, in ``keyword_hours`` of listening.

    Example:
        >>> point = Detection(threshold=0.5, references=10, hits=9, false_alarms=3, keyword_hours=2.0)
        >>> round(point.miss_rate, 2), point.false_alarm_rate
        (0.1, 1.5)
    """

    threshold: float
    references: int
    hits: int
    false_alarms: int
    keyword_hours: float

    @property
    def miss_rate(self) -> float:
        """Misses by words said, in [0, 1]; 0 where nothing was said."""
        return 1 - self.hits / self.references if self.references else 0.0

    @property
    def false_alarm_rate(self) -> float:
        """False alarms for each keyword-hour."""
        return self.false_alarms / self.keyword_hours


def count_hits(said: Iterable[Timed], heard: Iterable[Timed], tolerance: float = 0.0) -> int:
    """The most pairs of a word said and the same word heard with its middle inside, or within `tolerance` seconds.

    Each is in one pair at most. The time of a word said may be a wider one in which it lies, such as its sentence.

    Example:
        >>> said = [Timed("one", 0.0, 2.0), Timed("one", 0.0, 2.0), Timed("two", 0.0, 2.0)]
        >>> count_hits(said, [Timed("one", 0.5, 0.7), Timed("two", 2.5, 3.0)])
        1
    """
    left = sorted(said, key=lambda word: (word.end, word.start))
    hits = 0
    # In order of time, each takes what ends first of all that it may have: no other choice leaves more to the rest.
    for word in sorted(heard, key=lambda word: word.start + word.end):
        middle = (word.start + word.end) / 2
        for i, reference in enumerate(left):
            inside = reference.start - tolerance <= middle <= reference.end + tolerance
            if inside and reference.word == word.word:
                del left[i]
                hits += 1
                break
    return hits


def score_detections(
    threshold: float, said: Sequence[Timed], heard: Sequence[Timed], keyword_hours: float, tolerance: float = 0.0
) -> Detection:
    """Hits and false alarms of what was `heard` at a threshold; every event that hits nothing is a false alarm.

    Raises:
        ArgumentError: `keyword_hours` is not above 0.

    Example:
        >>> said, heard = [Timed("one", 0.0, 1.0)], [Timed("one", 0.2, 0.6), Timed("one", 3.0, 3.4)]
        >>> point = score_detections(0.5, said, heard, keyword_hours=0.1)
        >>> point.hits, point.false_alarms
        (1, 1)
    """
    if not keyword_hours > 0:
        raise ArgumentError(f"keyword_hours must lie above 0, not {keyword_hours}")
    hits = count_hits(said, heard, tolerance)
    return Detection(threshold, len(said), hits, len(heard) - hits, keyword_hours)


def det_curve(points: Iterable[Detection]) -> list[Detection]:
    """The points that are worth choosing, from few false alarms to many: each misses less than all before it.

    Example:
        >>> counts = {0.9: (5, 0), 0.7: (4, 1), 0.5: (9, 2)}  # hits and false alarms at each threshold
        >>> points = [Detection(t, 10, hits, alarms, 1.0) for t, (hits, alarms) in counts.items()]
        >>> [point.threshold for point in det_curve(points)]
        [0.9, 0.5]
    """
    best: list[Detection] = []
    for point in sorted(points, key=lambda point: (point.false_alarm_rate, point.miss_rate)):
        if not best or point.miss_rate < best[-1].miss_rate:
            best.append(point)
    return best


def miss_rate_at(points: Iterable[Detection], false_alarm_rate: float) -> float:
    """Lowest miss rate with at most so many false alarms for each keyword-hour; 1 if no point has so few.

    A spotter that never says anything misses all and alarms never, so 1 is always to be had.

    Example:
        >>> points = [Detection(0.9, 10, 5, 0, 1.0), Detection(0.5, 10, 8, 2, 1.0)]
        >>> miss_rate_at(points, 1.0), round(miss_rate_at(points, 2.0), 2)
        (0.5, 0.2)
    """
    return min([p.miss_rate for p in points if p.false_alarm_rate <= false_alarm_rate], default=1.0)
