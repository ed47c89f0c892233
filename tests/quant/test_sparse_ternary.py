"""Sparse ternary weights: the rule by hand, the step against all steps, groups of the packed columns, and the file."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import fewbit as fb
from fewbit.errors import FormatError, QuantizationError
from fewbit.formats import PerGroup, PerRow, PerToken, SparseTernary, Ternary, packed_shape
from fewbit.lower.weights import read_weight
from fewbit.passes import Finetune, Quantize, compress, read_recipe
from fewbit.quant import SparseTernaryUniform, activation_quantizer, attach, quantizer_of, weight_quantizer
from fewbit.train import CrossEntropy, fit


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_hand(weights, n, k, step):
    """The rule of the paper, a group at a time."""
    codes = []
    for start in range(0, len(weights), n):
        group = weights[start : start + n]
        kept = sorted(range(len(group)), key=lambda i: (-abs(group[i]), i))[:k]
        codes += [(w > 0) - (w < 0) if i in kept and abs(w) > step / 2 else 0 for i, w in enumerate(group)]
    return codes


@pytest.mark.parametrize(("n", "k"), [(2, 1), (4, 1), (8, 2), (8, 8), (16, 2)])
def test_the_rule_by_hand(n, k):
    w = normal(3, 21)
    for spec, steps in ((f"sparse{n},{k}", 1), (f"sparse{n},{k}:row", 3)):
        quantizer = weight_quantizer(spec).fit(w)
        scale = quantizer.step.expand(3, 1).flatten().tolist() if steps == 3 else [quantizer.step.item()] * 3
        wanted = [by_hand(row, n, k, step) for row, step in zip(w.tolist(), scale, strict=True)]
        assert quantizer.codes(w).values.tolist() == wanted
        assert quantizer.step.numel() == steps


def test_of_equal_weights_the_first_are_kept():
    for w in (torch.full((2, 8), 0.5), torch.tensor([[0.5, -0.5] * 4] * 2)):
        codes = weight_quantizer("sparse8,2").fit(w).codes(w).values
        assert codes.abs().tolist() == [[1, 1, 0, 0, 0, 0, 0, 0]] * 2


def alternated(kept, step):
    """Lloyd's algorithm from a step."""
    for _ in range(20):
        inside = kept[kept > step / 2]
        step = inside.mean() if len(inside) else step
    return step


@pytest.mark.parametrize("spec", ["sparse8,2", "sparse8,4", "sparse4,1", "sparse8,8"])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_step_has_a_smaller_error(spec, seed):
    w = normal(4, 40, seed=seed).pow(3)  # heavy tails, where alternation from one start can stop too early
    quantizer = weight_quantizer(spec).fit(w)
    kept = w.abs()[quantizer._kept(w)].double()

    def error(step):
        return (w.double().square().sum() - kept.square().sum()) + torch.where(
            kept > step / 2, (kept - step).square(), kept.square()
        ).sum()

    least = (quantizer(w) - w).double().square().sum()
    assert least == pytest.approx(error(quantizer.step.double()).item(), rel=1e-5)
    others = torch.linspace(0.01, 1.0, 500, dtype=torch.float64) * kept.max()
    starts = [alternated(kept, start) for start in (1.5 * w.abs().double().mean(), kept.mean(), kept.max())]
    assert least <= min(error(step).item() for step in [*others, *starts]) * (1 + 1e-6)


def test_zeros_are_zeros_and_steps_of_them_are_positive():
    w = torch.zeros(2, 16)
    for spec in ("sparse8,2", "sparse8,2:row", "sparse8,2+norm"):
        quantizer = weight_quantizer(spec).fit(w)
        assert quantizer(w).tolist() == w.tolist()
        assert (quantizer.step == 1).all()
    exact = weight_quantizer("sparse8=2:row").fit(w)
    assert exact.codes(w).values.tolist() == [[1, 1, 0, 0, 0, 0, 0, 0] * 2] * 2
    assert exact(w).abs().max() < 1e-37


def test_the_exact_form_keeps_k_and_has_their_mean_as_step():
    w = torch.tensor([[1.0, -0.1, 3.0, 0.2], [0.0, 0.0, -2.0, 0.0]])
    quantizer = weight_quantizer("sparse4=3").fit(w)
    assert quantizer.codes(w).values.tolist() == [[1, 0, 1, 1], [1, 1, -1, 0]]
    assert quantizer.step.item() == pytest.approx((1.0 + 3.0 + 0.2 + 2.0) / 6)
    assert torch.equal(quantizer(quantizer(w)), quantizer(w))
    with pytest.raises(QuantizationError, match="sparse4=3 needs whole groups of 4 inputs, not rows of 6; keep this"):
        weight_quantizer("sparse4=3").fit(normal(2, 6))


