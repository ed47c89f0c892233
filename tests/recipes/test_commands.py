"""Speech Commands, the spotter of command words in the package, and the command that makes it."""

import json

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.cli.main import main
from fewbit.data import Clip, JoinedCommands, SpeechCommands, data_folder, joined_batches, speech_commands
from fewbit.data.clips import sounding
from fewbit.data.commands_speech import ALPHABET, RATE, UNKNOWN, WORDS
from fewbit.decode import Keyword, KeywordList, KeywordSpotter
from fewbit.errors import ArgumentError, DataError
from fewbit.program import load
from fewbit.shipped import pretrained
from fewbit.streams import Session, frame_seconds
from fewbit.text import Detection, Timed, score_detections
from recipes.commands import FEATURES, CommandsRecipe, commands
from recipes.spotted_words import (
    TOLERANCE,
    HeardStream,
    best_scores,
    least_score,
    name_of,
    spot,
    sweep,
    threshold_for,
)

FOLDER = data_folder("speech_commands")
needs_data = pytest.mark.skipif(FOLDER is None, reason="needs Speech Commands under FEWBIT_DATA")
TINY = CommandsRecipe(hidden=16, layers=1, epochs=1, retrain_epochs=1, examples=16, batch_size=4, seconds=3.0)


def tone(text, speaker, name):
    """A second of near silence with a tone in it, whose pitch is that of the word."""
    rng = np.random.default_rng(len(name))
    time = np.arange(RATE) / RATE
    pitch = 300 + 150 * ALPHABET.encode(text)[0] if text else 0
    loud = 0.3 * ((time > 0.3) & (time < 0.7)) * bool(text)
    samples = loud * np.sin(2 * np.pi * pitch * time) + 0.001 * rng.standard_normal(RATE)
    return Clip(samples.astype(np.float32), text, speaker, name)


def clips(count):
    texts = [*WORDS, UNKNOWN, ""]
    return tuple(tone(texts[i % 12], f"s{i}", f"{texts[i % 12]}{i}") for i in range(count))


@pytest.fixture(scope="module")
def toy():
    return SpeechCommands(train=clips(24), dev=clips(12), test=clips(12))


