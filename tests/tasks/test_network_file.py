"""Networks in files, of a task and of a builder."""

import pytest
import torch
from torch import nn

from fewbit.errors import FileFormatError
from fewbit.models import SpeechRNN
from fewbit.passes import Quantize, compress
from fewbit.tasks import load_network, save_network
from fewbit.train import write_tensors

X = torch.randn(2, 40, 8, generator=torch.Generator().manual_seed(0))


def speech():
    torch.manual_seed(0)
    return SpeechRNN(8, 12, 2, 5, kernel=4, stride=2).eval()


def test_a_float_network_comes_back(tmp_path):
    model = speech()
    loaded = load_network(save_network(tmp_path / "m", model, model.config, {"seed": 3}), SpeechRNN.of)
    assert torch.equal(loaded.model(X)[0], model(X)[0])
    assert (loaded.size, loaded.quantized, loaded.recipe) == (model.config, None, {"seed": 3})


def test_a_quantized_network_comes_back(tmp_path):
    selection = {"weights": {"head": "int8", "*": "ternary"}, "activations": "int8"}
    model = compress(speech(), Quantize(**selection, calibration=[X])).eval()
    loaded = load_network(save_network(tmp_path / "m", model, model.config), SpeechRNN.of)
    assert torch.equal(loaded.model(X)[0], model(X)[0])


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(FileFormatError, match="cannot be read as safetensors"):
        load_network(tmp_path / "text", SpeechRNN.of)
    write_tensors(tmp_path / "plain", {"a": torch.zeros(2)}, {})
    with pytest.raises(FileFormatError, match="not a network saved by"):
        load_network(tmp_path / "plain", SpeechRNN.of)
    with pytest.raises(FileFormatError, match="nothing"):
        load_network(tmp_path / "nothing", SpeechRNN.of)


def test_a_builder_that_does_not_fit_is_named(tmp_path):
    path = save_network(tmp_path / "m", nn.Linear(3, 2), {"features": 3})
    with pytest.raises(FileFormatError, match=r"does not fit the network that SpeechRNN\.of builds now"):
        load_network(path, SpeechRNN.of)


@pytest.mark.parametrize("about", ["[]", "{}", '{"size": 1}', "no json", '{"size": 1, "quantized": 3}'])
def test_damaged_descriptions_are_refused(tmp_path, about):
    write_tensors(tmp_path / "m", dict(nn.Linear(3, 2).state_dict()), {"fewbit_network": about})
    with pytest.raises(FileFormatError, match="does not fit the network"):
        load_network(tmp_path / "m", lambda size: nn.Linear(3, 2))
