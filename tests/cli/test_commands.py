"""The command line end to end on small settings: train, compress, pack, show, run, stream, demo."""

import json
from dataclasses import replace

import pytest
import soundfile

from fewbit.cli import main as cli
from fewbit.demo import demo
from fewbit.passes import Recipe, read_recipe
from fewbit.program import load

ROW = {
    "name",
    "weight_bytes",
    "file_bytes",
    "error_rate",
    "error_rate_unseen",
    "agreement",
    "real_time_factor",
}


SMALL = """
from fewbit.demo import DigitsRecipe
from fewbit.demo.digits import digits_task

task = digits_task(DigitsRecipe(hidden=16, layers=1, epochs=1, retrain_epochs=1, utterances=32))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder in which commands run, with a small task."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.py").write_text(SMALL)
    return tmp_path


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo(folder, seed=5, recipe=small)


def test_demo_has_the_public_shape_and_leaves_its_files(finished):
    folder, result = finished
    shape = json.loads(json.dumps(result.to_dict()))
    assert set(shape) == {"rows", "seconds", "seed"}
    assert [row["name"] for row in shape["rows"]] == ["float", "direct", "retrained"]
    assert all(set(row) == ROW for row in shape["rows"])
    assert shape["seed"] == 5
    assert (folder / "digits.fewbit").stat().st_size == shape["rows"][2]["file_bytes"]
    assert (folder / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert shape["rows"][0]["agreement"] == 1.0
    assert 0 < shape["rows"][2]["real_time_factor"] < 1


def test_train_compress_pack_show_run_stream(folder, capsys, digits):
    def say(*words):
        assert cli.main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    assert "f.safetensors: word error rate (%): held out" in say("train", "small.py", "--out", "f.safetensors")
    chosen = "--weights", "head=int8, *=ternary"
    assert ", test " in say("compress", "small.py", "f.safetensors", *chosen, "--out", "q.safetensors")
    say("pack", "small.py", "q.safetensors", "--out", "d.fewbit")
    shown = json.loads(say("show", "d.fewbit", "--json"))
    assert [op["op"] for op in shown["ops"]] == ["Quantize", "Conv", "SRU", "Dense"]
    assert shown["file_bytes"] == shown["header_bytes"] + shown["payload_bytes"] == (folder / "d.fewbit").stat().st_size
    assert shown["ops"][1]["macs"] == 16 * 320 / 4
    assert [op["format"] for op in shown["ops"][1:]] == ["ternary", "ternary", "int8"]
    assert "payload" in say("show", "d.fewbit")
    soundfile.write("a.wav", digits.stream(digits.test[:4])[0], digits.sample_rate)
    assert json.loads(say("run", "d.fewbit", "a.wav", "--json"))["shape"][1] == 11
    lines = [json.loads(line) for line in say("stream", "a.wav", "a.wav", "--model", "d.fewbit", "--json").splitlines()]
    assert [set(line) for line in lines] == [{"file", "text", "audio_seconds", "real_time_factor"}] * 2
    assert say("stream", "d.fewbit", "a.wav")


RECIPE = """
[[pass]]
kind = "Quantize"
weights = { "rnn0.weight" = "int4:row", "head" = "int5", "*" = "ternary+adaptive" }
activations = "int8"

[[pass]]
kind = "SQWA"
warmup_epochs = 0
cycles = 2
finetune_epochs = 0
average = true
objective = { kind = "LogitKD", weight = { from = 0.9, to = 0.0 } }
optimizer = { kind = "SymmetricSGD", alpha = 0.1 }
"""


def test_a_recipe_goes_through_the_packed_file_and_comes_back(folder, capsys):
    def say(*words, code=0):
        assert cli.main([str(word) for word in words]) == code
        return capsys.readouterr()

    (folder / "recipe.toml").write_text(RECIPE)
    say("train", "small.py", "--out", "f.safetensors")
    say("compress", "small.py", "f.safetensors", "--recipe", "recipe.toml", "--out", "q.safetensors")
    say("pack", "small.py", "q.safetensors", "--out", "d.fewbit")
    (folder / "again.toml").write_text(say("show", "d.fewbit", "--recipe").out)
    assert read_recipe("again.toml") == read_recipe("recipe.toml")
    assert json.loads(say("show", "d.fewbit", "--recipe", "--json").out) == read_recipe("recipe.toml").to_dict()
    formats = {op["name"]: op["format"] for op in json.loads(say("show", "d.fewbit", "--json").out)["ops"]}
    assert [formats[name] for name in ("conv", "rnn0", "head")] == ["int3", "int5", "int6"]  # two codes in one
    doubled = say("compress", "small.py", "f.safetensors", "--recipe", "recipe.toml", "--epochs", 3, code=2)
    assert "the recipe says what --epochs would" in doubled.err
    (folder / "recipe.toml").write_text(RECIPE.replace("cycles", "cycels"))
    wrong = say("compress", "small.py", "f.safetensors", "--recipe", "recipe.toml", code=1)
    assert "recipe.toml: pass 2 (SQWA): unknown key 'cycels'" in wrong.err


def test_the_recipe_of_the_demo_is_a_recipe_too(finished):
    folder, _ = finished
    found = Recipe.from_dict(load(folder / "digits.fewbit").recipe)
    assert [step["kind"] for step in found.steps] == ["Quantize", "Finetune"]
    assert Recipe.from_dict(load(folder / "direct.fewbit").recipe).steps == found.steps[:1]


def test_a_file_without_a_recipe_says_so(program, tmp_path, capsys):
    bare = replace(program, recipe={}).save(tmp_path / "bare.fewbit")
    assert cli.main(["show", str(bare), "--recipe"]) == 1
    assert "bare.fewbit: its recipe: passes: saw None" in capsys.readouterr().err


def test_packing_a_float_network_is_refused_with_the_way_out(folder, capsys):
    assert cli.main(["train", "small.py", "--out", "f.safetensors"]) == 0
    assert cli.main(["pack", "small.py", "f.safetensors", "--out", "x"]) == 1
    assert "run fewbit compress first" in capsys.readouterr().err


def test_errors_are_one_message_and_exit_code_1(tmp_path, capsys):
    assert cli.main(["show", str(tmp_path / "nothing.fewbit")]) == 1
    err = capsys.readouterr().err
    assert "there is no such file" in err
    assert "Traceback" not in err


def test_the_network_that_ships_hears_a_word(capsys, tmp_path, digits):
    clips = [clip for clip in digits.test if clip.speaker == "george"][:3]
    soundfile.write(tmp_path / "a.flac", digits.stream(tuple(clips))[0], digits.sample_rate)
    assert cli.main(["stream", str(tmp_path / "a.flac"), "--model", "digits", "--json"]) == 0
    text = json.loads(capsys.readouterr().out)["text"]
    assert text == digits.stream(tuple(clips))[1]
