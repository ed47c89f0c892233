"""The fused recurrences equal the loops: outputs, gradients, gradients of gradients, in all shapes and layouts."""

import ctypes
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fewbit.errors import ArgumentError, TargetError
from fewbit.native import training
from fewbit.nn import QRNN, SRU, native_scans, recurrence, recurrence_loops

pytestmark = pytest.mark.skipif(not training.is_available(), reason="built without a C++ compiler")

CLOSE = {torch.float32: 2e-6, torch.float64: 1e-13}
"""Of the largest number in a tensor."""
CELLS = ("sru", "sru projected", "qrnn")
FUSED = {"sru": native_scans.sru, "sru projected": native_scans.sru, "qrnn": native_scans.qrnn}
LOOPS = {"sru": recurrence_loops.sru, "sru projected": recurrence_loops.sru, "qrnn": recurrence_loops.qrnn}
SHAPES = st.tuples(st.sampled_from((0, 1, 3)), st.sampled_from((0, 1, 17)), st.sampled_from((1, 3, 65)))


def inputs(name, batch, frames, channels, kind=torch.float64, scale=1.0):
    chunk, start = (batch, frames, channels), (batch, channels)
    gates = (batch, frames, (4 if name == "sru projected" else 3) * channels)
    shapes = {"sru": (gates, 2 * channels, chunk, start), "sru projected": (gates, 2 * channels, None, start)}
    made = (
        None if shape is None else scale * torch.randn(shape, dtype=kind) for shape in shapes.get(name, (gates, start))
    )
    return [given if given is None else given.requires_grad_() for given in made]


def results(function, given, errors):
    """Outputs, and gradients for all inputs."""
    outputs = function(*given)
    wanted = [tensor for tensor in given if tensor is not None]
    used = [pair for pair in zip(outputs, errors, strict=True) if pair[1] is not None and pair[0].requires_grad]
    outs, errors = zip(*used, strict=True)
    gradients = torch.autograd.grad(outs, wanted, errors, allow_unused=True, materialize_grads=True)
    return [*outputs, *gradients]


def check_equal(name, given, errors=None):
    errors = [torch.randn_like(output) for output in LOOPS[name](*given)] if errors is None else errors
    ours, theirs = results(FUSED[name], given, errors), results(LOOPS[name], given, errors)
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        largest = float(other.detach().abs().max()) if other.numel() else 0.0
        torch.testing.assert_close(one, other, rtol=0, atol=CLOSE[one.dtype] * max(1.0, largest))


@pytest.mark.parametrize("name", CELLS)
@settings(max_examples=40, deadline=None)
@given(
    shape=SHAPES, kind=st.sampled_from(list(CLOSE)), scale=st.sampled_from((0.01, 1.0, 30.0)), seed=st.integers(0, 9)
)
def test_equals_the_loops(name, shape, kind, scale, seed):
    torch.manual_seed(seed)
    check_equal(name, inputs(name, *shape, kind, scale))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("used", [(True, False), (False, True)], ids=["y only", "end only"])
def test_one_output_may_go_unused(name, used):
    given = inputs(name, 2, 5, 3)
    outputs = LOOPS[name](*given)
    check_equal(name, given, [torch.randn_like(y) if use else None for y, use in zip(outputs, used, strict=True)])


@pytest.mark.parametrize("name", CELLS)
def test_tensors_may_lie_in_memory_as_they_like(name):
    def spread(tensor):
        wide = torch.randn(*tensor.shape[:-1], 2 * tensor.shape[-1], dtype=tensor.dtype)
        return wide[..., ::2].transpose(0, -1).contiguous().transpose(0, -1).requires_grad_()

    given = [None if tensor is None else spread(tensor) for tensor in inputs(name, 3, 4, 5)]
    assert not any(tensor.is_contiguous() for tensor in given if tensor is not None and tensor.dim() > 1)
    y, end = FUSED[name](*given)
    check_equal(name, given)
    check_equal(name, given, [torch.ones(()).double().expand(y.shape), torch.ones(()).double().expand(end.shape)])


