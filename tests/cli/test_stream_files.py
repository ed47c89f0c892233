"""Files through `stream` and through the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from fewbit.cli.main import main
from fewbit.errors import AudioError, DataError, DecodeError
from fewbit.features import LogMel
from fewbit.program import load
from fewbit.shipped import pretrained
from fewbit.streams import Session, run, stream

RATE = 8000
KEYS = {"file", "text", "audio_seconds", "real_time_factor"}


def noise(seconds=1.0, rate=RATE, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * rate)).astype(np.float32)


@pytest.fixture
def sounds(tmp_path):
    """Two files: 1 s of noise at 8 kHz, and 2 s at 16 kHz in stereo."""
    soundfile.write(tmp_path / "one.wav", noise(), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "two.flac", noise(2.0, 16_000, 1).repeat(2).reshape(-1, 2), 16_000)
    return [str(tmp_path / "one.wav"), str(tmp_path / "two.flac")]


@pytest.fixture
def model(listener, tmp_path):
    return str(listener.save(tmp_path / "net.fewbit"))


def test_a_file_and_its_chunks_give_the_same_text(listener, sounds):
    heard = stream(listener, sounds[0])
    again = stream(listener, np.split(noise(), 5))
    assert len(heard.text) > 5
    assert (heard.text, heard.events, heard.audio_seconds) == (again.text, again.events, again.audio_seconds)


@pytest.mark.parametrize("seconds", [0.001, 0.07, 5.0])
def test_the_size_of_chunks_changes_no_event(seconds, listener, sounds):
    for sound in sounds:
        heard = stream(listener, sound).events
        assert heard
        assert stream(listener, sound, chunk_seconds=seconds).events == heard


@pytest.mark.parametrize("rate", [RATE, 48_000])
@pytest.mark.parametrize("samples", [0, 1])
def test_a_file_without_sound_gives_no_text(samples, rate, quiet, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(samples), rate)
    heard = stream(quiet, path)
    assert (heard.text, heard.events) == ("", ())
    assert heard.audio_seconds < 0.01


@pytest.fixture
def quiet(listener, repack, tmp_path):
    """The listener with a head that says blank unless there is much to hear."""

    def change(meta, tensors):
        tensors["03.bias"][0] = 100_000

    path = tmp_path / "quiet.fewbit"
    path.write_bytes(repack(listener.to_bytes(), change))
    return load(path)


def test_run_gives_the_scores_of_a_whole_file(listener, sounds):
    wanted = listener(LogMel(mels=8, sample_rate=RATE)(noise()))
    assert np.array_equal(run(listener, sounds[0]), wanted)


def test_a_missing_file_is_refused_by_name(listener, tmp_path):
    with pytest.raises(AudioError, match=r"none\.wav: cannot be read: there is no such file"):
        stream(listener, tmp_path / "none.wav")


def test_the_command_line_prints_one_line_of_json_for_each_file(sounds, model, listener, capsys):
    assert main(["stream", *sounds, "--json", "--model", model, "--lm", "none"]) == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [set(line) for line in lines] == [KEYS, KEYS]
    assert [line["file"] for line in lines] == sounds
    assert [line["audio_seconds"] for line in lines] == [1.0, 2.0]
    assert [line["text"] for line in lines] == [stream(listener, sound).text for sound in sounds]
    assert said.err == ""


def test_the_command_line_prints_events_on_request(sounds, model, listener, capsys):
    assert main(["stream", sounds[0], "--json", "--events", "--model", model]) == 0
    *events, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(last) == KEYS
    assert len(events) == len(stream(listener, sounds[0]).events) > 0
    assert {event["event"] for event in events} == {"partial", "final"}
    assert {event["file"] for event in events} == {sounds[0]}


def test_the_model_may_stand_among_the_files(sounds, model, capsys):
    assert main(["stream", model, sounds[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == sounds[0]


def test_a_second_model_is_a_wrong_use(sounds, model, capsys):
    assert main(["stream", model, sounds[0], "--model", "digits"]) == 2
    assert "give one network" in capsys.readouterr().err


def test_without_json_the_final_text_is_for_people(sounds, model, listener, capsys):
    assert main(["stream", sounds[0], "--model", model]) == 0
    out = capsys.readouterr().out.replace("\n", "")
    assert out.startswith(sounds[0])
    assert stream(listener, sounds[0]).events[-1].text in out
    assert "1.0 s of sound, real-time factor" in out


def test_a_missing_file_ends_the_command_with_1(sounds, model, capsys, tmp_path):
    missing = str(tmp_path / "none.wav")
    assert main(["stream", sounds[0], missing, "--json", "--model", model, "--lm", "none"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["file"] for line in said.out.splitlines()] == [sounds[0]]
    assert said.err == f"error: {missing}: cannot be read: there is no such file\n"


def test_what_goes_wrong_with_one_file_does_not_keep_the_others_from_being_heard(sounds, model, capsys, tmp_path):
    empty, folder = tmp_path / "empty.wav", tmp_path / "folder"
    empty.touch()
    folder.mkdir()
    files = [str(empty), sounds[0], str(folder), sounds[1]]
    assert main(["stream", *files, "--json", "--model", model, "--lm", "none"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["file"] for line in said.out.splitlines()] == sounds
    errors = (f"{empty}: cannot be read: the file is empty (0 bytes)", f"{folder}: cannot be read: it is a folder")
    assert said.err == "".join(f"error: {error}\n" for error in errors)


def test_samples_that_are_no_numbers_are_found_in_the_file(listener, tmp_path):
    samples = noise()
    samples[4_100] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"nan\.wav, in the 0\.1 s before 0\.60 s: 1 of 800 samples are NaN"):
        stream(listener, tmp_path / "nan.wav")


def test_a_path_is_no_network(sounds, model):
    with pytest.raises(DecodeError, match=r"net\.fewbit' is no network; fewbit\.load reads one"):
        stream(model, sounds[0])


def test_networks_of_the_package_go_by_their_names(sounds, capsys):
    assert main(["show", "digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "digits"
    assert main(["run", "digits", sounds[0], "--json"]) == 0
    assert main(["show", "nothing"]) == 1
    assert "no network 'nothing' ships with fewbit; there are ['an4', 'commands', 'digits']" in capsys.readouterr().err


def test_a_recogniser_that_spells_misses_its_language_models(sounds, capsys, tmp_path):
    alone = tmp_path / "alone.fewbit"
    alone.write_bytes(pretrained("an4").read_bytes())
    for more, missed in ([], True), (["--lm", "none"], False):
        assert main(["stream", sounds[0], "--json", "--model", str(alone), *more]) == 0
        assert ("copy alone.char.ngram, alone.word.ngram and alone.toml" in capsys.readouterr().err) == missed


@pytest.mark.parametrize("command", ["stream", "spot"])
def test_lists_of_no_words(command, sounds, capsys, tmp_path):
    words = tmp_path / "words.txt"
    assert main([command, sounds[0], "--keywords", str(words)]) == 1
    assert f"error: {words}: there is no such keyword list; wanted a text file" in capsys.readouterr().err
    words.write_text("# none yet\n")
    assert main([command, sounds[0], "--keywords", str(words), "--json"]) == 0
    assert f"note: {words}: the list has no words" in capsys.readouterr().err


def test_events_are_for_machines_only(sounds, model, capsys):
    assert main(["stream", sounds[0], "--model", model, "--events"]) == 2
    assert "--events goes with --json" in capsys.readouterr().err


def test_no_file_at_all_is_a_wrong_use(model, capsys):
    assert main(["stream", "--model", model]) == 2
    assert "give at least one sound file, or --mic" in capsys.readouterr().err


def test_the_command_line_runs_a_file_whole(sounds, model, listener, capsys, tmp_path):
    out = tmp_path / "scores.npy"
    assert main(["run", model, sounds[0], "--json", "--out", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    scores = run(listener, sounds[0])
    assert said == {"file": sounds[0], "shape": list(scores.shape), "best": scores.argmax(axis=1).tolist()}
    assert np.array_equal(np.load(out), scores)


@pytest.mark.parametrize("name", ["a[/x].wav", "[red]a.wav", "back\\[/slash].wav"])
def test_names_of_files_are_shown_as_they_are(name, listener, tmp_path, capsys):
    model = listener.save(tmp_path / "m.fewbit")
    (tmp_path / name).parent.mkdir(exist_ok=True)  # "[/x]", the worst case, is a folder and a file
    soundfile.write(tmp_path / name, np.zeros(800, np.float32), 8000)
    assert main(["stream", str(tmp_path / name), "--model", str(model)]) == 0
    assert name in capsys.readouterr().out.replace("\n", "")
    assert main(["show", str(tmp_path / f"no{name}")]) == 1
    assert f"no{name}" in capsys.readouterr().err.replace("\n", "")


def test_a_missing_folder_is_one_message(listener, tmp_path, capsys):
    model = listener.save(tmp_path / "m.fewbit")
    np.save(tmp_path / "x.npy", np.zeros((5, listener.inputs), np.float32))
    assert main(["run", str(model), str(tmp_path / "x.npy"), "--out", str(tmp_path / "no" / "y.npy")]) == 1
    assert "No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"text", "cannot be read as an array"), (None, "cannot be read as an array")],
)
def test_broken_arrays_are_refused_by_name(content, message, listener, tmp_path):
    file = tmp_path / "x.npy"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        run(listener, file)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("features", {"filters": 3}),
        ("features", {"mels": "a"}),
        ("features", {"mels": 8.5, "rate": 8000}),
        ("alphabet", {"letters": []}),
        ("alphabet", {"tokens": 5}),
    ],
)
def test_a_damaged_description_is_a_clear_refusal(part, value, listener):
    with pytest.raises(DecodeError, match=f"the network's {part}"):
        Session(replace(listener, **{part: value}))


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_finished_session_says_so(rate, listener):
    session = Session(listener, sample_rate=rate)
    session.finish()
    for act in (session.finish, lambda: session.step(np.zeros(10, np.float32))):
        with pytest.raises(DecodeError, match="the session has finished"):
            act()
