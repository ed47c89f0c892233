"""ResNet-18 on ImageNet, at the published size only: the comparison of `studies.methods.resnet20` on larger data."""

from studies.evidence.setting import Setting
from studies.evidence.study import Study
from studies.methods import resnet20

FULL = resnet20.Scale(epochs=90, retrain=60, warmup=20, cycles=7, cycle_epochs=4, finetune=12)


def run(setting: Setting) -> Study:
    """Train every arm for every seed and compare; there is no small size."""
    return resnet20.compare(setting, "imagenet", FULL)
