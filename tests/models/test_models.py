"""Trained networks in files."""

import pytest
import torch

from fewbit.errors import ArgumentError, FileFormatError
from fewbit.models import CharLM, SpeechRNN, Trained, load_model, save_model
from fewbit.passes import Quantize, compress
from fewbit.train import write_tensors

X = torch.randn(2, 40, 8, generator=torch.Generator().manual_seed(0))


def speech():
    torch.manual_seed(0)
    return SpeechRNN(8, 12, 2, 5, kernel=4, stride=2).eval()


def test_a_float_network_comes_back(tmp_path):
    model = speech()
    loaded = load_model(save_model(tmp_path / "m", Trained(model, recipe={"seed": 3})))
    assert torch.equal(loaded.model(X)[0], model(X)[0])
    assert (loaded.quantized, loaded.recipe) == (None, {"seed": 3})


def test_a_quantized_network_comes_back(tmp_path):
    selection = {"weights": {"head": "int8", "*": "ternary"}, "activations": "int8"}
    model = compress(speech(), Quantize(**selection, calibration=[X])).eval()
    loaded = load_model(save_model(tmp_path / "m", Trained(model, selection)))
    assert torch.equal(loaded.model(X)[0], model(X)[0])


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(FileFormatError, match="cannot be read as safetensors"):
        load_model(tmp_path / "text")
    write_tensors(tmp_path / "plain", {"a": torch.zeros(2)}, {})
    with pytest.raises(FileFormatError, match="not a network saved by"):
        load_model(tmp_path / "plain")
    with pytest.raises(FileFormatError, match="nothing"):
        load_model(tmp_path / "nothing")


def test_an_unknown_cell_is_refused():
    with pytest.raises(ArgumentError, match=r"^CharLM: cell='rnn', wanted one of \['lstm', 'gru', 'sru', 'qrnn'\]"):
        CharLM(5, 6, cell="rnn")
