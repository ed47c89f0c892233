"""ResNet-20 on CIFAR-100, at the published size only: the comparison of `studies.methods.resnet20` on larger data."""

from studies.evidence.setting import Setting
from studies.evidence.study import Study
from studies.methods import resnet20


def run(setting: Setting) -> Study:
    """Train every arm for every seed and compare; there is no small size."""
    return resnet20.compare(setting, "cifar100", resnet20.FULL)
