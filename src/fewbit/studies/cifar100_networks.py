"""ResNet-20 on CIFAR-100, at the published size only: the comparison of `fewbit.studies.resnet20` on larger data."""

from fewbit.studies import resnet20
from fewbit.studies.setting import Setting
from fewbit.studies.study import Study


def run(setting: Setting) -> Study:
    """Train every arm for every seed and compare; there is no small size."""
    return resnet20.compare(setting, "cifar100", resnet20.FULL)
