"""Every method of retraining on networks and batches it was not meant for: a right result, or an error that helps."""

import math
import re
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn

from fewbit.distill import SPEQ, LogitKD
from fewbit.errors import ArgumentError, DataError, FewbitError, QuantizationError, SelectionError
from fewbit.passes import SQWA, Finetune, Quantize, compress, gradual
from fewbit.quant import activation_quantizer, attach, calibrate, detach, quantizer_of, weight_names, weight_quantizer
from fewbit.train import CrossEntropy, SymmetricSGD, refresh_norms

SPECS = (
    *("ternary", "binary", "int4:row", "int4/3", "ternary+adaptive", "int4:row+adaptive", "ternary+learned"),
    *("ternary+twn", "sparse8,2", "sparse4,1+norm"),
)
NAN = math.nan


def data(dtype=torch.float32, rows=8):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(2, rows, 6, generator=generator), torch.randint(0, 3, (2, rows), generator=generator)
    return list(zip(x.to(dtype), y, strict=True))


def empty():
    return torch.zeros(0, 6), torch.zeros(0, dtype=torch.long)


def network(norm=True):
    torch.manual_seed(0)
    between = [nn.BatchNorm1d(8)] if norm else []
    return nn.Sequential(nn.Linear(6, 8), *between, nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def finetune(batches, objective=None, **more):
    return Finetune(batches, objective or CrossEntropy(), 1, progress=False, **more)


def quantized(spec, batches, teacher):
    return [Quantize(spec), finetune(batches)]


def with_signals(spec, batches, teacher):
    return [Quantize("ternary", spec, calibration=batches), finetune(batches)]


def averaged(batches, teacher, spec="ternary+adaptive", **more):
    more = {"warmup_epochs": 1, "finetune_epochs": 1} | more
    return [Quantize(spec), SQWA(batches, CrossEntropy(), cycles=3, progress=False, **more)]


METHODS: dict[str, Callable] = {
    **{spec: partial(quantized, spec) for spec in SPECS},
    **{f"signals {spec}": partial(with_signals, spec) for spec in ("int8", "uint2+learned", "int8:token")},
    "LogitKD": lambda batches, teacher: [Quantize("ternary"), finetune(batches, LogitKD(teacher))],
    "SPEQ": lambda batches, teacher: [Quantize("ternary", "int2", calibration=batches), finetune(batches, SPEQ())],
    "gradual": lambda batches, teacher: gradual(
        ["int4", "ternary"], Finetune(batches, CrossEntropy(), 2, progress=False)
    ),
    "SymmetricSGD": lambda batches, teacher: [
        Quantize("ternary"),
        finetune(batches, optimizer=partial(SymmetricSGD, alpha=0.2), clip_norm=math.inf),
    ],
    "SQWA": averaged,
    "SQWA mean": partial(averaged, spec="ternary", average=True, finetune_epochs=0),
    "SQWA learned": partial(averaged, spec="int4:row+learned", refit=True),
}


def zeros():
    model = network()
    for layer in (model[0], model[3]):
        nn.init.zeros_(layer.weight)
    return model


def one_element():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 1), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 3))


def constant_channels():
    model = network()
    with torch.no_grad():
        model[0].weight[2] = 0.0
        model[3].weight[1] = 0.25
        model[5].weight.fill_(0.1)
    return model


def transposed():
    model = network()
    for layer in (model[0], model[3]):
        layer.weight = nn.Parameter(layer.weight.detach().t().contiguous().t())
        assert not layer.weight.is_contiguous()
    return model


def same_module_twice():
    torch.manual_seed(0)
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, 3))


def tied():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    model[2].weight = model[0].weight
    return model


def frozen_first():
    model = network()
    with torch.no_grad():
        model[0].weight[0, 0] = 3.0  # far outside the grid, where clipping would be seen
    model[0].requires_grad_(False)
    return model


NETWORKS = [zeros, one_element, constant_channels, transposed, same_module_twice, tied, frozen_first]


def run(make, method, batches=None):
    teacher = make()
    return compress(teacher, *METHODS[method](batches or data(), teacher))


def read(model, name):
    path, _, leaf = name.rpartition(".")
    return getattr(model.get_submodule(path), leaf).detach()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_unusual_networks_become_finite_networks_on_their_grid(make, method):
    student = run(make, method)
    assert all(bool(value.isfinite().all()) for value in student.state_dict().values())
    y = student.eval()(data()[0][0])
    assert y.shape == (8, 3)
    assert bool(y.isfinite().all())
    names = weight_names(student)
    assert len(names) == len(weight_names(make())) > 0
    for name in names:
        path, _, leaf = name.rpartition(".")
        quantizer = quantizer_of(student.get_submodule(path), leaf)
        weight = read(student, name)
        assert torch.equal(quantizer.codes(weight).dequantize(), weight), name