@pytest.mark.parametrize("name", CELLS)
def test_gradients_and_gradients_of_gradients(name):
    torch.manual_seed(0)
    given = inputs(name, 2, 3, 3)
    present = [tensor for tensor in given if tensor is not None]

    def function(*tensors):
        rest = iter(tensors)
        return FUSED[name](*(None if tensor is None else next(rest) for tensor in given))

    assert torch.autograd.gradcheck(function, present)
    assert torch.autograd.gradgradcheck(function, present)


def test_a_gradient_of_gradients_counts_each_path_once():
    """The skip of an SRU is what its gates are made of."""
    torch.manual_seed(0)
    layer, x = SRU(3, 3).double(), torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)

    def curvature():
        (slope,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), [x, *layer.parameters()])

    fused = curvature()
    with recurrence.loops_only():
        loops = curvature()
    torch.testing.assert_close(fused, loops)


@pytest.mark.parametrize("kind", CLOSE)
@pytest.mark.parametrize("name", CELLS)
def test_operators_are_what_torch_takes_them_for(name, kind):
    torch.manual_seed(0)
    given = inputs(name, 2, 4, 3, kind)
    torch.library.opcheck(FUSED[name], given)
    still = [tensor if tensor is None else tensor.detach() for tensor in given]
    y, end = FUSED[name](*still)
    backward = native_scans.qrnn_backward if name == "qrnn" else native_scans.sru_backward
    torch.library.opcheck(backward, (*still, y, end))
    torch.library.opcheck(backward, (*still, y, None))


@pytest.mark.parametrize("kind", CLOSE)
def test_sigmoid_and_tanh_are_those_of_torch(kind):
    """By a QRNN of one frame without a past: its cell is (1 - sigmoid(f)) * tanh(z), its output that times o."""
    x = torch.cat([torch.linspace(-30, 30, 4001), torch.logspace(-9, 1, 500), -torch.logspace(-9, 1, 500)]).to(kind)
    big, none = torch.full_like(x, 800.0), torch.zeros_like(x)
    zero = x.new_zeros(1, len(x))
    exact = x.double()
    _, tanh = native_scans.qrnn(torch.cat([x, -big, none])[None, None], zero)
    y, _ = native_scans.qrnn(torch.cat([big, -big, x])[None, None], zero)
    least = torch.finfo(kind).eps * 2
    assert ((tanh[0].double() - exact.tanh()) / exact.tanh()).abs().nan_to_num().max() <= least
    assert ((y[0, 0].double() - exact.sigmoid()) / exact.sigmoid()).abs().max() <= least


def test_what_is_not_a_number_stays_so_and_infinities_saturate():
    z, f, o = torch.tensor([[float("inf"), 0.0, 1.0], [0.0, float("-inf"), 1.0], [1.0, 0.0, float("nan")]]).T
    y, end = native_scans.qrnn(torch.cat([z, f, o])[None, None], torch.zeros(1, 3))
    expected = recurrence_loops.qrnn(torch.cat([z, f, o])[None, None], torch.zeros(1, 3))
    torch.testing.assert_close((y, end), expected, equal_nan=True)
    assert y.isnan().tolist() == [[[False, False, True]]]


