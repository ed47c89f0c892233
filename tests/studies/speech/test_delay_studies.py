"""The three studies of delays on made-up words: what they tell, and that their controls stand beside it."""

import numpy as np
import pytest

from fewbit.data import Clip, SpeechCommands
from fewbit.data.commands_speech import ALPHABET as COMMANDS
from fewbit.decode import TreeBeam
from studies.evidence import section
from studies.evidence.topics import topic_of
from studies.speech import command_delays, english_delays, keyword_spotting
from studies.speech.delayed_scores import DelayedScores
from studies.speech.word_delays import WordDelay, delay_quantiles
from studies.speech.word_times import WordTimes
from tests.studies.speech.scripted import ALPHABET, FRAME, HOP, RATE, Scripted, say, silence

TIMES = WordTimes({}, {"toy": {"words": 3, "median": 0.01, "median_size": 0.02, "p95_size": 0.05}})


def delayed(*waits, word="go"):
    return [WordDelay(word, float(i), i + wait, i + wait + 1) for i, wait in enumerate(waits)]


def setting(depth, later, waits):
    counts = {"said": 4, "shown": 3, "revoked": 1, "wer": 25.0}
    return {"depth": depth, "prune_interval": 20, "later": later, **delay_quantiles(delayed(*waits)), **counts}


def test_the_delays_of_english_stand_beside_their_control():
    rows = [setting(10, 0.0, (0.1, 0.2, 0.3)), setting(10, 1.0, (1.1, 1.2, 1.3)), setting(2, 0.0, (0.1, 0.1, 0.1))]
    words = {english_delays.AS_SET: [*delayed(-0.1, 0.1), *delayed(0.3, word="a"), WordDelay("on", 4.0)]}
    study = english_delays.study(rows, words, TIMES, "english-delays")
    assert "shown 0.2 s after its end as aligned by pocketsphinx (95 %: 0.29 s)" in study.findings[0]
    assert "says 1.2 s and 2.2 s, 1.0 s and 1.0 s more" in study.findings[1]
    settings, control, kinds, exact = study.tables
    assert [row[:3] for row in settings.rows] == [(2, 20, 0.1), (10, 20, 0.2)]  # the control is no setting
    assert [row[:2] for row in control.rows] == [(0.0, 0.2), (1.0, 1.2)]
    assert kinds.rows == (
        ("spelled letters", 1, 1, 0.3, 0.3, 0),
        ("longer words", 3, 2, 0.0, 0.09, 1),
        ("all", 4, 3, 0.1, 0.28, 1),
    )
    assert exact.rows == (("toy", 3, 0.01, 0.02, 0.05),)
    assert "english-delays.csv" in section(study)


def test_a_setting_of_english_is_measured_against_the_words_that_were_said():
    script, said = say("go stop seven")
    decoder = TreeBeam(ALPHABET, FRAME, depth=4, prune_interval=20, endpoint_seconds=0.5)
    words, row = english_delays.measure(script, decoder, silence(script), said)
    late, control = english_delays.measure(DelayedScores(script, 1.0), decoder, silence(script), said)
    assert [word.word for word in words] == ["go", "stop", "seven"]
    assert (row["wer"], row["matched"], control["matched"]) == (0.0, 3, 3)
    assert control["to_show_p50"] - row["to_show_p50"] == pytest.approx(1.0)
    assert all(b.shown - a.shown == pytest.approx(1.0) for a, b in zip(words, late, strict=True))
    # Against ends half a second earlier the same words are shown half a second later.
    early = [type(word)(word.word, word.start - 0.5, word.end - 0.5) for word in said]
    _, other = english_delays.measure(script, decoder, silence(script), early)
    assert other["to_show_p50"] - row["to_show_p50"] == pytest.approx(0.5, abs=0.011)


def test_the_delays_of_keywords_stand_beside_their_control():
    found = {str(later): delay_quantiles(delayed(*(later + wait for wait in (0.2, 0.4)))) for later in (0.0, 1.0)}
    result = {
        "miss_percent_at_alarms_for_each_keyword_hour": {"1": [3.0], "12": [2.0]},
        "threshold_at": {"1": [0.4], "12": [0.2]},
        "at_threshold_0.5": {"alarms": [1.0], "miss_percent": [5.0]},
        "delay_at_threshold_0.5": found,
        "cost": {"percent_of_a_core": {"100": 0.5}},
        "words": ["go"],
        "said": 2,
        "seconds": 10.0,
        "split": "test",
        "scores": "toy",
    }
    study = keyword_spotting.study(result, TIMES)
    assert "told 0.3 s after its end as aligned by pocketsphinx (95 %: 0.39 s)" in study.findings[1]
    assert "says 1.3 s (95 %: 1.39 s)" in study.findings[1]
    assert study.tables[1].rows == ((0.0, 2, 0.3, 0.39), (1.0, 2, 1.3, 1.39))
    assert "keywords.csv" in section(study)


def test_keywords_are_measured_in_all_joinings_against_the_aligned_words():
    script, said = say("seven go yes")
    clip = Clip(silence(script), "SEVEN GO YES", "ann", "a")
    times = WordTimes({"a": tuple(type(w)(w.word.upper(), w.start, w.end) for w in said)}, {})
    # The script starts with the stream and not behind the first pause, so its words are told early, some too early.
    rows = keyword_spotting.delays(script, (clip,), times, 0.5, 0.0)
    late = keyword_spotting.delays(script, (clip,), times, 0.5, 1.0)
    assert [row.word for row in rows] == ["seven", "yes"] * len(keyword_spotting.JOININGS)  # go is not in the list
    both = [(a.shown, b.shown) for a, b in zip(rows, late, strict=True) if a.shown and b.shown]
    assert len(both) >= len(keyword_spotting.JOININGS)
    assert [b - a for a, b in both] == pytest.approx([1.0] * len(both))


def command(text, end):
    time = np.arange(RATE) / RATE
    tone = 0.3 * np.sin(3000 * time) * (time >= 0.2) * (time < end)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(RATE)
    return Clip((tone + noise).astype(np.float32), text, "ann", text)


def test_command_words_are_measured_against_the_energy_of_their_clips():
    clips = (command("go", 0.6), command("yes", 0.8))
    data = SpeechCommands(train=(), dev=(), test=clips)
    order = command_delays.shuffled(clips)
    samples, spoken = command_delays.join(order, RATE, np.random.default_rng(0), command_delays.GAP)
    path = np.zeros(len(samples) // HOP, int)
    for clip, place in zip(order, spoken, strict=True):
        middle = round((place.start + 0.5) / FRAME)
        path[middle : middle + 5] = COMMANDS.encode(clip.text)[0]
    network = Scripted(12.0 * np.eye(COMMANDS.classes)[path], tokens=COMMANDS)
    found = command_delays.delays(network, data, 0.5)
    usual, control = found[command_delays.AS_SET], found[command_delays.CONTROL]
    sounding = {"go": 0.6, "yes": 0.8}
    ends = {clip.text: place.start + sounding[clip.text] for clip, place in zip(order, spoken, strict=True)}
    assert {row.word: row.end for row in usual} == pytest.approx(ends, abs=0.016)
    assert [b.shown - a.shown for a, b in zip(usual, control, strict=True)] == pytest.approx([1.0, 1.0])
    study = command_delays.study(found, 0.5)
    assert [row[0] for row in study.tables[0].rows] == list(command_delays.ARMS)
    assert topic_of(study).page == "keyword-spotting"
    assert "command-delays.csv" in section(study)