def test_norm_gives_rows_of_any_size_the_codes_of_rows_of_equal_size():
    w = normal(6, 64)
    w /= w.square().mean(1, keepdim=True).sqrt()
    sizes = torch.tensor([1e-3, 0.1, 1.0, 5.0, 30.0, 1e3])[:, None]
    plain, normed = weight_quantizer("sparse8,2").fit(w), weight_quantizer("sparse8,2+norm").fit(sizes * w)
    assert torch.equal(normed.codes(sizes * w).values, plain.codes(w).values)
    torch.testing.assert_close(normed.step, sizes * plain.step, rtol=1e-5, atol=0)
    assert normed.per == PerRow()
    assert normed.codes(w).scale.shape == (6, 1)
    # Without it the small rows vanish.
    assert not weight_quantizer("sparse8,2").fit(sizes * w)(sizes * w)[:3].any()


def test_all_weights_get_the_gradient():
    layer = attach(nn.Linear(8, 3), weights="sparse8,2")
    layer(torch.ones(1, 8)).sum().backward()
    assert (layer.parametrizations.weight.original.grad == 1).all()


def clouds():
    generator = torch.Generator().manual_seed(1)
    centres = 1.5 * normal(8, 16)
    cloud = torch.randint(8, (256,), generator=generator)
    return centres[cloud] + 0.6 * torch.randn(256, 16, generator=generator), cloud % 3


def batches():
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*clouds()), 64)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 3))


def test_positions_come_back_in_retraining():
    model = attach(network(), weights="sparse8,2")
    before = model[0].weight != 0
    fit(model, batches(), CrossEntropy(), epochs=10, lr=1e-2, progress=False)
    after = model[0].weight != 0
    assert (after & ~before).any()
    assert (functional.pad(after, (0, 0)).view(24, 2, 8).sum(-1) <= 2).all()


def test_the_step_is_fitted_anew_between_epochs_and_not_once_frozen():
    w = normal(4, 16)
    for spec in ("sparse8,2", "sparse8,2+norm", "sparse8=2:row"):
        quantizer = weight_quantizer(spec).fit(w)
        first = quantizer.step.clone()
        quantizer.follow(2 * w, 0.5)
        assert torch.equal(quantizer.step, first)
        quantizer.follow(2 * w, 1.0, epoch_ended=True)
        assert torch.equal(quantizer.step, first)
        quantizer.follow(2 * w, 0.5, epoch_ended=True)
        torch.testing.assert_close(quantizer.step, 2 * first)
        quantizer.freeze()
        quantizer.follow(w, 0.6, epoch_ended=True)
        torch.testing.assert_close(quantizer.step, 2 * first)
        assert torch.equal(quantizer.fit(w).step, first)
        quantizer.follow(2 * w, 0.5, epoch_ended=True)
        torch.testing.assert_close(quantizer.step, 2 * first)


def loss(model):
    x, y = clouds()
    with torch.no_grad():
        return functional.cross_entropy(model(x), y).item()


@pytest.mark.slow
def test_two_of_eight_learn_more_than_one_of_eight():
    def reached(spec):
        retrain = Finetune(batches(), CrossEntropy(), 20, 1e-2, progress=False)
        return loss(compress(network(), Quantize(spec), retrain))

    assert reached("sparse8,2") < reached("sparse8,1") < torch.tensor(3.0).log()


class Convolutions(nn.Module):
    """Channels last in time, one convolution over time and one over time and places."""

    def __init__(self, channels=16):
        super().__init__()
        self.one = nn.Conv1d(channels, 12, 3)

    def forward(self, x):
        return self.one(x.transpose(1, 2)).transpose(1, 2)


def packed(model, x, **more):
    student = compress(model, Quantize("sparse8,2", "int8", calibration=[x]))
    return student, fb.pack(student, example=[x], **more)


def counts(matrix):
    codes = torch.from_numpy(matrix.codes())
    return functional.pad(codes != 0, (0, -codes.shape[1] % 8)).view(len(codes), -1, 8).sum(-1)


