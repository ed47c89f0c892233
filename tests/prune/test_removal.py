"""The smaller network is the masked one: in float to rounding, and in the integers of its Program exactly."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import fewbit as fb
from fewbit import models
from fewbit import nn as layers
from fewbit.errors import PruningError
from fewbit.prune import add_masks, compact, remove, structure_of
from fewbit.quant import forget_flat_weights
from tests.lower.everyday import NETWORKS
from tests.prune.random_masks import as_if_trained, draw_masks, zeroed
from tests.prune.test_structure import Excite

HARD_CODED = {"voice activity"}
"""Networks that write the size of a layer into their code."""
HARD_CODED_HEADS = {"gpt, function", "gpt, by hand"}
"""Networks that take the width of the input for that of all heads."""


def tensors_of(result):
    """The float tensors of a result that are no states."""
    return [each for each in torch.utils._pytree.tree_leaves(result) if isinstance(each, Tensor)]


@pytest.mark.parametrize("name", NETWORKS)
def test_everyday_networks_get_smaller_and_stay_the_same(name):
    network = NETWORKS[name]
    model, x = network.model(), network.draw(2, network.frames)
    structure = structure_of(model, x)
    masks = draw_masks(structure)
    before = sum(parameter.numel() for parameter in model.parameters())
    reference = zeroed(model, structure, masks)
    if name in HARD_CODED:
        with pytest.raises(PruningError, match=r"the smaller network does not run: .*write the sizes in its code"):
            remove(model, masks, x)
        return
    if name in HARD_CODED_HEADS:
        heads = {each.name for each in structure.elements if each.kind == "heads"}
        with pytest.raises(PruningError, match="the smaller network does not run"):
            remove(deepcopy(model), masks, x)
        masks = {group: mask for group, mask in masks.items() if group not in heads}
        reference = zeroed(model, structure, masks)
    remove(model, masks, x)  # compares both itself, on the first result
    assert bool(masks) == (sum(parameter.numel() for parameter in model.parameters()) < before)
    args, named = fb.batches.call_of(model, x)
    with torch.no_grad():
        ours, wanted = model(*args, **named), reference(*args, **named)
    if hasattr(ours, "__dataclass_fields__"):
        ours, wanted = vars(ours), vars(wanted)
    for a, b in zip(tensors_of(ours), tensors_of(wanted), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


class Random(nn.Module):
    """Convolutions with padding, stride, dilation, groups, norms, shortcuts and other ends, drawn by hypothesis."""

    def __init__(self, draw: st.DrawFn) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        channels = draw(st.integers(1, 4))
        self.inputs = channels
        for _ in range(draw(st.integers(1, 4))):
            shape = draw(st.sampled_from(["plain", "plain", "depthwise", "grouped", "glu", "residual"]))
            outputs = {"depthwise": channels * draw(st.integers(1, 2)), "residual": channels}.get(
                shape, draw(st.integers(1, 6))
            )
            groups = channels if shape == "depthwise" else 1
            if shape == "grouped":
                groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
                outputs *= groups
            kernel, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
            same = (kernel - 1) * dilation
            conv = nn.Conv1d(
                channels,
                2 * outputs if shape == "glu" else outputs,
                kernel,
                stride=1 if shape == "residual" else draw(st.integers(1, 2)),
                padding=0 if shape == "residual" else draw(st.integers(0, 2)),
                dilation=dilation,
                groups=groups,
                bias=draw(st.booleans()),
            )
            parts: list[nn.Module] = [nn.ConstantPad1d((same, 0), 0.0)] if shape == "residual" else []
            parts.append(conv)
            if draw(st.booleans()):
                parts.append(nn.BatchNorm1d(conv.out_channels, affine=draw(st.booleans())))
            parts.append(nn.GLU(1) if shape == "glu" else draw(st.sampled_from(ACTIVATIONS))())
            block = nn.Sequential(*parts)
            block.residual = shape == "residual"
            self.blocks.append(block)
            channels = outputs
        self.pooled = draw(st.booleans())
        self.head = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x) if block.residual else block(x)
        x = x.mean(-1) if self.pooled else x.flatten(1)
        return self.head(x)


ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.Softplus, nn.Identity, nn.Hardsigmoid]


@settings(max_examples=20, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(data=st.data(), seed=st.integers(0, 1000), ratio=st.sampled_from([0.2, 0.5, 0.8]))
def test_random_networks(data, seed, ratio):
    torch.manual_seed(seed)
    model = Random(data.draw)
    x = torch.randn(2, model.inputs, 150)
    model(x)  # gives the last layer its size
    as_if_trained(model, seed).double()
    x = x.double()
    structure = structure_of(model, x)
    masks = draw_masks(structure, ratio, seed)
    wanted = zeroed(model, structure, masks)(x)
    convolutions = [part for part in model.modules() if isinstance(part, nn.Conv1d)]
    grouped = [part for part in convolutions if part.groups > 1 and part.weight.shape[1] > 1]
    remove(model, masks, x)
    torch.testing.assert_close(model(x), wanted, atol=1e-9, rtol=1e-9)
    if any(part.weight.shape[1] == 1 for part in grouped):
        return  # groups with one input left are depthwise, and channels that had to be alike are not tied any more
    for name, mask in masks.items():
        found = structure_of(model, x).groups
        if name in found:
            assert found[name].elements.size == int(mask.sum())


class Scores(nn.Module):
    """A recurrent tagger of torch."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.front, self.rnn, self.head = nn.Linear(9, 6), kind(6, 8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(functional.relu(self.front(x)))[0])


