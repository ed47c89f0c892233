"""Steps as graphs give what plain steps give; a stand-in for CUDA runs the step anew into the same tensors."""

from copy import deepcopy

import pytest
import torch

from fewbit.data import TensorBatches
from fewbit.distill import SPEQ, LogitKD
from fewbit.models import ResNet
from fewbit.passes import Finetune, Quantize, compress
from fewbit.train import CTC, CrossEntropy, linear
from studies.gpu.graph_losses import graph_loss
from studies.gpu.graphed import Graphed


def batches():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(12, 3, 8, 8, generator=generator)
    return TensorBatches(x, torch.randint(5, (12,), generator=generator), 4, seed=1)


class Recorder:
    """What a capture does, on a CPU; counts captures, and replays in the tensors of the first run."""

    def __init__(self, wrong=False):
        self.captures, self.wrong = 0, wrong

    def __call__(self, step):
        self.captures += 1
        loss, gradients = step()

        def replay():
            with torch.enable_grad():
                again, new = step()
            loss.copy_(again + (1.0 if self.wrong else 0.0))
            for old, value in zip(gradients, new, strict=True):
                if old is not None:
                    old.copy_(value)

        return replay, loss, gradients


def network():
    torch.manual_seed(0)
    return ResNet(5, blocks=1, width=0.25)


def trained(objective, weights, signals):
    steps = [Finetune(batches(), objective, 6, 0.05, progress=False)]
    if weights:
        calibration = [(batches().inputs,)] if signals else None
        steps.insert(0, Quantize(weights, signals, calibration=calibration))
    return compress(network(), *steps)


OBJECTIVES = {
    "plain": CrossEntropy,
    "taught": lambda: LogitKD(deepcopy(network()), 2.0, linear(1.0, 0.0)),
    "drawn": lambda: SPEQ(weight=linear(1.0, 0.5)),
}
TERNARY, TWO_BITS = "ternary+adaptive", {"*": "uint2+learned"}


@pytest.mark.parametrize(
    ("objective", "weights", "signals"),
    [
        ("plain", None, None),
        ("plain", TERNARY, TWO_BITS),
        ("taught", None, None),
        ("taught", TERNARY, None),
        ("drawn", TERNARY, TWO_BITS),
    ],
)
def test_training_by_graphs_ends_in_the_same_network(objective, weights, signals):
    recorder = Recorder()
    graphed = Graphed(OBJECTIVES[objective](), recorder)
    plain, replayed = (trained(one, weights, signals).state_dict() for one in (OBJECTIVES[objective](), graphed))
    assert graphed.equal
    assert all(torch.allclose(value, replayed[name], atol=1e-4) for name, value in plain.items())
    if weights is None:
        assert recorder.captures == 1
    else:  # a step that is estimated anew is another tensor, so that another capture follows
        assert 2 < recorder.captures < 18


def test_the_teacher_of_speq_is_drawn_for_each_batch():
    model = compress(network(), Quantize(TERNARY, TWO_BITS, calibration=[(batches().inputs,)]))
    batch = next(iter(batches()))
    form, speq = graph_loss(SPEQ(chance=0.5)), SPEQ(chance=0.5)
    found = []
    for _ in range(6):
        state = torch.get_rng_state()
        form.fill(model, batch, 0.0)
        mine = form(model, batch).item()
        torch.set_rng_state(state)
        found.append((mine, speq(model, batch, 0.0).item()))
    assert all(mine == pytest.approx(theirs, abs=1e-5) for mine, theirs in found)
    assert len({mine for mine, _ in found}) > 3


def test_a_graph_that_gives_something_else_is_not_used():
    graphed = Graphed(CrossEntropy(), Recorder(wrong=True))
    plain, doubted = (trained(one, None, None).state_dict() for one in (CrossEntropy(), graphed))
    assert graphed.equal is False
    assert all(torch.equal(value, doubted[name]) for name, value in plain.items())


def test_without_a_gpu_it_is_the_objective_itself():
    graphed = Graphed(CrossEntropy())
    plain, same = (trained(one, "ternary", None).state_dict() for one in (CrossEntropy(), graphed))
    assert graphed.equal is None or torch.cuda.is_available()
    assert all(torch.allclose(value, same[name], atol=1e-4) for name, value in plain.items())


def test_objectives_that_cannot_be_captured_stay_as_they_are():
    assert all(graph_loss(make()) is not None for make in OBJECTIVES.values())
    assert graph_loss(LogitKD(network(), hard=CTC())) is None
    recorder = Recorder()
    trained(Graphed(lambda model, batch, progress: CrossEntropy()(model, batch, progress), recorder), None, None)
    assert recorder.captures == 0
