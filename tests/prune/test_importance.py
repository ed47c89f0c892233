"""Laws of every importance, and what each single one measures."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fewbit.errors import ArgumentError, DataError, PruningError
from fewbit.passes import Quantize
from fewbit.prune import BestOfN, ClassificationScore, Magnitude, ParticleFilter, RandomMask, SearchWarning, Taylor
from fewbit.prune.elements import master_of, pruned_count
from fewbit.train import CrossEntropy
from tests.prune.small_networks import channels, images, network, rows, weighted

BATCHES = [images(30, seed=5), images(20, seed=6)]
SCORE = ClassificationScore(BATCHES)
ALL = {
    "magnitude": Magnitude(),
    "magnitude of order 1": Magnitude(norm=1),
    "taylor": Taylor(BATCHES, CrossEntropy()),
    "random": RandomMask(seed=3),
    "best of n": BestOfN(SCORE, tries=4),
    "best of n, by layer": BestOfN(SCORE, tries=4, scope="layer", rescore=SCORE),
    "particle filter": ParticleFilter(SCORE, particles=4, rounds=2, elite=1),
}
pytestmark = pytest.mark.filterwarnings("ignore::fewbit.prune.SearchWarning")


def with_history():
    """A network in mixed modes, with gradients, and one weight in few bits."""
    model = Quantize(weights={"3": "ternary"})(network()).train()
    model[1].eval()
    CrossEntropy()(model, BATCHES[0], 0.0).backward()
    return model


def everything(model):
    return (
        deepcopy(model.state_dict()),
        [module.training for module in model.modules()],
        [(p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()],
    )


def assert_equal(before, after):
    assert before[1] == after[1]
    assert all(torch.equal(value, after[0][name]) for name, value in before[0].items())
    for (wanted, gradient), (wanted_now, now) in zip(before[2], after[2], strict=True):
        assert wanted == wanted_now
        assert (gradient is None) == (now is None)
        assert gradient is None or torch.equal(gradient, now)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 0.99])
def test_counts_are_exact_and_the_model_is_left_alone(name, ratio):
    model = with_history()
    model[0].bias.requires_grad_(False)
    before = everything(model)
    masks = ALL[name](model, channels(), ratio)
    assert_equal(before, everything(model))
    assert list(masks) == ["0", "3"]
    for each in channels():
        assert masks[each.name].shape == (each.size,)
        assert masks[each.name].dtype == torch.bool
        assert int((~masks[each.name]).sum()) == pruned_count(each, ratio)


@pytest.mark.parametrize("name", ALL)
def test_the_same_measure_gives_the_same_masks(name):
    first, second = (ALL[name](with_history(), channels(), 0.5) for _ in range(2))
    assert all(mask.equal(second[key]) for key, mask in first.items())


@pytest.mark.parametrize("name", ALL)
def test_ratios_and_lone_elements_are_refused(name):
    with pytest.raises(ArgumentError, match=r"^ratio is 1; wanted the share"):
        ALL[name](network(), channels(), 1)
    with pytest.raises(PruningError, match=r"^fc has one of its units"):
        ALL[name](weighted(torch.ones(1)), rows(1), 0.5)


def broken(*_):
    raise KeyError("broken")


@pytest.mark.parametrize(
    "measure",
    [BestOfN(broken), BestOfN(SCORE, tries=2, rescore=broken), ParticleFilter(broken), Taylor(BATCHES, broken)],
)
def test_the_model_is_left_alone_when_what_judges_it_fails(measure):
    model = with_history()
    before = everything(model)
    with pytest.raises(KeyError, match="broken"):
        measure(model, channels(), 0.5)
    assert_equal(before, everything(model))


@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(st.floats(-4, 4, width=32), min_size=2, max_size=15),
    ratio=st.floats(0, 1, exclude_max=True),
    norm=st.sampled_from([0.5, 1, 2, 3]),
)
def test_magnitude_keeps_nothing_smaller_than_what_it_prunes(numbers, ratio, norm):
    values = torch.tensor(numbers)
    mask = Magnitude(norm)(weighted(values), rows(len(values)), ratio)["fc"]
    assert mask.all() or values[~mask].abs().max() <= values[mask].abs().min() * (1 + 1e-6)


def test_magnitude_sums_over_all_that_an_element_owns():
    model = network()
    with torch.no_grad():
        for each in channels()[0].owned:
            parameter = getattr(model.get_submodule(each.module), each.name)
            parameter[each.owners == 4] = 0  # nothing of channel 4 is left, so it goes first
            parameter[each.owners == 7] *= 0.1
    mask = Magnitude()(model, channels()[:1], 2 / 12)["0"]
    assert (~mask).nonzero().flatten().tolist() == [4, 7]


def test_the_order_of_the_norm_matters():
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data.copy_(torch.tensor([[3.0, 0.0], [2.0, 2.0]]))
    elements = rows(2)
    owned = elements[0].owned[0]
    wide = [elements[0].__class__("fc", "units", 2, (owned.__class__("", "weight", owned.owners.expand(2, 2)),))]
    assert Magnitude(1)(layer, wide, 0.5)["fc"].tolist() == [False, True]
    assert Magnitude(2)(layer, wide, 0.5)["fc"].tolist() == [True, False]


def test_of_equal_elements_the_first_are_pruned():
    assert Magnitude()(weighted(torch.ones(4)), rows(4), 0.5)["fc"].tolist() == [False, False, True, True]


def test_taylor_is_the_change_of_a_linear_loss():
    """For ``loss = sum c w`` the removal of ``w`` changes the loss by exactly ``c w``."""
    slopes = torch.tensor([1.0, 0.1, -5.0, 2.0, 0.0])
    layer = weighted(torch.tensor([1.0, 30.0, -0.1, 0.2, 100.0]))  # changes: 1, 3, 0.5, 0.4, 0

    def linear(model, batch, progress):
        assert progress == 1.0
        return batch * (slopes * model.weight[:, 0]).sum()

    mask = Taylor([torch.tensor(1.0), torch.tensor(-1.0)], linear)(layer, rows(5), 0.6)["fc"]
    assert mask.tolist() == [True, True, False, False, False]  # batches of opposite sign do not cancel
    assert layer.weight.grad is None


def test_taylor_sees_a_network_in_evaluation_mode():
    def objective(model, batch, progress):
        assert not any(module.training for module in model.modules())
        return CrossEntropy()(model, batch, progress)

    with torch.no_grad():  # of the caller
        assert list(Taylor(BATCHES, objective)(network().train(), channels(), 0.5)) == ["0", "3"]


def test_taylor_reads_quantized_weights_through_their_masters():
    model = with_history()
    elements = channels()
    masters = [master_of(model, owned) for each in elements for owned in each.owned]
    assert any(master is model[3].parametrizations.weight.original for master in masters)
    plain = Taylor(BATCHES, CrossEntropy())(model, elements, 0.5)
    model[3].parametrizations.weight.original.data.neg_()
    assert not all(
        mask.equal(plain[name]) for name, mask in Taylor(BATCHES, CrossEntropy())(model, elements, 0.5).items()
    )


def test_random_masks_differ_with_the_seed():
    masks = {tuple(RandomMask(seed)(network(), channels(), 0.5)["3"].tolist()) for seed in range(5)}
    assert len(masks) == 5


def test_nan_and_missing_data_are_refused():
    with pytest.raises(PruningError, match=r"^the importance of an element of fc is NaN; look for NaN in data"):
        Magnitude()(weighted(torch.tensor([1.0, float("nan")])), rows(2), 0.5)
    with pytest.raises(DataError, match=r"^Taylor: there are no batches; wanted one at least$"):
        Taylor([], CrossEntropy())(network(), channels(), 0.5)
    with pytest.raises(ArgumentError, match=r"^Magnitude: norm: saw 0 \(int\); wanted a number above 0$"):
        Magnitude(norm=0)


def test_warnings_of_a_search_are_of_their_own_class():
    assert issubclass(SearchWarning, UserWarning)