@pytest.mark.parametrize("channels", [16, 12, 3])
def test_groups_of_a_convolution_over_time_are_those_of_its_packed_columns(channels):
    _, program = packed(Convolutions(channels), normal(2, 30, channels))
    (matrix,) = [matrix for op in program.ops for matrix in op.matrices()]
    assert (matrix.format, matrix.layout, matrix.columns) == (SparseTernary(8, 2), "pairs", 3 * channels)
    assert counts(matrix).max() == 2
    assert matrix.data.shape == (12, -(-3 * channels // 8))


@pytest.mark.parametrize("channels", [16, 3])
def test_groups_of_a_convolution_over_places_are_those_of_its_packed_columns(channels):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(channels, 8, (3, 2)), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 5))
    _, program = packed(model, normal(3, channels, 6, 5), time=None)
    matrices = [matrix for op in program.ops for matrix in op.matrices()]
    assert [matrix.format for matrix in matrices] == [SparseTernary(8, 2), matrices[1].format]
    assert counts(matrices[0]).max() == 2


def test_groups_at_a_tap_of_a_convolution_are_its_inputs():
    w = normal(4, 16, 3)
    quantizer = weight_quantizer("sparse8,2").fit(w)
    codes = quantizer.codes(w).values
    alone = torch.stack([weight_quantizer("sparse8,2").fit(w[..., tap])._kept(w[..., tap]) for tap in range(3)], -1)
    assert (codes != 0).any()
    assert not (codes.bool() & ~alone).any()
    assert torch.equal(quantizer._kept(w), alone)


def test_weights_whose_columns_are_moved_are_packed_as_ternary():
    class Transposed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(normal(16, 24))

        def forward(self, x):
            return x @ self.weight

    model = Transposed()
    x = normal(2, 9, 16)
    attach(model, weights={"weight": "sparse8,2"})
    program = fb.pack(model, example=[x])
    (matrix,) = [matrix for op in program.ops for matrix in op.matrices()]
    assert matrix.format == Ternary()
    assert (
        quantizer_of(model).codes(model.parametrizations.weight.original).values == torch.from_numpy(matrix.codes()).T
    ).all()


def test_recurrent_layers_have_groups_in_each_gate_row_of_both_matrices():
    torch.manual_seed(0)
    x = normal(2, 12, 16)
    _, program = packed(fb.nn.Chain(fb.nn.LSTM(16, 16), nn.Linear(16, 4)), x)
    lstm = next(op for op in program.ops if op.kind == "lstm")
    assert {matrix.format for matrix in lstm.matrices()} == {SparseTernary(8, 2)}
    assert all(counts(matrix).max() == 2 for matrix in lstm.matrices())


def test_two_of_eight_take_a_bit_a_weight():
    layer = attach(nn.Linear(1024, 64, bias=False), weights="sparse8,2")
    assert read_weight(layer, "weight").matrix().data.nbytes == 64 * 1024 // 8
    assert packed_shape(64, 1024, SparseTernary(8, 2)) == (64, 128)


STAGES = """
[[pass]]
kind = "gradual"
specs = ["sparse8,8", "sparse8,6", "sparse8,4", "sparse8,3", "sparse8,2"]
epochs = 5
shares = [1, 1, 1, 1, 1]
"""


def test_a_recipe_tightens_the_code_in_stages(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(STAGES)
    passes = read_recipe(path).passes(batches=batches(), objective=CrossEntropy(), progress=False)
    assert [step.weights for step in passes[::2]] == ["sparse8,8", "sparse8,6", "sparse8,4", "sparse8,3", "sparse8,2"]
    model = compress(network(), *passes)
    assert quantizer_of(model[0]).spec == "sparse8,2"
    assert (model[0].weight != 0).view(24, 2, 8).sum(-1).max() <= 2


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("sparse8,2/8", "sparse codes take :row or [+]norm, or neither; write 'sparse8,2'"),
        ("sparse8,2+adaptive", "sparse codes take :row or [+]norm"),
        ("sparse8,2+learned", "sparse codes take :row or [+]norm"),
        ("sparse8,2+twn", "sparse codes take :row or [+]norm"),
        ("sparse8,2:row+norm", "sparse codes take :row or [+]norm"),
        ("sparse8,2:token", "is a spec of signals"),
        ("int4+norm", "[+]norm is for sparse codes such as sparse8,2; write 'int4'"),
        ("sparse16,9", "sparse16,9 has"),
    ],
)
def test_other_specs_are_refused(spec, fault):
    with pytest.raises(FormatError, match=fault):
        weight_quantizer(spec)


def test_signals_and_groups_with_scales_are_refused():
    with pytest.raises(FormatError, match="'sparse8,2' is a spec of weights"):
        activation_quantizer("sparse8,2")
    for per, norm in ((PerGroup(8), False), (PerRow(), True)):
        with pytest.raises(QuantizationError, match="sparse8,2 has steps per tensor or row"):
            SparseTernaryUniform(SparseTernary(8, 2), per, norm)
    with pytest.raises(QuantizationError, match="weights have steps per tensor, row or group"):
        SparseTernaryUniform(SparseTernary(8, 2), PerToken())
