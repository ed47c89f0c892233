"""Quantizers on any network: selection, ties, gradients, removal."""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from fewbit import nn as layers
from fewbit.errors import FormatError, QuantizationError, SelectionError
from fewbit.nn import LSTM
from fewbit.quant import attach, calibrate, detach, input_quantizer, quantizer_of, quantizers, weight_names


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def levels(weight):
    return len(weight.detach().unique())


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(4, 5),
        nn.Conv1d(3, 4, 3),
        nn.Conv2d(3, 4, 3),
        nn.Embedding(7, 4),
        nn.LSTM(4, 5, 2),
        nn.GRU(4, 5),
        nn.MultiheadAttention(8, 2),
        layers.SRU(4, 4),
        layers.QRNN(4, 5),
        layers.LSTM(4, 5),
        layers.GRU(4, 5),
        layers.CausalConv1d(4, 5, 3),
    ],
    ids=lambda model: type(model).__name__,
)
def test_any_module_reads_three_levels_and_keeps_its_class(model):
    kind = type(model)
    names = weight_names(model)
    attach(model, "ternary")
    assert names
    assert isinstance(model, kind)
    for name in names:
        assert levels(_read(model, name)) <= 3, name


def _read(model, name):
    path, _, leaf = name.rpartition(".")
    return getattr(model.get_submodule(path), leaf)


def test_quantized_lstm_of_torch_runs_and_trains():
    model = attach(nn.LSTM(4, 5, batch_first=True), "ternary")
    y, _ = model(torch.randn(2, 7, 4))
    y.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_first_pattern_that_matches_wins():
    model = attach(mlp(), {"4": "int8", "2.weight": None, "*": "ternary"})
    assert quantizer_of(model[0]).spec == "ternary"
    assert quantizer_of(model[2]) is None
    assert quantizer_of(model[4]).spec == "int8"


def test_keep_beats_everything():
    model = attach(mlp(), "ternary", keep=["4"])
    assert quantizer_of(model[4]) is None
    assert levels(model[0].weight) == 3


@pytest.mark.parametrize("arguments", [{"weights": {"hed": "int4"}}, {"weights": "int4", "keep": ["hed"]}])
def test_a_pattern_that_matches_nothing_lists_the_names(arguments):
    with pytest.raises(SelectionError, match=r"no weight matches 'hed'; the model has \['0.weight', '2.weight', '4"):
        attach(mlp(), **arguments)


def test_an_activation_pattern_that_matches_nothing_lists_the_names():
    with pytest.raises(SelectionError, match="no module matches 'hed'"):
        attach(mlp(), activations={"hed": "int8"})


def test_tied_weights_share_one_quantizer_and_stay_tied():
    model = nn.ModuleDict({"embedding": nn.Embedding(9, 4), "head": nn.Linear(4, 9, bias=False)})
    model["head"].weight = model["embedding"].weight
    assert weight_names(model) == ["embedding.weight"]
    attach(model, {"embedding": "ternary"})
    assert quantizer_of(model["head"]) is quantizer_of(model["embedding"])
    assert torch.equal(model["head"].weight, model["embedding"].weight)
    assert levels(model["head"].weight) == 3
    assert len(list(model.parameters())) == 1


def test_masters_get_the_gradient_that_a_float_layer_with_the_codes_would_get():
    model, x = mlp()[:1], torch.randn(5, 6)
    quantized = attach(deepcopy(model), "ternary")
    plain = nn.Linear(6, 8)
    plain.load_state_dict({"weight": quantized[0].weight.detach(), "bias": model[0].bias})
    plain(x).square().sum().backward()
    quantized(x).square().sum().backward()
    master = quantized[0].parametrizations.weight.original
    assert torch.allclose(master.grad, plain.weight.grad, atol=1e-6)
    assert not torch.equal(master, quantized[0].weight)


def test_signals_are_clipped_with_their_gradient():
    model = attach(nn.Sequential(nn.Linear(1, 1, bias=False)), "int8", "int4")
    calibrate(model, [torch.linspace(-1, 1, 201)[:, None]])
    x = torch.tensor([[0.5], [50.0]], requires_grad=True)
    model(x).sum().backward()
    assert x.grad[0] != 0
    assert x.grad[1] == 0


def test_plain_activations_skip_wide_signals_and_patterns_reach_them():
    x = [torch.randn(2, 5, 4)]
    plain = calibrate(attach(layers.Chain(layers.LSTM(4, 5)), "ternary", "int8"), x)
    assert {name for name, _ in quantizers(plain)} == {"0.weight", "0.weight_hidden", "0.input", "0.hidden.input"}
    named = attach(layers.Chain(layers.LSTM(4, 5)), "ternary", {"*.cell": "q3.12"})
    assert "0.cell.input" in {name for name, _ in quantizers(named)}


def test_detach_gives_the_float_network_back():
    model, x = mlp(), torch.randn(4, 6)
    before = model(x)
    quantized = calibrate(attach(deepcopy(model), "ternary", "int8"), [x])
    assert not torch.equal(quantized(x), before)
    assert torch.equal(detach(quantized)(x), before)
    assert not any(parametrize.is_parametrized(module) for module in quantized.modules())
    assert not list(quantizers(quantized))


