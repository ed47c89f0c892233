"""The hierarchical LSTM equals its definition, frame by frame, whatever the clock does."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fewbit import nn as layers
from fewbit.errors import ArgumentError
from fewbit.nn import HLSTM, LSTM, ClockSchedule

CLASSES, HIDDEN = 5, 3


def slow(lstm, x, clock, reset):
    """The equation of clock and reset, one frame of one stream after the other."""
    outputs = []
    for stream in range(len(x)):
        state = (torch.zeros(1, lstm.hidden_size, dtype=x.dtype),) * 2
        for t in range(x.shape[1]):
            fresh = tuple((0 if reset[stream, t] else 1) * part for part in state)
            ticked = lstm(x[stream : stream + 1, t : t + 1], fresh)[1]
            state = ticked if clock[stream, t] else fresh
            outputs.append(state[0][0])
    return torch.stack(outputs).view(*x.shape[:2], -1)


booleans = st.lists(st.booleans(), min_size=16, max_size=16).map(lambda bits: torch.tensor(bits).view(2, 8))


@given(booleans, booleans, st.integers(0, 8), st.integers(0, 1000))
@settings(deadline=None)
def test_ticks_equal_the_equation_and_may_be_cut_anywhere(clock, reset, cut, seed) -> None:
    torch.manual_seed(seed)
    lstm = LSTM(2, HIDDEN).double()
    x = torch.randn(2, 8, 2, dtype=torch.float64)
    wanted = slow(lstm, x, clock, reset)
    torch.testing.assert_close(lstm(x, None, ClockSchedule(clock, reset))[0], wanted)
    first, state = lstm(x[:, :cut], None, ClockSchedule(clock[:, :cut], reset[:, :cut]))
    rest, _ = lstm(x[:, cut:], state, ClockSchedule(clock[:, cut:], reset[:, cut:]))
    torch.testing.assert_close(torch.cat([first, rest], 1), wanted)


def test_a_plain_clock_is_a_plain_lstm() -> None:
    lstm, x = LSTM(2, HIDDEN), torch.randn(3, 7, 2)
    always = torch.ones(3, 7, dtype=torch.bool)
    y, state = lstm(x)
    ticking, after = lstm(x, None, ClockSchedule(always, ~always))
    torch.testing.assert_close((ticking, *after), (y, *state))


def letters(text):
    """Features of classes as in a text: 0 ends a paragraph, 1 is a space."""
    return functional.one_hot(torch.as_tensor(text), CLASSES).double()


def drawn(layer):
    """The same network as a graph, whose executor runs frame by frame."""
    graph = layers.GraphRNN(layers.hierarchical_lstm_graph(CLASSES, HIDDEN, layer.direct)).double()
    parts = {
        "low1": (layer.letters, ["x_low1_gates"]),
        "high1": (layer.words[0], ["low1_h_high1_gates_1", "x_high1_gates"]),
        "high2": (layer.words[1], ["high1_h_high2_gates"]),
        "low2": (layer.spelling, [f"{'x' if layer.direct else 'low1_h'}_low2_gates", "high2_h_low2_gates"]),
    }
    with torch.no_grad():
        for name, (lstm, edges) in parts.items():
            getattr(graph, f"bias_{name}_gates").copy_(lstm.bias)
            getattr(graph, f"weight_{name}_h_gates").copy_(lstm.weight_hidden)
            weights = [getattr(graph, f"weight_{edge}") for edge in edges]
            for weight, columns in zip(weights, lstm.weight.split([w.shape[1] for w in weights], 1), strict=True):
                weight.copy_(columns)
    return graph


@pytest.mark.parametrize("direct", [False, True])
@given(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_it_equals_the_graph_of_the_paper(direct, text) -> None:
    torch.manual_seed(1)
    layer = HLSTM(CLASSES, HIDDEN, (0, 1), direct=direct).double()
    x = letters([text])
    clock = (x[..., :2].sum(-1, keepdim=True) > 0).double()
    torch.testing.assert_close(layer(x)[0], drawn(layer)(torch.cat([x, clock], -1))[0])


def test_older_words_are_known_through_the_words_only() -> None:
    layer = HLSTM(CLASSES, HIDDEN).double()
    text = torch.tensor([[2, 3, 4, 1, 3, 3, 1, 2, 4, 4]])
    other = torch.tensor([[4, 4, 2, 1, 3, 2, 1, 2, 4, 4]])
    last_word = slice(6, None)
    assert not torch.equal(layer(letters(text))[0][:, last_word], layer(letters(other))[0][:, last_word])
    with torch.no_grad():
        layer.words[0].weight[:, :HIDDEN] = 0  # the words no longer read letters
    torch.testing.assert_close(layer(letters(text))[0][:, last_word], layer(letters(other))[0][:, last_word])


def test_gradients_pass_from_word_to_word_through_the_words_only() -> None:
    layer = HLSTM(CLASSES, HIDDEN).double()
    x = letters([[2, 3, 4, 1, 3, 3]]).requires_grad_()
    layer(x)[0][:, -1].sum().backward()
    assert x.grad[:, :3].abs().sum() > 0
    with torch.no_grad():
        layer.spelling.weight[:, HIDDEN:] = 0  # nothing hears the words
    x.grad = None
    layer(x)[0][:, -1].sum().backward()
    assert x.grad[:, :3].abs().sum() == 0


def test_without_boundaries_it_is_two_plain_lstms_and_words_that_hold() -> None:
    layer = HLSTM(CLASSES, HIDDEN).double()
    x = letters(torch.randint(2, CLASSES, (2, 9)))
    y, (_, words, _) = layer(x)
    assert all(not part.any() for state in words for part in state)
    spelt = layer.letters(x)[0]
    torch.testing.assert_close(y, layer.spelling(torch.cat([spelt, torch.zeros_like(spelt)], -1))[0])


def test_boundaries_that_are_no_features_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"0\.\.4, not \[5\]"):
        HLSTM(CLASSES, HIDDEN, (5,))
    with pytest.raises(ArgumentError, match="words must be 1"):
        HLSTM(CLASSES, HIDDEN, words=0)