@pytest.fixture(scope="module")
def examples(toy):
    return JoinedCommands(toy, FEATURES, 16, 3.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The toy clips as a folder with a manifest."""
    where = tmp_path_factory.mktemp("speech_commands")
    names = {UNKNOWN: "_unknown_", "": "_silence_"}
    lines = ["path\tsplit\tspeaker\tseconds\tword"]
    for i, clip in enumerate(clips(60)):
        soundfile.write(where / f"{i}.flac", clip.samples, RATE)
        split = "test" if i >= 48 else "train"
        lines.append(f"{i}.flac\t{split}\t{clip.speaker}\t1.0\t{names.get(clip.text, clip.text)}")
    (where / "manifest.tsv").write_text("\n".join(lines))
    return where


def test_dev_is_a_part_of_the_training_with_speakers_of_its_own(folder):
    data = speech_commands(folder, dev_every=3)
    assert len(data.train) + len(data.dev) == 48
    assert len(data.test) == 12
    parts = [{(clip.text in WORDS, clip.text == "", clip.speaker) for clip in part} for part in (data.train, data.dev)]
    assert not parts[0] & parts[1]
    assert {UNKNOWN, ""} < {clip.text for clip in data.dev}


def test_mistakes_in_the_folder_are_named(folder, tmp_path):
    with pytest.raises(DataError, match=r"no manifest\.tsv; wanted the Speech Commands"):
        speech_commands(tmp_path)
    with pytest.raises(ArgumentError, match="dev_every must be 2 or more, not 1"):
        speech_commands(folder, dev_every=1)
    soundfile.write(tmp_path / "a.flac", np.zeros(160, np.float32), RATE)
    (tmp_path / "manifest.tsv").write_text("path\tsplit\tspeaker\tseconds\tword\na.flac\ttrain\ts\t0.01\tmaybe")
    with pytest.raises(DataError, match=r"a\.flac: word 'maybe', wanted one of \['_unknown_', '_silence_', 'down'"):
        speech_commands(tmp_path)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**62 - 1))
def test_an_example_is_that_of_its_seed_and_says_where_its_words_are(examples, seed):
    frames, labels, alignment = examples[seed]
    assert torch.equal(frames, examples[seed][0])
    assert frames.shape == (300, FEATURES.mels)
    assert torch.isfinite(frames).all()
    assert all(1 <= label < ALPHABET.classes for label in labels)
    # Each word leaves a run of its class; of two that touch, runs may melt into one.
    runs = torch.unique_consecutive(alignment)
    assert set(runs[runs > 0].tolist()) == set(labels)


def test_a_word_is_where_it_sounds():
    frames = FEATURES(tone("go", "a", "b").samples)
    start, end = sounding(frames)
    assert abs(start - 30) <= 3
    assert abs(end - 70) <= 3


def test_batches_of_one_seed_are_equal(examples):
    one, other = (joined_batches(examples, 8, 4, seed=3) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.inputs, b.inputs)
        assert torch.equal(a.targets, b.targets)
    assert not torch.equal(next(iter(one)).inputs, next(iter(joined_batches(examples, 8, 4, seed=4))).inputs)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_sweep_is_a_spotter_at_each_threshold(seed):
    rng = np.random.default_rng(seed)
    scores = 3 * rng.standard_normal((300, ALPHABET.classes))
    said = tuple(Timed(WORDS[int(rng.integers(10))], t, t + 0.5) for t in range(11))
    stream = HeardStream(scores, ALPHABET, 0.04, said)
    thresholds = (0.99, 0.7, 0.2, 0.01)
    for threshold, point in zip(thresholds, sweep(stream, WORDS, thresholds), strict=True):
        heard = [Timed(event.word, event.start, event.end) for event in spot(stream, WORDS, threshold=threshold)]
        assert point == score_detections(threshold, said, heard, 10 * 12 / 3600, TOLERANCE)


def test_the_threshold_is_the_best_that_is_allowed():
    points = [Detection(0.9, 10, 5, 0, 1.0), Detection(0.5, 10, 8, 3, 1.0), Detection(0.4, 10, 8, 3, 1.0)]
    assert threshold_for(points, 1) == 0.9
    assert threshold_for(points, 3) == 0.5
    assert threshold_for(points[1:], 1) == 0.5


def test_the_least_score_separates_silence():
    scores = np.array([[0.9, 0.1], [0.2, 0.6], [0.3, 0.1]])
    least = least_score(scores, ("a", "b"), ["a", "b", ""])
    assert 0.3 < least <= 0.6
    assert name_of(scores, ("a", "b"), least) == ["a", "b", ""]


def test_the_command_trains_from_scratch(folder, tmp_path):
    figures = commands(folder, tmp_path / "out", recipe=TINY, checkpoint=tmp_path / "check")
    assert set(figures) == {"float", "ternary"}
    assert all(0 <= found.accuracy <= 1 and set(found.misses) == {1, 12} for found in figures.values())
    network = load(tmp_path / "out" / "commands.fewbit")
    assert network.recipe["commands"]["hidden"] == 16
    assert network.alphabet == ALPHABET.to_dict()
    assert "CC BY 4.0" in (tmp_path / "out" / "commands.md").read_text()
    assert "Attribution 4.0" in (tmp_path / "out" / "commands.LICENSE").read_text()
    again = commands(folder, tmp_path / "again", recipe=TINY, checkpoint=tmp_path / "check")
    assert again == figures
    assert (tmp_path / "again/commands.fewbit").read_bytes() == (tmp_path / "out/commands.fewbit").read_bytes()


def test_it_is_small_and_knows_its_words():
    packed = pretrained("commands")
    assert packed.stat().st_size <= 300_000
    network = load(packed)
    assert network.alphabet == ALPHABET.to_dict()
    assert network.features == FEATURES.to_dict()


@pytest.fixture
def sound(tmp_path):
    """Three seconds of noise and tones."""
    rng = np.random.default_rng(0)
    parts = [clip.samples for clip in clips(3)]
    samples = np.concatenate(parts) + 0.05 * rng.standard_normal(3 * RATE).astype(np.float32)
    path = tmp_path / "sound.flac"
    soundfile.write(path, samples, RATE)
    return str(path)


def heard(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_without_a_list_all_of_its_words_are_listened_for(sound, tmp_path, capsys):
    assert main(["spot", sound, "--model", "commands", "--threshold", "0.05", "--json"]) == 0
    found = heard(capsys)
    assert {event["word"] for event in found} <= set(WORDS)
    words = tmp_path / "words.txt"
    words.write_text("\n".join(WORDS))
    arguments = ["spot", sound, "--model", "commands", "--keywords", str(words), "--threshold", "0.05", "--json"]
    assert main(arguments) == 0
    assert heard(capsys) == found


def test_other_words_are_refused(sound, tmp_path, capsys):
    words = tmp_path / "words.txt"
    words.write_text("go\nhello\n")
    assert main(["spot", sound, "--model", "commands", "--keywords", str(words)]) == 1
    assert "the alphabet lacks 'hello'" in capsys.readouterr().err


def test_stream_writes_only_its_words(sound, capsys):
    assert main(["stream", sound, "--model", "commands", "--json"]) == 0
    (line,) = heard(capsys)
    assert set(line["text"].split()) <= set(ALPHABET.tokens)


@pytest.fixture(scope="module")
def recorded():
    return speech_commands(FOLDER)


@needs_data
def test_no_speaker_is_in_two_parts(recorded):
    assert len(recorded.train) + len(recorded.dev) == 3053
    assert len(recorded.test) == 884
    for kind in (WORDS, (UNKNOWN,), ("",)):
        parts = [{c.speaker for c in part if c.text in kind} for part in (recorded.train, recorded.dev, recorded.test)]
        assert len(set.union(*parts)) == sum(map(len, parts))
        assert all(parts)


@needs_data
def test_it_understands_people_it_has_never_heard(recorded):
    some = recorded.test[::15]
    scores = best_scores(load(pretrained("commands")), some)
    said = [clip.text for clip in some]
    named = name_of(scores, ALPHABET.tokens, 0.3)
    assert np.mean([a == b for a, b in zip(named, said, strict=True)]) > 0.7


@needs_data
def test_several_words_are_heard_at_once_and_come_and_go_in_mid_stream(recorded):
    network = load(pretrained("commands"))
    spoken = [clip for clip in recorded.test if clip.text in ("yes", "stop", "left")][::9]
    words = KeywordList(ALPHABET, ["yes", "stop"])
    session = Session(network, KeywordSpotter(words, frame_seconds(network), threshold=0.5))
    half, found = len(spoken) // 2, []
    for i, clip in enumerate(spoken):
        if i == half:
            words.remove("stop")
            words.add("left", threshold=0.4)
        quiet = np.zeros(RATE // 2, np.float32)
        for chunk in np.array_split(np.concatenate([clip.samples, quiet]), 15):
            found += [(i, event) for event in session.step(chunk)]
    found += [(len(spoken), event) for event in session.finish()]
    assert all(isinstance(event, Keyword) for _, event in found)
    assert {event.word for i, event in found if i < half} <= {"yes", "stop"}
    assert {event.word for i, event in found if i > half} <= {"yes", "left"}
    right = sum(i < len(spoken) and event.word == spoken[i].text for i, event in found)
    listened = [c for i, c in enumerate(spoken) if c.text in (("yes", "stop") if i < half else ("yes", "left"))]
    assert right > 0.6 * len(listened)
