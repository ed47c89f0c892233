"""Floor 5: data to train and test on."""

import fewbit.torch_side  # noqa: F401
from fewbit.data.clips import Clip, Spoken, join
from fewbit.data.digits import Digits, data_folder, spoken_digits

__all__ = ["Clip", "Digits", "Spoken", "data_folder", "join", "spoken_digits"]
