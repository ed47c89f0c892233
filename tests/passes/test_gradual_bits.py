"""Bits that go down in stages: who gets the epochs, one progress through all stages, masters carried over."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fewbit.errors import QuantizationError
from fewbit.models import CharLM
from fewbit.passes import Finetune, Quantize, compress, gradual
from fewbit.quant import quantizer_of, quantizers
from fewbit.train import CrossEntropy

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, :3].sum(1) > 0).long() + (X[:, 3] > 0).long()


def batches(seed=0):
    return DataLoader(TensorDataset(X, Y), 16, shuffle=True, generator=torch.Generator().manual_seed(seed))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def finetune(epochs=6, objective=None, **more):
    return Finetune(batches(), objective or CrossEntropy(), epochs, 1e-2, progress=False, **more)


@pytest.mark.parametrize(
    ("stages", "epochs", "shares", "wanted"),
    [
        (["int8", "int4", "ternary"], 12, None, [3, 3, 6]),
        (["int4", "int3", "ternary"], 12, [1, 2, 3], [2, 4, 6]),
        (["int4", "ternary"], 5, None, [2, 3]),
        (["ternary"], 7, None, [7]),
        (["int4", "int3", "ternary"], 3, [0.0, 0.0, 1.0], [1, 1, 1]),
        (["sparse8,8", "sparse8,6", "sparse8,4", "sparse8,3", "sparse8,2"], 10, [1] * 5, [2] * 5),
        (["int4", "ternary", "sparse4=3", "sparse8,2+norm"], 6, None, [1, 1, 1, 3]),
    ],
)
def test_the_epochs_are_divided_and_none_is_added(stages, epochs, shares, wanted):
    passes = gradual(stages, finetune(epochs), shares)
    assert [step.epochs for step in passes if isinstance(step, Finetune)] == wanted
    assert [step.weights for step in passes if isinstance(step, Quantize)] == stages


class Watch(CrossEntropy):
    """Notes progress and the weight that the network shows."""

    def __init__(self):
        super().__init__()
        self.progress, self.levels = [], []

    def __call__(self, model, batch, progress):
        self.progress.append(progress)
        self.levels.append(len(model[0].weight.unique()))
        return super().__call__(model, batch, progress)


def test_the_objective_sees_one_progress_and_falling_levels():
    watch = Watch()
    compress(network(), *gradual(["int4", "int3", "ternary"], finetune(6, watch), [1, 2, 3]))
    assert watch.progress == pytest.approx([k / 24 for k in range(24)])
    stages = [watch.levels[:4], watch.levels[4:12], watch.levels[12:]]
    for most, stage in zip((15, 7, 3), stages, strict=True):
        assert max(stage) <= most
    assert min(stages[0]) > 7


def test_masters_are_carried_over_and_steps_are_fitted_anew():
    seen = []

    class Look:
        def __call__(self, model):
            stack = model[0].parametrizations.weight
            seen.append((stack.original.detach().clone(), quantizer_of(model[0])))
            return model

    passes = gradual(["int4", "ternary"], finetune(4))
    compress(network(), *passes[:2], Look(), passes[2], Look())
    assert torch.equal(seen[0][0], seen[1][0])
    assert torch.equal(seen[1][1].step, type(seen[1][1])(seen[1][1].format).fit(seen[0][0]).step)
    assert seen[0][1] is not seen[1][1]


def test_what_is_kept_stays_float_in_every_stage():
    model = compress(network(), *gradual(["int4", "ternary"], finetune(2), keep=["2"]))
    assert quantizer_of(model[2]) is None
    assert len(model[0].weight.unique()) <= 3


def test_the_last_stage_alone_is_plain_retraining():
    plain = compress(network(), Quantize("ternary"), finetune(4))
    alone = compress(network(), *gradual(["ternary"], finetune(4)))
    assert torch.equal(plain[0].weight, alone[0].weight)


class Stop(CrossEntropy):
    def __call__(self, model, batch, progress):
        if progress >= 0.7:
            raise KeyboardInterrupt
        return super().__call__(model, batch, progress)


def test_stopped_in_the_middle_of_a_stage_it_goes_on_to_the_same_steps_and_codes(tmp_path):
    text = [tuple(torch.randint(9, (2, 4, 10), generator=torch.Generator().manual_seed(i))) for i in range(3)]

    def run(objective, folder):
        torch.manual_seed(0)
        folder.mkdir(exist_ok=True)
        retraining = Finetune(text, objective, 8, 1e-2, checkpoint=folder / "stage", progress=False)
        specs = ["int4", "int3:row+adaptive", "ternary+adaptive"]
        return compress(CharLM(9, 8, 2, "lstm"), *gradual(specs, retraining))

    whole = run(CrossEntropy(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(Stop(), tmp_path / "broken")
    assert len(list((tmp_path / "broken").iterdir())) == 3
    again = run(CrossEntropy(), tmp_path / "broken")
    for (name, a), (_, b) in zip(quantizers(whole), quantizers(again), strict=True):
        assert torch.equal(a.scale, b.scale), name
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


def test_faults_are_said():
    for specs in ([], ["ternary", "int4"], ["int4", "int4"], ["ternary", "sparse8,8"], ["sparse8,2", "sparse8,3"]):
        with pytest.raises(QuantizationError, match="levels must fall from stage to stage"):
            gradual(specs, finetune())
    with pytest.raises(QuantizationError, match="3 stages, 2 epochs, shares None; wanted a share and at least one"):
        gradual(["int8", "int4", "ternary"], finetune(2))
    with pytest.raises(QuantizationError, match="wanted a share"):
        gradual(["int4", "ternary"], finetune(6), [1.0])