def test_threads_make_no_difference():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    for name in CELLS:
        given = inputs(name, 4, 64, 520, torch.float32)
        errors = [torch.randn(4, 64, 520), torch.randn(4, 520)]
        found = []
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(results(FUSED[name], given, errors))
        torch.set_num_threads(threads)
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # torch's own, at its first dual number
@pytest.mark.parametrize(("kind", "place"), [(SRU, "sru"), (QRNN, "qrnn")])
def test_layers_take_the_operator_where_they_can(kind, place, monkeypatch):
    taken = []
    fused = getattr(native_scans, place)
    monkeypatch.setattr(native_scans, place, lambda *given: taken.append(place) or fused(*given))
    layer, x = kind(4, 4), torch.randn(2, 3, 4)

    def takes(run):
        taken.clear()
        run()
        return bool(taken)

    def observed():
        handle = layer.cell.register_forward_hook(lambda *_: None)
        layer(x)
        handle.remove()

    def observed_everywhere():
        with nullcontext(nn.modules.module.register_module_forward_hook(lambda *_: None)) as handle:
            layer(x)
            handle.remove()

    def forced():
        with recurrence.loops_only():
            layer(x)

    assert takes(lambda: layer(x))
    assert takes(lambda: layer(x, layer(x)[1]))
    assert takes(lambda: layer.double()(x.double()))
    assert not takes(lambda: layer.bfloat16()(x.bfloat16()))
    layer.float()
    assert not takes(observed)
    assert not takes(observed_everywhere)
    assert not takes(forced)
    assert not takes(lambda: torch.func.grad(lambda given: layer(given)[0].sum())(x))
    assert not takes(lambda: torch.func.jvp(lambda given: layer(given)[0], (x,), (x,)))
    with torch.autograd.forward_ad.dual_level():
        assert not takes(lambda: layer(torch.autograd.forward_ad.make_dual(x, x)))
    assert takes(lambda: layer(x))


def test_a_quantized_cell_is_heard_in_each_frame():
    layer, x = SRU(4, 4), torch.randn(2, 9, 4)
    layer.cell.register_forward_pre_hook(lambda _, given: (torch.round(given[0] * 4) / 4,))
    y, cell = layer(x)
    assert torch.equal(cell, torch.round(cell * 4) / 4)
    first, between = layer(x[:, :4])
    assert torch.allclose(torch.cat([first, layer(x[:, 4:], between)[0]], 1), y)


def test_a_cell_for_one_row_serves_them_all():
    layer, x = SRU(4, 4), torch.randn(3, 2, 4)
    assert torch.allclose(layer(x, torch.ones(1, 4))[0], layer(x, torch.ones(3, 4))[0])


def test_memory_that_does_not_fit_is_refused():
    gates, start = torch.randn(2, 3, 12), torch.randn(2, 4)
    with pytest.raises(ArgumentError, match=r"^start is torch.float32 of shape \(1, 4\) on cpu, wanted .*\(2, 4\)"):
        native_scans.qrnn(gates, start[:1])
    with pytest.raises(ArgumentError, match=r"^gates is .*\(2, 3, 12\) on cpu, wanted .* of shape \(2, 3, 15\)"):
        native_scans.qrnn(gates, torch.randn(2, 5))
    with pytest.raises(ArgumentError, match=r"^start is torch\.float64"):
        native_scans.qrnn(gates, start.double())
    with pytest.raises(ArgumentError, match=r"^start is torch\.bfloat16, wanted torch\.float32"):
        native_scans.qrnn(gates.bfloat16(), start.bfloat16())
    with pytest.raises(ArgumentError, match=r"^skip is .*\(2, 2, 4\)"):
        native_scans.sru(gates, torch.randn(8), gates[:, :2, :4], start)


def test_an_older_library_is_done_without(monkeypatch):
    class Older:
        def __getattr__(self, name):
            raise AttributeError(name)

    monkeypatch.setattr("fewbit.native.library.library", Older)
    training._functions.cache_clear()
    try:
        assert not training.is_available()
        assert SRU(3, 3)(torch.randn(1, 2, 3))[0].shape == (1, 2, 3)
        with pytest.raises(TargetError, match="lacks the training kernels"):
            training.run("sru_forward", (0, 0, 0, 4, 1))
    finally:
        monkeypatch.undo()
        training._functions.cache_clear()
    assert training.is_available()
    assert ctypes.sizeof(training.ExtentArgument) == 32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("make", [lambda: SRU(70, 70), lambda: SRU(5, 70), lambda: QRNN(5, 70)])
def test_triton_equals_the_loops(make):
    torch.manual_seed(0)
    layer = make().cuda()
    x = torch.randn(3, 17, layer.inputs, device="cuda", requires_grad=True)
    found = []
    for way in (nullcontext, recurrence.loops_only):
        with way():
            y, _ = layer(x)
            found.append((y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)
