"""Times of words: their file, their place in a joined stream, the end of speech by energy, and the checks of both."""

import json
from itertools import pairwise

import numpy as np
import pytest

from fewbit.data import Clip, Spoken, an4, data_folder
from fewbit.errors import DataError, FileFormatError
from fewbit.text import Timed
from studies.speech.aligner import Aligner
from studies.speech.command_delays import spans
from studies.speech.speech_span import speech_span
from studies.speech.word_delays import WordDelay
from studies.speech.word_ends import accuracy, known_cuts, last_words, trimmed
from studies.speech.word_rows import exactness, write_words
from studies.speech.word_times import WordTimes

RATE = 16_000
FOLDER = data_folder("an4")


def word(text="yes", start=0.3, end=0.7, loudness=0.3, seconds=1.0, floor=1e-4):
    """A tone between two moments in faint noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    tone = loudness * np.sin(3000 * time) * (time >= start) * (time < end)
    noise = floor * np.random.default_rng(0).standard_normal(len(time))
    return Clip((tone + noise).astype(np.float32), text, "ann", "a")


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize(("loudness", "floor"), [(0.3, 1e-4), (0.01, 1e-4), (0.3, 3e-3), (0.3, 0.0)])
def test_speech_is_where_there_is_energy(loudness, floor, share):
    start, end = speech_span(word(loudness=loudness, floor=floor).samples, RATE, share)
    assert abs(start - 0.3) < 0.016
    assert abs(end - 0.7) < 0.016


def test_a_fading_end_lies_later_at_a_smaller_share():
    clip = word(end=0.5)
    fading = clip.samples + word(start=0.5, end=0.6, loudness=0.003, floor=0).samples
    half, quarter = (speech_span(fading, RATE, share)[1] for share in (0.5, 0.25))
    assert abs(half - 0.5) < 0.016
    assert abs(quarter - 0.6) < 0.016


def test_spans_lie_where_the_clips_lie_and_silence_has_none():
    clips = [word("yes"), word("", loudness=0.0), word("no", start=0.1, end=0.5)]
    spoken = [Spoken("yes", 2.0, 3.0), Spoken("", 4.0, 5.0), Spoken("no", 7.0, 8.0)]
    found = spans(clips, spoken, RATE, 0.5)
    assert [place.word for place in found] == ["yes", "no"]
    assert [place.end for place in found] == pytest.approx([2.7, 7.5], abs=0.016)


def test_a_trimmed_word_is_its_sound():
    clip = trimmed(word())
    assert clip.text == "YES"
    assert abs(len(clip.samples) / RATE - 0.4) < 0.02
    whole = trimmed(word(start=0.0, end=1.0))  # nothing to cut: the sound fills its clip
    assert abs(len(whole.samples) / RATE - 1.0) < 0.02


def test_a_check_against_known_cuts_finds_an_aligner_that_is_late():
    clips = [Clip(word(seconds=0.4, start=0, end=0.4).samples, "GO", "ann", str(i)) for i in range(6)]

    def late(samples, text):
        # Each of the equal words ends where it does, and 0.08 s later for this aligner.
        return tuple(Timed(name, 0.25 + 0.4 * i, 0.25 + 0.4 * (i + 1) + 0.08) for i, name in enumerate(text.split()))

    errors = known_cuts(late, clips, (0.0, 0.0), seed=0)
    assert np.allclose(errors, 0.08)
    assert accuracy(errors) == {"words": 500, "median": 0.08, "median_size": 0.08, "p95_size": 0.08}


def test_the_size_of_errors_has_no_sign():
    assert accuracy([-0.1, 0.1, -0.1]) == {"words": 3, "median": -0.1, "median_size": 0.1, "p95_size": 0.1}


def test_last_words_are_compared_with_the_end_of_the_energy():
    (error,) = last_words([word("GO ON")], [(Timed("GO", 0.3, 0.5), Timed("ON", 0.5, 0.75))], 0.5)
    assert error == pytest.approx(0.05, abs=0.016)


def times(tmp_path, text):
    path = tmp_path / "times.json"
    path.write_text(text)
    return WordTimes.read(path)


def test_words_are_placed_in_the_stream(tmp_path):
    kept = {"recordings": {"a": [["GO", 0.1, 0.4], ["ON", 0.5, 0.9]]}, "accuracy": {"x": {}}}
    found = times(tmp_path, json.dumps(kept))
    clip = Clip(np.zeros(RATE, np.float32), "GO ON", "ann", "a")
    said = found.in_stream([clip, clip], [Spoken("GO ON", 1.0, 2.0), Spoken("GO ON", 3.0, 4.0)])
    assert [place.end for place in said] == pytest.approx([1.4, 1.9, 3.4, 3.9])
    assert [place.start for place in said] == pytest.approx([1.1, 1.5, 3.1, 3.5])
    other = Clip(clip.samples, "GO", "ann", "a")
    with pytest.raises(DataError, match="a: the word times are of 'GO ON', but it says 'GO'"):
        found.in_stream([other], [Spoken("GO", 0.0, 1.0)])
    with pytest.raises(DataError, match=r"no word times of b; run `python -m studies\.speech\.word_ends`"):
        found.in_stream([Clip(clip.samples, "GO", "ann", "b")], [Spoken("GO", 0.0, 1.0)])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"recordings": {"a": [["GO", 1]]}, "accuracy": {}}'])
def test_what_has_no_times_is_refused(tmp_path, text):
    with pytest.raises(FileFormatError, match="no file of word times"):
        times(tmp_path, text)


def test_the_file_of_the_study_says_how_exact_it_is():
    kept = WordTimes.read()
    table = exactness(kept)
    assert len(table.rows) == len(kept.accuracy) >= 5
    # The resolution of every delay that is told: worse than this, they would say little.
    assert all(row[3] < 0.1 for row in table.rows)
    for words in kept.words.values():
        assert all(a.end <= b.start + 1e-9 for a, b in pairwise(words))


@pytest.mark.skipif(FOLDER is None, reason="needs AN4 under FEWBIT_DATA")
def test_every_sentence_of_dev_and_test_has_its_times():
    speech, kept = an4(FOLDER), WordTimes.read()
    clips = [*speech.dev, *speech.test]
    assert {clip.name for clip in clips} == set(kept.words)
    for clip in clips:
        assert [place.word for place in kept.words[clip.name]] == clip.text.split()
        assert kept.words[clip.name][-1].end <= len(clip.samples) / RATE + 0.01


def test_the_aligner_places_the_words_of_a_sentence():
    pytest.importorskip("pocketsphinx")
    aligner = Aligner("GO G OW\n")
    with pytest.raises(DataError, match="was not aligned"):
        aligner(np.zeros(800, np.float32), "GO GO GO")


def test_every_word_has_a_line(tmp_path):
    rows = {"usual": [WordDelay("go", 1.0, 1.2, 2.0)], "late": [WordDelay("go", 1.0)]}
    lines = write_words(tmp_path / "words.csv", rows).read_text().splitlines()
    assert lines == ["arm,word,end,shown,committed", "usual,go,1.0,1.2,2.0", "late,go,1.0,,"]
