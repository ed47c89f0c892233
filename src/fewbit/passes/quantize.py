"""The pass that puts quantizers on a network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from torch import nn

from fewbit.errors import QuantizationError
from fewbit.quant import Selection, activation_quantizer, attach, calibrate, weight_quantizer
from fewbit.settings import listed, selection, text


@dataclass(frozen=True)
class Quantize:
    """Direct quantization: steps of weights minimise the squared error, steps of signals come from `calibration`.

    Args:
        weights, activations: a spec, or specs by pattern; the first matching pattern wins (`fewbit.quant.attach`).
        keep: patterns of weights that stay float.
        calibration: batches of any kind (`fewbit.batches`); required for activations.
        replace: whether new quantizers replace those that are already attached.

    Examples:
        >>> import torch
        >>> from fewbit.passes import compress
        >>> x = torch.randn(16, 4)
        >>> student = compress(nn.Linear(4, 2), Quantize(weights="int4", activations="int8", calibration=[x]))
        >>> len(student.weight.unique()) <= 8
        True
    """

    weights: Annotated[Selection, selection(weight_quantizer)] = None
    activations: Annotated[Selection, selection(activation_quantizer)] = None
    keep: Annotated[Sequence[str], listed(text)] = ()
    calibration: Iterable[Any] | None = None
    replace: bool = False

    def __post_init__(self) -> None:
        if self.activations is not None and self.calibration is None:
            raise QuantizationError("Quantize: activations need calibration=batches to choose their steps from")

    def __call__(self, model: nn.Module) -> nn.Module:
        attach(model, self.weights, self.activations, self.keep, self.replace)
        return model if self.calibration is None else calibrate(model, self.calibration)
