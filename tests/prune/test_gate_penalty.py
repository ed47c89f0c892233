"""The price of gates: its warm-up, its controller, its frozen share, and the optimizer of gates."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from fewbit.errors import ArgumentError, PruningError
from fewbit.models import Decoder
from fewbit.prune import GatePenalty, add_gates, gate_optimizer, gates_on, structure_of
from fewbit.train import CrossEntropy, SymmetricSGD, fit

TEXT = torch.randint(0, 9, (4, 13), generator=torch.Generator().manual_seed(0))
BATCH = TEXT[:, :-1], TEXT[:, 1:]


def network(start: float = 2.0) -> Decoder:
    torch.manual_seed(0)
    model = Decoder(9, 16, 4, 2)
    groups = [group for group in structure_of(model, BATCH[0]).groups.values() if group.elements.kind == "heads"]
    add_gates(model, groups, start=start)
    return model


def nothing(model: nn.Module, batch: object, progress: float) -> torch.Tensor:
    """An objective that has no opinion about heads."""
    return torch.zeros(())


def openness(model: nn.Module) -> torch.Tensor:
    return torch.cat([each.openness.detach() for each in gates_on(model).values()])


def price(model: nn.Module, objective: GatePenalty, progress: float) -> float:
    """``lambda`` at a progress."""
    open_chances = sum(each.penalty() for each in gates_on(model).values())
    return float((objective(model, BATCH, progress) / open_chances).detach())


def test_the_price_grows_over_the_warm_up():
    model = network()
    prices = [price(model, GatePenalty(nothing, 0.3, warmup=0.1), at) for at in (0.0, 0.05, 0.1, 0.7)]
    assert prices == pytest.approx([0.0, 0.15, 0.3, 0.3], abs=1e-6)
    assert price(model, GatePenalty(nothing, 0.3, warmup=0.0), 0.0) == pytest.approx(0.3)


def test_the_loss_is_that_of_the_objective_and_the_price_of_all_gates():
    model = network().eval()
    plain, priced = CrossEntropy()(model, BATCH, 0.5), GatePenalty(CrossEntropy(), 0.1)(model, BATCH, 0.5)
    assert float((priced - plain).detach()) == pytest.approx(0.1 * 8 * float(torch.sigmoid(torch.tensor(2.7985))))


def test_the_controller_raises_the_price_while_too_many_gates_are_open_and_drops_it_then():
    model, objective = network(), GatePenalty(nothing, 0.02, target=6)
    prices = [price(model, objective, at) for at in (0.0, 0.1, 0.2, 0.3)]
    assert prices[0] == pytest.approx(0.02 * math.e, rel=1e-4)  # a quarter too many
    assert [b / a for a, b in pairwise(prices)] == pytest.approx([2.71828] * 3, rel=1e-3)
    gates_on(model)["blocks.0.attention"].openness.data[:2] = -1
    assert price(model, objective, 0.4) == 0
    gates_on(model)["blocks.0.attention"].openness.data[:1] = 1  # one opens again
    assert prices[1] < price(model, objective, 0.45) < prices[3]


@pytest.mark.parametrize("target", [2, 5, 8])
def test_training_ends_near_the_target_whatever_the_weight(target):
    """Heads are worth nothing here but what their size says: the controller has to stop by itself."""
    for weight in (1e-3, 1.0):
        model = network()

        def worth(model, batch, progress):
            values = torch.cat([each.values() for each in gates_on(model).values()])
            return (values.new_tensor([0.5, 0.1, 0.4, 0.2, 0.3, 0.05, 0.6, 0.7]) * (1 - values)).sum()

        for each in gates_on(model).values():
            each.scaled = False
        fit(
            model,
            [BATCH] * 100,
            GatePenalty(worth, weight, target=target),
            epochs=4,
            lr=1e-3,
            optimizer=gate_optimizer(model, factor=20),
            progress=False,
        )
        assert abs(int((openness(model) >= 0).sum()) - target) <= 1


def test_frozen_gates_are_held_and_left_as_they_were():
    model = network()
    gates_on(model)["blocks.0.attention"].openness.data[:] = torch.tensor([-1.0, 1.0, -2.0, 3.0])
    before, seen = openness(model), []

    def watching(model, batch, progress):
        seen.append([each.values().tolist() for each in gates_on(model).values()])
        return CrossEntropy()(model, batch, progress)

    objective = GatePenalty(watching, 0.1, frozen=0.25)
    loss = objective(model, BATCH, 0.75)
    assert seen == [[[0.0, 2.0, 0.0, 2.0], [1.0] * 4]]
    loss.backward()
    assert all(each.openness.grad is None and each.held is None for each in gates_on(model).values())
    assert torch.equal(openness(model), before)
    objective(model, BATCH, 0.74).backward()
    assert all(each.openness.grad is not None for each in gates_on(model).values())
    with pytest.raises(ZeroDivisionError):
        GatePenalty(lambda *_: 1 / 0, frozen=0.5)(model, BATCH, 1.0)
    assert all(each.held is None for each in gates_on(model).values())


def test_frozen_gates_meet_the_target():
    model = network()
    gates_on(model)["blocks.1.attention"].openness.data[:] = torch.tensor([0.1, 1.0, 0.2, 3.0])
    seen = []

    def watching(model, batch, progress):
        seen.extend(int((each.values() > 0).sum()) for each in gates_on(model).values())
        return CrossEntropy()(model, batch, progress)

    GatePenalty(watching, target=6, frozen=0.25)(model, BATCH, 0.9)
    assert seen == [4, 2]


@pytest.mark.parametrize("kind", [None, partial(AdamW, weight_decay=0.3), SGD, SymmetricSGD])
def test_gates_learn_faster_and_do_not_decay(kind):
    model = network()
    groups = gate_optimizer(model, kind, factor=7.0)(model.parameters(), lr=0.01).param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.01, 0.07])
    assert groups[1]["weight_decay"] == 0
    mine = {id(each.openness) for each in gates_on(model).values()}
    assert {id(parameter) for parameter in groups[1]["params"]} == mine
    assert len(groups[0]["params"]) == len(list(model.parameters())) - 2


def test_a_network_without_gates_is_refused():
    with pytest.raises(PruningError, match="Decoder has no gates to learn; put them on it with add_gates"):
        GatePenalty(CrossEntropy())(Decoder(9, 16, 4, 1), BATCH, 0.5)


@pytest.mark.parametrize("about", [{"weight": -1.0}, {"warmup": 1.5}, {"frozen": 1.0}])
def test_settings_out_of_range_are_refused(about):
    with pytest.raises(ArgumentError, match="wanted a weight from 0, a warm-up in"):
        GatePenalty(CrossEntropy(), **about)
