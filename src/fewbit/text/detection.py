"""Misses against false alarms: the quality of a keyword spotter over all thresholds.

False alarms are counted per keyword-hour: the hours of sound times the number of listed words. A. Martin et al., "The
DET curve in assessment of detection task performance", Eurospeech 1997.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fewbit.errors import ArgumentError


@dataclass(frozen=True)
class Timed:
    """A word and its time span in seconds, as spoken or as detected.

    Raises:
        ArgumentError: it ends before it starts.

    Examples:
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
    """The counts of a spotter at one threshold, over ``keyword_hours``.

    Examples:
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
        """Share of the spoken words that were missed, in [0, 1]; 0 if nothing was spoken."""
        return 1 - self.hits / self.references if self.references else 0.0

    @property
    def false_alarm_rate(self) -> float:
        """False alarms per keyword-hour."""
        return self.false_alarms / self.keyword_hours


def count_hits(said: Iterable[Timed], heard: Iterable[Timed], tolerance: float = 0.0) -> int:
    """The largest number of pairs of a spoken word and a detection of it with its middle inside, within `tolerance`.

    Each word is in at most one pair. The time of a spoken word may be wider than the word, such as its sentence.

    Examples:
        >>> said = [Timed("one", 0.0, 2.0), Timed("one", 0.0, 2.0), Timed("two", 0.0, 2.0)]
        >>> count_hits(said, [Timed("one", 0.5, 0.7), Timed("two", 2.5, 3.0)])
        1
    """
    left = sorted(said, key=lambda word: (word.end, word.start))
    hits = 0
    # In order of time, each detection takes the matching word that ends first, which leaves most to the others.
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
    """Count hits and false alarms of the detections `heard`; every detection without a match is a false alarm.

    Raises:
        ArgumentError: `keyword_hours` is not above 0.

    Examples:
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
    """The points worth choosing, by increasing false alarms: each misses less than all points before it.

    Examples:
        >>> counts = {0.9: (5, 0), 0.7: (4, 1), 0.5: (9, 2)}  # hits and false alarms at each threshold
        >>> points = [Detection(t, 10, hits, alarms, 1.0) for t, (hits, alarms) in counts.items()]
        >>> print([point.threshold for point in det_curve(points)])
        [0.9, 0.5]
    """
    best: list[Detection] = []
    for point in sorted(points, key=lambda point: (point.false_alarm_rate, point.miss_rate)):
        if not best or point.miss_rate < best[-1].miss_rate:
            best.append(point)
    return best


def miss_rate_at(points: Iterable[Detection], false_alarm_rate: float) -> float:
    """Lowest miss rate with at most `false_alarm_rate` false alarms per keyword-hour; 1 if no point qualifies.

    A spotter that never reports anything misses all words without false alarms, so 1 is always possible.

    Examples:
        >>> points = [Detection(0.9, 10, 5, 0, 1.0), Detection(0.5, 10, 8, 2, 1.0)]
        >>> miss_rate_at(points, 1.0), round(miss_rate_at(points, 2.0), 2)
        (0.5, 0.2)
    """
    return min([p.miss_rate for p in points if p.false_alarm_rate <= false_alarm_rate], default=1.0)
