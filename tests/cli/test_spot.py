"""`fewbit spot` with the network that ships, on recorded digits."""

import json

import pytest
import soundfile

from fewbit import pretrained
from fewbit.cli import main as cli
from fewbit.decode import KeywordList, KeywordSpotter
from fewbit.streams import Session
from fewbit.text import Alphabet


@pytest.fixture(scope="module")
def sound(digits, tmp_path_factory):
    clips = tuple(clip for clip in digits.test if clip.speaker == "george")[:8]
    samples, text = digits.stream(clips)
    path = tmp_path_factory.mktemp("spot") / "a.flac"
    soundfile.write(path, samples, digits.sample_rate)
    return path, samples, text.split()


def test_the_words_of_a_list_are_heard_and_no_others(sound, tmp_path, capsys):
    path, _, said = sound
    wanted = sorted(set(said))[:3]
    words = tmp_path / "words.txt"
    words.write_text("# digits\n" + "\n".join(wanted))
    assert cli.main(["spot", str(path), "--model", "digits", "--keywords", str(words), "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["word"] for event in events] == [word for word in said if word in wanted]
    assert {event["file"] for event in events} == {str(path)}
    assert all(set(event) == {"file", "event", "word", "start", "end", "time", "score"} for event in events)
    model = str(pretrained("digits"))  # may stand before the sound, too
    assert cli.main(["spot", model, str(path), "--keywords", str(words), "--threshold", "0.4"]) == 0
    shown = capsys.readouterr().out
    assert f"{wanted[0]} (" in shown
    assert "real-time factor" in shown


def test_mistakes_are_one_message(sound, tmp_path, capsys):
    path, _, _ = sound
    words = tmp_path / "words.txt"
    words.write_text("one\neleven\n")
    assert cli.main(["spot", str(path), "--model", "digits", "--keywords", str(words)]) == 1
    assert "words.txt, line 2: keyword 'eleven': the alphabet lacks 'eleven'" in capsys.readouterr().err
    assert cli.main(["spot", str(path), "--keywords", str(tmp_path / "none.txt")]) == 1
    assert "none.txt" in capsys.readouterr().err
    assert cli.main(["spot", str(path)]) == 2
    assert "--keywords" in capsys.readouterr().err
    words.write_text("one\n")
    assert cli.main(["spot", "--keywords", str(words)]) == 2


def test_a_mistake_while_it_runs_leaves_the_list_as_it_was(sound, tmp_path, capsys, monkeypatch):
    path, _, said = sound
    words = tmp_path / "words.txt"
    words.write_text(said[-1])
    read = KeywordList.read

    def read_and_spoil(where, alphabet):
        found = read(where, alphabet)
        words.write_text("mistake, by an editor\n")
        return found

    monkeypatch.setattr(KeywordList, "read", staticmethod(read_and_spoil))
    assert cli.main(["spot", str(path), "--model", "digits", "--keywords", str(words), "--json"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["word"] for line in out.splitlines()] == [word for word in said if word == said[-1]]
    assert err.count("the list stays as it was") == 1


def test_a_word_is_known_before_the_stream_ends(sound, program, digits):
    _, samples, said = sound
    words = KeywordList(Alphabet(**program.alphabet), [said[0]])
    session = Session(program)
    frame_seconds = session.features.hop / session.features.sample_rate * program.stride
    session = Session(program, KeywordSpotter(words, frame_seconds))
    for start in range(0, len(samples), 800):
        events = session.step(samples[start : start + 800])
        if events:
            break
    assert events[0].word == said[0]
    assert events[0].time <= session.seconds < len(samples) / digits.sample_rate
    assert events[0].time - events[0].end < 0.5
