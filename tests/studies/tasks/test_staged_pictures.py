"""The network of coarse pruning and the scores of its masks."""

import torch
from torch import nn

from fewbit.data import Images
from fewbit.prune import structure_of
from studies.tasks.staged_pictures import mask_scores, staged_network, staged_task


def test_widths_are_one_one_two_and_every_convolution_can_be_pruned():
    network = staged_network(3, 4, 10)
    widths = [module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert widths == [4, 4, 4, 8, 8]
    structure = structure_of(network, torch.randn(1, 3, 32, 32))
    assert [(each.name, each.size) for each in structure.elements] == [
        ("conv1a", 4), ("conv2a", 4), ("conv2b", 4), ("conv3a", 8), ("conv3b", 8),
    ]  # fmt: skip
    assert list(structure.refused) == ["scores"]


def test_two_scores_share_no_picture_and_see_no_test_data():
    def part(first: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = torch.arange(first, first + count)
        return numbers.float()[:, None, None, None].expand(-1, 1, 8, 8).contiguous(), numbers % 3

    images = Images(part(0, 20), part(100, 9), part(200, 9), classes=3)
    first, second = (
        {float(picture.max()) for pictures, _ in score.batches for picture in pictures} for score in mask_scores(images)
    )
    assert first == {100.0, 101.0, 102.0, 103.0}
    assert second == {104.0, 105.0, 106.0, 107.0}
    task = staged_task(images, size=2)
    assert {float(x.max()) for pictures, _ in task.batches(0) for x in pictures} == set(map(float, range(20)))