@pytest.mark.parametrize("method", METHODS)
def test_nan_in_a_weight_is_refused_by_the_name_of_the_weight(method):
    def broken():
        model = network()
        with torch.no_grad():
            model[3].weight[1, 1] = NAN
        return model

    with pytest.raises(QuantizationError, match=r"^3\.weight: .* 1 of 64 numbers are NaN or infinite"):
        run(broken, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("place", [0, 1])
def test_nan_in_a_batch_is_refused_and_the_data_are_named(method, place):
    batches = data()
    batches[place][0][2, 3] = NAN
    with pytest.raises(FewbitError, match=r"look for NaN in (the )?data"):
        run(network, method, batches)


def test_a_gradient_of_nan_is_found_though_every_loss_was_finite():
    def objective(model, batch, progress):
        return CrossEntropy()(model, batch, progress) + (0 * model[0].bias).sqrt().sum()

    with pytest.raises(
        DataError, match=r"fit: 0\.\w+ became NaN or infinite in epoch 1 of 1; look for NaN in the data"
    ):
        compress(network(), Quantize("ternary"), finetune(data()[:1], objective))


def test_nan_in_calibration_names_the_module_that_saw_it():
    x = torch.zeros(4, 6)
    x[0, 0] = NAN
    with pytest.raises(
        QuantizationError, match=r"^0: signal in calibration: 1 of 24 numbers are NaN or infinite; look"
    ):
        calibrate(attach(network(), "ternary", "int8"), [x])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", [True, False])
def test_an_empty_batch_in_training_is_refused(method, norm):
    with pytest.raises(DataError, match=re.escape("a batch of shape (0, 6) is empty and has no loss; leave empty")):
        run(partial(network, norm), method, [*data(), empty()])


@pytest.mark.parametrize("spec", ["int8", "uint2+learned", "int8:token"])
def test_an_empty_batch_in_calibration_counts_for_nothing(spec):
    batches = data()
    one = calibrate(attach(network(), "ternary", spec), batches)
    other = calibrate(attach(network(), "ternary", spec), [empty(), *batches])
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    with pytest.raises(QuantizationError, match="0: all signals in calibration are empty; give batches with rows"):
        calibrate(attach(network(), "ternary", spec), [empty()])


@pytest.mark.parametrize("spec", ["int8", "uint2+learned", "int8:token"])
def test_an_empty_batch_gives_an_empty_output(spec):
    model = calibrate(attach(network(), "ternary", spec), data()).eval()
    assert model(empty()[0]).shape == (0, 3)


@pytest.mark.parametrize("spec", SPECS)
def test_zeros_stay_zeros_and_do_not_divide(spec):
    layer = nn.Linear(4, 4)
    nn.init.zeros_(layer.weight)
    attach(layer, spec)
    wanted = {1.0} if spec == "binary" else {0.0}  # a binary code has no zero
    assert set(layer.weight.abs().flatten().tolist()) == wanted
    layer(torch.ones(1, 4)).sum().backward()
    assert bool(layer.parametrizations.weight.original.grad.isfinite().all())


# Of a sparse group few numbers are kept, however alike they are.
@pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.startswith("sparse")])
def test_one_number_and_rows_of_one_number_are_kept(spec):
    single = attach(nn.Linear(1, 1), spec)
    assert torch.allclose(single.weight, single.parametrizations.weight.original, rtol=1e-6)
    rows = nn.Linear(6, 3)
    with torch.no_grad():
        rows.weight.copy_(torch.tensor([0.5, -0.5, 0.5])[:, None].expand(3, 6))
    plain = rows.weight.detach().clone()
    assert torch.allclose(attach(rows, spec).weight, plain, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_transposed_parameter_is_trained_like_a_plain_one(method):
    plain, turned = run(network, method), run(transposed, method)
    for name in weight_names(plain):
        assert torch.allclose(read(plain, name), read(turned, name), rtol=1e-5, atol=1e-7), name


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", [same_module_twice, tied], ids=lambda make: make.__name__)
def test_what_is_shared_stays_shared(make, method):
    student = run(make, method)
    assert quantizer_of(student[0]) is quantizer_of(student[2])
    assert student[0].parametrizations.weight.original is student[2].parametrizations.weight.original
    assert torch.equal(student[0].weight, student[2].weight)
    assert torch.equal(detach(student)[0].weight, student[2].weight)


@pytest.mark.parametrize("method", METHODS)
def test_frozen_weights_are_quantized_and_not_changed(method):
    before = frozen_first()
    student = run(frozen_first, method)
    if "learned" not in method:
        assert torch.equal(student[0].weight, run_first(before, method)[0].weight)
    assert not student[0].parametrizations.weight.original.requires_grad
    assert torch.equal(detach(student)[0].weight, before[0].weight)
    assert not torch.equal(student[3].weight, before[3].weight)


def run_first(model, method):
    """The network as the last direct quantization of a method leaves it."""
    passes = [step for step in METHODS[method](data(), model) if isinstance(step, Quantize)]
    return compress(model, *passes)


@pytest.mark.parametrize("method", [*SPECS, "LogitKD", "gradual", "SymmetricSGD", "SQWA", "SQWA mean"])
def test_a_network_without_anything_to_train_is_refused(method):
    def frozen():
        return network().requires_grad_(False)

    if method == "ternary+learned":  # the steps can be learned all the same
        assert run(frozen, method)
        return
    with pytest.raises(ArgumentError, match=r"nothing to train: no parameter has requires_grad=True"):
        run(frozen, method)


@pytest.mark.parametrize("method", METHODS)
def test_a_network_without_weights_is_refused(method):
    with pytest.raises(SelectionError, match="Flatten has no weights to quantize"):
        run(nn.Flatten, method)


def test_signals_alone_that_reach_nothing_are_refused():
    with pytest.raises(SelectionError, match="activations='int8' finds no signal: no module has quantized weights"):
        attach(network(), activations="int8")
    assert calibrate(attach(network(), activations={"*": "int8"}), data())


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("shape", [(0, 6), (6, 0)])
def test_a_weight_without_numbers_is_refused_by_its_name(spec, shape):
    model = nn.Sequential(nn.Linear(6, 6))
    model[0].weight = nn.Parameter(torch.zeros(shape))
    with pytest.raises(
        QuantizationError, match=r"^0\.weight: a weight of shape .* has no numbers to quantize; keep it"
    ):
        attach(model, spec)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("spec", SPECS)
def test_half_precision_is_quantized_on_its_grid(spec, dtype):
    model = attach(nn.Linear(7, 5).to(dtype), spec)
    quantizer = quantizer_of(model)
    codes = quantizer.codes(model.parametrizations.weight.original.detach())
    assert model.weight.dtype == codes.scale.dtype == dtype
    assert set(codes.values.unique().tolist()) <= set(quantizer.format.levels().tolist())
    assert torch.equal(model.weight, codes.dequantize())
    whole = weight_quantizer(spec).fit(model.parametrizations.weight.original.detach().float())
    assert torch.allclose(codes.scale.float(), whole.scale, rtol=2**-8)
    assert model(torch.ones(2, 7, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("spec", ["int8", "uint4", "ternary", "int8:token", "uint2+learned", "q3.12"])
def test_signals_in_half_precision_stay_in_it(spec, dtype):
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    quantizer = activation_quantizer(spec).fit(x)
    y = quantizer(x)
    assert y.dtype == dtype
    assert bool(y.isfinite().all())
    assert set(quantizer.codes(x).values.unique().tolist()) <= set(quantizer.format.levels().tolist())


@pytest.mark.parametrize("method", METHODS)
def test_bfloat16_trains_and_stays_bfloat16(method):
    student = run(lambda: network().bfloat16(), method, data(torch.bfloat16))
    assert {value.dtype for value in student.parameters()} == {torch.bfloat16}
    assert bool(student.eval()(data(torch.bfloat16)[0][0]).isfinite().all())


@pytest.mark.parametrize("method", METHODS)
def test_training_float16_masters_is_refused(method):
    with pytest.raises(ArgumentError, match=r"0\.\w+ is float16, in which updates vanish or overflow; train"):
        run(lambda: network().half(), method, data(torch.float16))


def test_numbers_too_small_for_half_precision_are_refused():
    model = nn.Sequential(nn.Linear(6, 6)).half()
    with torch.no_grad():
        model[0].weight.fill_(1e-7)
    with pytest.raises(QuantizationError, match=r"^0\.weight: .* so small that their step is 0 in float16; scale them"):
        attach(model, "int8")
    assert attach(model.float(), "int8")
    signal = torch.full((2, 3), 1e-7, dtype=torch.float16)
    with pytest.raises(QuantizationError, match=r"signal to calibrate with: .* step is 0 in float16"):
        activation_quantizer("int8").fit(signal)
    assert activation_quantizer("int8:token")(signal).tolist() == [[0.0] * 3] * 2


def test_statistics_are_refreshed_without_empty_batches_and_kept_when_that_fails():
    torch.manual_seed(0)
    x = 3 * torch.randn(50, 2) + 5
    norm = refresh_norms(nn.Sequential(nn.BatchNorm1d(2)), [x[:0], x])[0]
    assert torch.allclose(norm.running_mean, x.mean(0), rtol=1e-5)
    assert torch.allclose(norm.running_var, x.var(0), rtol=1e-5)
    before = deepcopy(norm.state_dict())
    for batches, message in (([], "saw a batch"), ([x[:0]], "saw a batch"), ([x, x * NAN], "look for NaN in data")):
        with pytest.raises(DataError, match=message):
            refresh_norms(nn.Sequential(norm), batches)
        assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
        assert norm.momentum == 0.1


def test_a_norm_that_is_not_called_keeps_its_statistics():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.aside = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
            self.aside.running_mean.fill_(7.0)

        def forward(self, x):
            return self.used(x)

    model = refresh_norms(Unused(), [torch.randn(9, 2)])
    assert model.aside.running_mean.tolist() == [7.0, 7.0]
    assert model.used.running_mean.abs().sum() > 0