def test_copies_and_state_dicts_keep_the_steps():
    x = torch.randn(4, 6)
    model = calibrate(attach(mlp(), {"4": "int4:row", "0": "int3/4", "*": "ternary"}, "int8"), [x])
    other = attach(nn.Sequential(*[deepcopy(m) for m in mlp()]), {"4": "int4:row", "0": "int3/4", "*": "ternary"})
    attach(other, activations={"0": "int8", "2": "int8", "4": "int8"})
    other.load_state_dict(model.state_dict())
    assert torch.equal(deepcopy(model)(x), model(x))
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda m: attach(attach(m, "int4"), "int4"), QuantizationError, "0.weight is quantized already; detach"),
        (lambda m: attach(m, "int4", "int8")(torch.randn(2, 6)), QuantizationError, "is not calibrated"),
        (
            lambda m: calibrate(attach(m, "int4", "int8"), []),
            QuantizationError,
            "no signal reached .* in calibration; give at least one batch",
        ),
        (lambda m: attach(m, "int9"), FormatError, "int9: wanted 2 to 8 bits"),
        (lambda m: attach(m, "uint8"), FormatError, "'uint8' is a spec of signals"),
        (lambda m: attach(m, "int4", "int8:row"), FormatError, "'int8:row' is a spec of weights"),
        (lambda m: attach(m, "four bits"), FormatError, "'four bits' is not of the form"),
    ],
)
def test_misuse_is_refused(act, error, message):
    with pytest.raises(error, match=message):
        act(mlp())


def test_a_weight_with_nan_is_refused_by_name():
    model = mlp()
    with torch.no_grad():
        model[2].weight[0, 0] = torch.nan
    with pytest.raises(QuantizationError, match=r"2\.weight: .* 1 of 64 numbers are NaN"):
        attach(model, "ternary")


def test_plain_activations_leave_indices_alone_and_reach_a_tied_layer():
    class Language(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x):
            return self.head(self.embedding(x))

    x = torch.randint(0, 9, (2, 5))
    model = calibrate(attach(Language(), "int4", "int8"), [x])
    assert {name for name, _ in quantizers(model)} == {"embedding.weight", "head.weight", "head.input"}
    assert model(x).isfinite().all()


def test_calibration_sees_every_feature():
    torch.manual_seed(0)
    x = torch.randn(50, 50, 40)
    x[..., 0] *= 0.01  # an even stride through the numbers would see this feature only
    model = nn.Sequential(nn.Linear(40, 4))
    quantized = calibrate(attach(deepcopy(model), "int8", "int8"), [x] * 8)
    assert (quantized(x) - model(x)).norm() < 0.03 * model(x).norm()


def test_calibration_leaves_modes_as_they_are_and_takes_no_batch_too_many():
    model = attach(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8)), "int8", "int8").train()
    model[1].eval()
    batches = iter([torch.randn(4, 6)] * 9)
    calibrate(model, batches)
    assert (model.training, model[1].training) == (True, False)
    assert len(list(batches)) == 1


@pytest.mark.parametrize("model", [nn.MultiheadAttention(8, 2), nn.TransformerEncoderLayer(8, 2, 16)])
def test_attention_takes_plain_specs(model):
    x = torch.randn(5, 3, 8)
    inputs = (x, x, x) if isinstance(model, nn.MultiheadAttention) else (x,)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(*inputs)

    assert calibrate(attach(Whole(), "int8", "int8"), [x])


def test_detach_leaves_masks_of_others():
    class Mask(nn.Module):
        def forward(self, w):
            return w * (torch.arange(6) % 2)

    model = mlp()
    parametrize.register_parametrization(model[0], "weight", Mask())
    masked = model[0].weight.detach().clone()
    attach(model, "ternary")
    assert levels(model[0].weight) == 3
    assert torch.equal(detach(model)[0].weight, masked)


def test_a_network_without_weights_is_refused():
    with pytest.raises(SelectionError, match="ReLU has no weights to quantize"):
        attach(nn.ReLU(), "ternary")


def test_loaded_steps_keep_the_dtype_of_the_model():
    source = attach(mlp(), "ternary")
    half = attach(mlp(), "ternary").half()
    half.load_state_dict(source.state_dict())
    assert half(torch.randn(2, 6).half()).dtype == torch.half


@pytest.mark.parametrize("spec", ["int3", "int4", "int8"])
def test_the_range_of_a_cell_ends_where_its_reader_saturates(spec):
    """Cells of counters grow far beyond what tanh reads; a range of their size could not be moved by one update."""
    torch.manual_seed(0)
    layer = LSTM(1, 4)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight_hidden.zero_()
        layer.bias.fill_(6.0)  # all gates open: each update adds nearly 1, and nothing is forgotten
    x = torch.zeros(2, 60, 1)
    model = calibrate(attach(layer, activations={"cell": spec}), [x])
    quantizer = input_quantizer(model.cell)
    assert quantizer.step * quantizer.format.hi == pytest.approx(3.0)
    _, (_, cell) = model(x[:, :1])
    assert (cell > 0).all()  # one update moves the code away from zero
    _, (_, cell) = model(x)
    assert float(cell.detach().max()) == pytest.approx(3.0)


def test_a_small_cell_keeps_its_fitted_range():
    layer, x = LSTM(2, 4), 0.01 * torch.randn(2, 5, 2)
    model = calibrate(attach(layer, activations={"cell": "int8"}), [x])
    assert float(input_quantizer(model.cell).step) * 127 < 0.5
    calibrate(attach(LSTM(2, 4), activations={"cell": "q3.4"}), [x])  # fixed point stays as it is said
