"""ResNet-18 on ImageNet, at the published size only: the comparison of `fewbit.studies.resnet20` on larger data."""

from fewbit.studies import resnet20
from fewbit.studies.setting import Setting
from fewbit.studies.study import Study

FULL = resnet20.Scale(epochs=90, retrain=60, warmup=20, cycles=7, cycle_epochs=4, finetune=12)


def run(setting: Setting) -> Study:
    """Train every arm for every seed and compare; there is no small size."""
    return resnet20.compare(setting, "imagenet", FULL)
