"""What lies inside a network, and noise in its signals: gains known in closed form, and the model left as found."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fewbit.analysis import LayerNoise, inner_layers, noise_gain, time_gain
from fewbit.errors import ArgumentError, DataError
from fewbit.models import CharLM, convnet, mlp
from fewbit.nn import LSTM, Chain
from fewbit.passes import Quantize, compress
from fewbit.quant import quantizers

X = torch.randn(2000, 6, generator=torch.Generator().manual_seed(0))
FRAMES = torch.randn(400, 12, 3, generator=torch.Generator().manual_seed(0))
TEXT = torch.randint(5, (4, 12), generator=torch.Generator().manual_seed(0))


class Sites(nn.Module):
    """Adds an embedding of places to one of characters."""

    def __init__(self) -> None:
        super().__init__()
        self.character, self.place = nn.Embedding(5, 6), nn.Embedding(12, 6)
        self.inner, self.head = nn.Linear(6, 6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.inner(self.character(x) + self.place(torch.arange(x.shape[1]))))
        return found


def linear(*sizes: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(sizes)))


def characters(cell: str = "lstm", layers: int = 1) -> CharLM:
    torch.manual_seed(0)
    return CharLM(5, 6, layers, cell)


class Leaky(nn.Module):
    """h[t] = decay h[t-1] + x[t], read through a layer without weights; gives a pair, as layers do."""

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay, self.read = decay, nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden, found = torch.zeros_like(x[:, 0]), []
        for step in self.read(x).unbind(1):
            hidden = self.decay * hidden + step
            found.append(hidden)
        return torch.stack(found, 1), hidden


class Fails(nn.Module):
    """Passes its input on for some calls, then raises."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def forward(self, x: Tensor) -> Tensor:
        self.calls -= 1
        if self.calls < 0:
            raise RuntimeError("out of calls")
        return x


