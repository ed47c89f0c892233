"""`fewbit generate`: from a text to a ternary network, to its file, to text."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from fewbit import Alphabet, CrossEntropy, Finetune, Quantize, compress, fit, pack
from fewbit.cli.main import main
from fewbit.data import Windows
from fewbit.models import Decoder
from fewbit.program import load
from fewbit.streams import TextGenerator

LINE = "red green blue"
LETTERS = Alphabet(tuple(sorted(set(LINE))))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A decoder of ternary weights that knows one line by heart."""
    torch.manual_seed(0)
    text = torch.tensor([0, *LETTERS.encode(LINE)] * 20)
    windows = Windows(text, batch_size=4, steps=24, count=40)
    model = Decoder(LETTERS.classes, 32, 4, 1, style="llama", window=12)
    fit(model, windows, CrossEntropy(), epochs=1, lr=0.01, progress=False)
    how = Quantize({"embedding": "int8", "*": "ternary"}, "int8", calibration=list(windows)[:2])
    model = compress(model, how, Finetune(windows, CrossEntropy(), epochs=1, lr=0.003, progress=False)).eval()
    program = pack(model, example=list(windows)[:1], alphabet=LETTERS)
    return str(program.save(tmp_path_factory.mktemp("generate") / "colours.fewbit"))


def test_a_trained_network_says_what_it_has_learned(file, capsys):
    assert main(["generate", file, "--prompt", "red", "--temperature", "0"]) == 0
    said = capsys.readouterr()
    assert said.out == LINE + "\n"
    assert re.fullmatch(r"11 tokens, [\d,]+ tokens/s, [\d,.]+ µs a token; the text ended\n", said.err)


def test_a_seed_gives_the_same_text_twice_and_that_of_the_library(file, capsys):
    options = ["--prompt", "blue", "--temperature", "3", "--top-p", "0.95", "--tokens", "30"]
    found = []
    for seed in ("4", "4", "5"):
        assert main(["generate", file, *options, "--seed", seed]) == 0
        found.append(capsys.readouterr().out)
    assert found[0] == found[1] != found[2]
    pieces = TextGenerator(load(file)).generate("blue", tokens=30, temperature=3, top_p=0.95, seed=4)
    assert found[0] == "".join(["blue", *pieces, "\n"])


def test_json_is_one_line_with_the_rates(file, capsys):
    assert main(["generate", file, "--prompt", "red", "--temperature", "0", "--tokens", "5", "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    found = json.loads(said.out)
    rate = found.pop("tokens_per_second")
    assert rate > 0
    assert found.pop("us_per_token") == pytest.approx(1e6 / rate)
    assert found == {"file": file, "prompt": "red", "text": " gree", "tokens": 5, "ended": False, "seed": 0}
    assert main(["generate", file, "--prompt", LINE, "--temperature", "0", "--json"]) == 0  # it ends at once
    found = json.loads(capsys.readouterr().out)
    assert (found["text"], found["tokens"], found["ended"], found["us_per_token"]) == ("", 0, True, None)
    assert main(["generate", file, "--prompt", LINE, "--temperature", "0"]) == 0
    assert capsys.readouterr() == (LINE + "\n", "0 tokens; the text ended\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "red!"], "not in the alphabet: ['!']"),
        (["--temperature", "-1"], "temperature=-1.0, wanted"),
        (["--temperature", "nan"], "temperature=nan, wanted"),
        (["--top-p", "0"], "top_p=0.0, wanted"),
        (["--tokens", "0"], "tokens=0, wanted"),
        (["--seed", "-1"], "seed=-1, wanted"),
    ],
)
def test_mistakes_are_one_message_and_no_text(file, arguments, message, capsys):
    assert main(["generate", file, *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert message in said.err


def test_a_network_that_hears_sound_writes_no_text(capsys):
    assert main(["generate", "digits"]) == 1
    assert "the network hears sound" in capsys.readouterr().err


def test_text_that_outgrows_a_table_of_positions_is_shown_as_far_as_it_goes(tmp_path, capsys):
    torch.manual_seed(0)
    example = torch.randint(3, (2, 24))
    model = compress(Decoder(3, 8, 2, 1, context=24), Quantize("int8", "int8", calibration=[example])).eval()
    program = pack(model, example=[example], alphabet=Alphabet(("a", "b")))
    head = replace(program.ops[-1], bias=np.array([-(1 << 28), 0, 0]))  # never ends by itself
    file = str(replace(program, ops=(*program.ops[:-1], head)).save(tmp_path / "short.fewbit"))
    assert main(["generate", file, "--prompt", "ab" * 11, "--temperature", "0"]) == 1
    said = capsys.readouterr()
    assert re.fullmatch("(ab){11}[ab]{2}\n", said.out)
    assert said.err == "error: the input is longer than the network's table of positions\n"