PACKED = {
    "resnet": (lambda: models.ResNet(10, 1, 0.5), (2, 3, 32, 32)),
    "convnet": (lambda: models.convnet(1, 8, 10, 8), (2, 1, 8, 8)),
    "gates and joins": (Excite, (2, 3, 4, 4)),
    "sru": (lambda: models.SpeechRNN(8, 12, 2, 5), (2, 20, 8)),
    "qrnn": (lambda: layers.Chain(layers.QRNN(8, 10, 3), layers.QRNN(10, 12), nn.Linear(12, 4)), (2, 20, 8)),
    "gru": (lambda: layers.Chain(layers.GRU(8, 10), nn.Linear(10, 4)), (2, 20, 8)),
    "torch lstm": (lambda: Scores(nn.LSTM), (2, 7, 9)),
    "torch gru": (lambda: Scores(nn.GRU), (2, 7, 9)),
}


@pytest.mark.parametrize("weights", ["ternary", "int4:row"])
@pytest.mark.parametrize("name", PACKED)
def test_the_compacted_network_packs_to_the_same_integers(name, weights):
    build, shape = PACKED[name]
    torch.manual_seed(2)
    model, x = as_if_trained(build()), torch.randn(shape)
    structure = structure_of(model, x)
    add_masks(model, structure.elements, draw_masks(structure))
    fb.calibrate(fb.attach(model, weights=weights, activations="int8"), [x])
    small = compact(deepcopy(forget_flat_weights(model)), x)
    whole, less = fb.pack(model, example=x), fb.pack(small, example=x)
    frames = x[0].numpy()
    np.testing.assert_array_equal(whole(frames), less(frames))
    assert len(less.to_bytes()) < len(whole.to_bytes())


def test_a_pruned_stream_gives_the_same_for_any_split():
    model, x = as_if_trained(models.SpeechRNN(8, 12, 2, 5)), torch.randn(1, 24, 8)
    remove(model, draw_masks(structure_of(model, x)), x)
    whole, state = model(x)
    parts, after = [], None
    for chunk in x.split([5, 1, 11, 7], 1):
        y, after = model(chunk, after)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)
    assert state[5].shape == (1, 6)  # the cell of the first layer

    fb.calibrate(fb.attach(model, weights="ternary", activations="int8"), [x])
    program = fb.pack(model)
    frames, found, kept = x[0].numpy(), [], program.init_state()
    for first, last in ((0, 5), (5, 6), (6, 17), (17, 24)):
        codes, kept = program.step(frames[first:last], kept)
        found.append(codes)
    codes, _ = program.step(frames, program.init_state())
    np.testing.assert_array_equal(np.concatenate(found), codes)


def test_a_state_returned_by_the_users_own_network_gets_smaller():
    class Streaming(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 2)

        def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
            y, state = self.rnn(x, state)
            return self.head(y), state

    model, x = Streaming().eval(), torch.randn(2, 5, 4)
    remove(model, {"rnn": torch.arange(6) < 2}, x)
    scores, state = model(x)
    assert (scores.shape, state.shape) == ((2, 5, 2), (1, 2, 2))


def test_a_layer_without_a_bias_gets_one_for_what_a_pruned_channel_gives():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2, bias=False))
    x, weight = torch.randn(5, 3), model[2].weight.detach().clone()
    remove(model, {"0": torch.tensor([True, False, True, True])}, x)
    torch.testing.assert_close(model[2].bias, 0.5 * weight[:, 1])


def test_nothing_pruned_is_nothing_changed():
    model, x = models.convnet(1, 4, 10, 8).eval(), torch.randn(1, 1, 8, 8)
    before = deepcopy(model.state_dict())
    remove(model, {}, x)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"3": torch.ones(4, dtype=torch.bool)}, r"there is nothing called '3' to prune; there are \['0'"),
        ({"0": torch.ones(3, dtype=torch.bool)}, r"the mask of 0 is torch.bool of shape \(3,\); wanted 4 booleans"),
        ({"0": torch.ones(4)}, "the mask of 0 is torch.float32"),
        ({"0": torch.zeros(4, dtype=torch.bool)}, "the mask of 0 keeps nothing, and cuts the network in two"),
    ],
)
def test_masks_that_do_not_fit_are_refused_before_anything_is_cut(masks, message):
    model, x = models.convnet(1, 4, 10, 8).eval(), torch.randn(1, 1, 8, 8)
    with pytest.raises(PruningError, match=message):
        remove(model, masks, x)
    assert model[0].weight.shape[0] == 4


def test_steps_for_groups_of_weights_are_not_cut():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    fb.attach(model, weights="int4/2")
    with pytest.raises(
        PruningError, match="has a step for each group of weights, which a cut would shift; prune first"
    ):
        remove(model, {"0": torch.arange(6) < 3}, torch.randn(2, 4))


def test_groups_that_lose_all_but_one_input_do_not_become_depthwise():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 4, 1), nn.ReLU(), nn.Conv1d(4, 6, 3, groups=2), nn.ReLU(), nn.Conv1d(6, 2, 1))
    x = torch.randn(2, 4, 9)
    structure = structure_of(model, x)
    masks = {each.name: torch.arange(each.size) < 1 for each in structure.elements}
    wanted = zeroed(model, structure, masks)(x)
    remove(model, masks, x)
    assert (model[2].groups, tuple(model[2].weight.shape)) == (2, (2, 1, 3))
    torch.testing.assert_close(model(x), wanted)