class Mixed(nn.Module):
    """Calls its parts in another order than it holds them in, one of them often and one never."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.last, self.unused, self.often, self.first = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.often(self.first(x).abs())
        x = self.often(x - 1)  # negative in the second call only
        return self.last(self.often(x.abs()))


def test_inner_layers_lack_the_first_and_the_last() -> None:
    found = inner_layers(mlp(6, 5, 3, 3), X)
    assert found.weights == ("3.weight", "5.weight")
    assert found.signals == ("3", "5", "7")  # the last layer reads an inner signal
    assert found.signed == (False, False, False)
    assert inner_layers(mlp(6, 5, 3, 3), (X, None)) == found
    assert inner_layers(linear(6, 5, 4, 3), X).signed == (True, True)
    pictures = inner_layers(convnet(1, 2, 3, 8), torch.randn(4, 1, 8, 8))
    assert pictures.weights == ("4.weight", "8.weight", "13.weight")  # norms have no weights to quantize
    assert pictures.signed == (False,) * 4


def test_layers_are_in_the_order_of_calls() -> None:
    found = inner_layers(Mixed(), X)
    assert (found.weights, found.signals, found.signed) == (("often.weight",), ("often", "last"), (True, True))
    positive = Mixed()
    with torch.no_grad():
        positive.often.weight.abs_()
        positive.often.bias.fill_(1)
    assert inner_layers(positive, X).signed == (False, False)


def test_indices_are_no_signal_and_inner_states_are() -> None:
    found = inner_layers(characters("gru", 2), TEXT)
    assert found.weights == tuple(f"rnn{i}.{name}" for i in range(2) for name in ("weight", "weight_hidden"))
    assert found.signals == ("rnn0", "rnn0.hidden", "rnn1", "rnn1.hidden", "head")  # cells are wide
    places = inner_layers(Sites(), TEXT)
    assert (places.weights, places.signals) == (("place.weight", "inner.weight"), ("inner", "head"))
    chain = inner_layers(Chain(nn.Linear(3, 4), LSTM(4, 4), nn.ReLU(), nn.Linear(4, 2)), FRAMES)
    assert (chain.signals, chain.signed) == (("1", "1.hidden", "3"), (True, True, False))


@pytest.mark.parametrize("quantized", [False, True])
def test_a_last_layer_that_shares_its_weight_is_still_the_last(quantized: bool) -> None:
    model = characters(layers=2)
    model.head.weight = model.embedding.weight
    if quantized:
        model = compress(model, Quantize("int8"))  # type: ignore[assignment]
    assert inner_layers(model, TEXT) == inner_layers(characters(layers=2), TEXT)
    inside = linear(6, 6, 6, 6, 6)
    inside[2].weight = inside[1].weight
    assert inner_layers(inside, X).weights == ("1.weight",)
    inside[2].weight = inside[3].weight
    assert inner_layers(inside, X).weights == ("1.weight",)


def test_a_network_without_inside_is_refused() -> None:
    for model, count in ((linear(6, 5, 3), 2), (nn.ReLU(), 0)):
        name = type(model).__name__
        with pytest.raises(ArgumentError, match=f"{name}: {count} layers with weights were called, so none lies"):
            inner_layers(model, X)
        with pytest.raises(ArgumentError, match="wanted three or more"):
            noise_gain(model, [X])


def test_inner_weights_and_signals_are_quantized_and_nothing_else() -> None:
    model = nn.Sequential(*mlp(6, 5, 2, 3), nn.Linear(3, 2))
    inner = inner_layers(model, X)
    found = [
        {name: quantizer.spec for name, quantizer in quantizers(compress(model, inner.quantize([X], *bits)))}
        for bits in ((2, None), (4, None), (None, 3), (2, 8))
    ]
    weights, signals = {"3.weight": "ternary", "5.weight": "ternary"}, {"3.input": "uint3", "5.input": "uint3"}
    assert found[0] == weights
    assert found[1] == dict.fromkeys(weights, "int4")
    assert found[2] == signals | {"6.input": "int3"}  # what no ReLU made positive
    assert found[3] == weights | dict.fromkeys(signals, "uint8") | {"6.input": "int8"}


def test_noise_gain_of_a_linear_network_is_the_norm_of_what_follows() -> None:
    model = linear(6, 9, 7, 8, 4)
    found = noise_gain(model, [X, X.flip(1)])
    assert [layer.layer for layer in found] == ["1", "2", "3"]
    follows = torch.eye(4)
    for place in (3, 2, 1):
        follows = follows @ model[place].weight.detach()  # type: ignore[operator]
        assert found[place - 1].gain == pytest.approx(float(follows.square().sum()) / 4, rel=0.05)


def test_measures_are_those_of_their_equations() -> None:
    model = linear(6, 9, 7, 4)
    found = noise_gain(model, [X], bits=4)
    with torch.no_grad():
        plain, signal = model(X), model[0](X)
        power = float(plain.var(0, correction=0).mean())
        inner = compress(model, Quantize(activations={"1": "int4"}, calibration=[X]))
        error = float((inner(X) - plain).square().mean()) / power
    assert found[0].relative == pytest.approx(found[0].gain * float(signal.var(correction=0)) / power, rel=1e-4)
    assert found[0].error == pytest.approx(error, rel=1e-4)
    more, few = noise_gain(model, [X], bits=6), noise_gain(model, [X], bits=2)
    assert all(8 * a.error < b.error < c.error / 8 for a, b, c in zip(more, found, few, strict=True))
    assert [layer.gain for layer in more] == [layer.gain for layer in found]


def test_noise_is_small_repeatable_and_of_its_seed() -> None:
    model = linear(6, 9, 7, 4)
    assert noise_gain(model, [X]) == noise_gain(model, [X]) != noise_gain(model, [X], seed=1)
    gains = [[layer.gain for layer in noise_gain(model, [X], size=size)] for size in (0.01, 0.1, 1.0)]
    assert gains[0] == pytest.approx(gains[1], rel=1e-3)  # the network is linear
    assert gains[2] == pytest.approx(gains[1], rel=1e-3)


def test_two_batches_are_used() -> None:
    def endless() -> Iterator[tuple[Tensor, None]]:
        yield X, None
        yield 2 * X, None
        raise AssertionError("a third batch was drawn")

    model = mlp(6, 5, 2, 3)
    assert noise_gain(model, endless()) == noise_gain(model, [X, 2 * X]) != noise_gain(model, [X])
    with pytest.raises(DataError, match="noise_gain: there are no batches; wanted one at least"):
        noise_gain(model, [])


def test_a_dead_layer_passes_no_noise() -> None:
    model = mlp(6, 5, 2, 3)
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.fill_(-1.0)
    assert noise_gain(model, [X])[0] == LayerNoise("3", 0.0, 0.0, 0.0)
    assert time_gain(Leaky(0.5), torch.zeros(2, 4, 3), "read") == (0.0,) * 4


@pytest.mark.parametrize("cell", ["lstm", "gru", "sru", "qrnn"])
def test_signals_of_recurrent_networks_have_gains(cell: str) -> None:
    model = characters(cell)
    found = noise_gain(model, [TEXT])
    assert tuple(layer.layer for layer in found) == inner_layers(model, TEXT).signals
    assert all(0 < value < float("inf") for layer in found for value in (layer.gain, layer.relative, layer.error))
    gains = time_gain(model, TEXT, found[0].layer, frame=3)
    assert len(gains) == 9
    assert gains[0] > 0
    assert all(0 <= gain < float("inf") for gain in gains)


@pytest.mark.parametrize("decay", [0.5, 0.9, 1.1])
@pytest.mark.parametrize("frame", [0, 4])
def test_time_gain_of_a_leaky_recurrence_is_a_power_of_its_decay(decay: float, frame: int) -> None:
    found = time_gain(Leaky(decay), FRAMES, "read", frame=frame)
    assert found[0] == pytest.approx(1, rel=0.1)
    assert [gain / found[0] for gain in found] == pytest.approx([decay ** (2 * k) for k in range(12 - frame)], rel=1e-3)
    assert time_gain(Leaky(decay), (FRAMES, None), "read", frame=frame) == found
    larger, other = (
        time_gain(Leaky(decay), FRAMES, "read", frame=frame, **more) for more in ({"size": 1}, {"seed": 1})
    )
    assert larger == pytest.approx(found, rel=1e-3)
    assert other != found


def test_places_that_are_not_there_are_refused() -> None:
    model = characters()
    with pytest.raises(ArgumentError, match=r"time_gain: no layer 'rnn'; the model has \['embedding', 'rnn0', 'rnn0"):
        time_gain(model, TEXT, "rnn")
    for frame in (12, -1):
        with pytest.raises(
            ArgumentError, match=rf"rnn0 was called 1 times, first with \(4, 12, 6\), and frame={frame}; wa"
        ):
            time_gain(model, TEXT, "rnn0", frame=frame)
    with pytest.raises(ArgumentError, match=r"rnn0\.hidden was called 12 times, first with \(4, 6\), and frame=0"):
        time_gain(model, TEXT, "rnn0.hidden")
    mixed, x = Mixed(), X.view(100, 20, 6)
    with pytest.raises(ArgumentError, match=r"often was called 3 times, first with \(100, 20, 6\), and frame=0"):
        time_gain(mixed, x, "often")
    with pytest.raises(ArgumentError, match="unused: this layer is never called with a signal; name another"):
        time_gain(mixed, x, "unused")


def as_found(model: nn.Module) -> list[Any]:
    """Weights, modes and hooks."""
    weights = [value.clone() for value in model.state_dict().values()]
    hooks = [(*module._forward_pre_hooks, *module._forward_hooks) for module in model.modules()]
    return [[value.tolist() for value in weights], [module.training for module in model.modules()], hooks]


def test_the_model_is_left_as_found() -> None:
    model = nn.Sequential(*linear(6, 5, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))
    model[2].eval()
    before = as_found(model)
    inner_layers(model, X)
    found = noise_gain(model, [X])
    assert as_found(model) == before
    assert any(before[1])
    assert not all(before[1])
    assert found == noise_gain(model.eval(), [X])  # no dropout while it is measured
    recurrent = characters()
    before = as_found(recurrent)
    time_gain(recurrent, TEXT, "rnn0")
    assert as_found(recurrent) == before


@pytest.mark.parametrize("calls", range(8))
def test_the_model_is_left_as_found_when_it_raises(calls: int) -> None:
    model = linear(6, 5, 5, 3).append(Fails(calls))
    model[1].eval()
    before = as_found(model)
    with pytest.raises(RuntimeError, match="out of calls"):
        noise_gain(model, [X])
    assert as_found(model) == before
    frames = nn.Sequential(nn.Identity(), Fails(min(calls, 2)))
    before = as_found(frames)
    with pytest.raises(RuntimeError, match="out of calls"):
        time_gain(frames, FRAMES, "0")
    assert as_found(frames) == before
