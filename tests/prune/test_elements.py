"""Masks are on inside the block only, whatever the numbers are."""

import math

import pytest
import torch

from fewbit.errors import PruningError
from fewbit.prune import masked
from tests.prune.small_networks import channels, rows, trained, weighted

NUMBERS = torch.tensor([-2.0, math.nan, math.inf, 3.0])


def test_pruned_numbers_are_plain_zeros_and_come_back():
    layer = weighted(NUMBERS)
    with masked(layer, rows(4), {"fc": torch.tensor([False, False, False, True])}) as model:
        assert model is layer
        assert str(layer.weight.flatten().tolist()) == "[0.0, 0.0, 0.0, 3.0]"  # no -0, which would print differently
    assert torch.equal(layer.weight.flatten().nan_to_num(7.0), NUMBERS.nan_to_num(7.0))


def test_numbers_that_belong_to_two_elements_are_zero_where_one_of_them_is_pruned():
    model = trained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    keep = {"0": torch.arange(12) != 4, "3": torch.arange(15) >= 2}
    with masked(model, channels(), keep):
        dead = model[3].weight.detach().eq(0).all(-1).all(-1)
        assert dead.equal(~(keep["3"][:, None] & keep["0"]))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"x": torch.ones(4).bool()}, r"^there is nothing called 'x' to prune; there are \['fc'\]$"),
        ({"fc": torch.ones(4)}, r"^the mask of fc is torch.float32 of shape \(4,\); wanted 4 booleans$"),
        ({"fc": torch.ones(3).bool()}, r"^the mask of fc is torch.bool of shape \(3,\); wanted 4 booleans$"),
        ({"fc": torch.zeros(4).bool()}, r"^the mask of fc keeps nothing, and cuts the network in two"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, message):
    with pytest.raises(PruningError, match=message), masked(weighted(torch.ones(4)), rows(4), masks):
        pass
