"""The delays of single words as a file, from which the figures of a table of delays can be counted again."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from fewbit.analysis.report import Table
from fewbit.atomic_file import write_atomically
from studies.speech.word_delays import WordDelay
from studies.speech.word_times import WordTimes

COLUMNS = ("arm", "word", "end", "shown", "committed")


def write_words(path: Path, arms: Mapping[str, Sequence[WordDelay]]) -> Path:
    """One line for each said word of each arm, times in seconds of the stream; empty where it was never shown."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for arm, rows in arms.items():
        for row in rows:
            shown, committed = ("" if at is None else round(at, 3) for at in (row.shown, row.committed))
            lines.writerow((arm, row.word, round(row.end, 3), shown, committed))
    return write_atomically(path, text.getvalue())


def exactness(times: WordTimes) -> Table:
    """How far aligned ends lie from those of joined clips with known cuts, and from the end of speech by energy."""
    columns = ("sound", "words", "median (s)", "median size (s)", "95 % of sizes (s)")
    keys = ("words", "median", "median_size", "p95_size")
    rows = tuple((name, *(of[key] for key in keys)) for name, of in times.accuracy.items())
    return Table(
        "How exact aligned ends are: minus known cuts of joined clips, and minus the end of speech by energy",
        columns,
        rows,
    )
