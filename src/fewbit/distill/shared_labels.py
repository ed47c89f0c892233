"""Soft labels of many devices, of which only the mean is released.

A public model writes text; every device answers with the distributions that its personal model expects after each
symbol; a trusted aggregator releases the mean of at least `least` answers. Private text never leaves its device.

With masks the aggregator cannot see single answers either. Answers are whole numbers modulo 2**32, and each pair of
devices derives from a shared secret a mask that one of them adds and the other subtracts:

    masked_i = round(2**20 q_i) + sum_{j > i} mask_ij - sum_{j < i} mask_ij,   sum_i masked_i = sum_i round(2**20 q_i)

What the mean itself reveals is not bounded: no noise is added, privacy is not accounted for, and the authors prove no
guarantee.

References:
    Shin, Hwang, Sung 2016 (arXiv 1608.04077) for the protocol; Bonawitz et al. 2017, "Practical secure aggregation for
    privacy-preserving machine learning", for masks by pairs.
"""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fewbit.distill.language_model import Model, probabilities
from fewbit.errors import ArgumentError, DataError
from fewbit.inference import inference_mode

UNIT, MODULUS = 1 << 20, 1 << 32
TOLERANCE = 1e-3
"""How far from 1 the sum of a distribution may be, so that rows in half precision are accepted."""


class LabelRequest(NamedTuple):
    """A request for labels: text ``(streams, steps)``, whether its streams begin here, and the request's number.

    Examples:
        >>> import torch
        >>> request = LabelRequest(torch.zeros(2, 16, dtype=torch.long), begins=True, number=0)
        >>> request._replace(begins=False, number=1).number
        1
    """

    text: Tensor
    begins: bool
    number: int


Device = Callable[[LabelRequest], Tensor]
"""Answers with distributions ``(streams, steps, classes)``, or with masked whole numbers of that shape."""


class LabelDevice:
    """A device: a personal model that reads public text and answers with the distributions that it expects.

    Args:
        model: ``(x, state) -> (scores, state)``, adapted to text that stays on the device.
        name: its place in the order of devices; needed with secrets.
        secrets: a secret for each other device, the same on both sides; with them answers are masked.

    Examples:
        >>> import torch
        >>> from fewbit.models import CharLM
        >>> device = LabelDevice(CharLM(classes=5, hidden=4))
        >>> device(LabelRequest(torch.zeros(2, 16, dtype=torch.long), begins=True, number=0)).shape
        torch.Size([2, 16, 5])
    """

    def __init__(self, model: Model, name: str = "", secrets: Mapping[str, bytes] | None = None) -> None:
        self._model, self._name, self._secrets = model, name, dict(secrets or {})
        self._state: Any = None
        self._next = 0
        if self._name in self._secrets:
            raise ArgumentError(f"LabelDevice: {name!r} has a secret with itself; give those it shares with others")

    def __call__(self, request: LabelRequest) -> Tensor:
        """Read the text and answer.

        Raises:
            ArgumentError: a masked answer of this number was given before; two answers under one mask reveal their
                difference.
        """
        if self._secrets and request.number < self._next:
            raise ArgumentError(
                f"LabelDevice: request {request.number} was answered before, so its mask is used up; continue "
                "the numbers, or agree on new secrets"
            )
        self._next = request.number + 1
        with inference_mode(self._model):
            before = None if request.begins else self._state
            q, self._state = probabilities(self._model, request.text, before)
        return self._masked(q, request.number) if self._secrets else q

    def _masked(self, q: Tensor, number: int) -> Tensor:
        codes = (q.double() * UNIT).round().long()
        for other, secret in self._secrets.items():
            mask = _mask(secret, number, codes.numel()).view_as(codes).to(codes.device)
            codes += mask if self._name < other else -mask
        return codes % MODULUS


class SharedLabels:
    """The aggregator, used as a teacher::

        GeneratedText(SharedLabels(devices, classes), student=public, mix=0.0)

    An answer that is not a distribution is left out with a warning that does not name its device. Answers are not kept.

    Args:
        devices: `LabelDevice` objects, or functions that ask remote devices.
        classes: of the text.
        least: fewest answers whose mean is released; at least 2.
        masked: whether answers are masked. Masks cancel only if every device answers; then only the mean can be
            checked.

    With masks, numbers of requests must not repeat as long as the secrets are in use: keep one aggregator, or set
    `asked` to where the last one stopped.

    Raises:
        ArgumentError: `least` is below 2, or there are too few devices, or too many for masks.
        DataError: too few answers are good, or masks do not cancel.

    Examples:
        >>> import torch
        >>> from fewbit.models import CharLM
        >>> devices = [LabelDevice(CharLM(classes=5, hidden=4)) for _ in range(3)]
        >>> scores, state = SharedLabels(devices, classes=5)(torch.zeros(2, 16, dtype=torch.long))
        >>> scores.shape
        torch.Size([2, 16, 5])
    """

    def __init__(self, devices: Sequence[Device], classes: int, *, least: int = 3, masked: bool = False) -> None:
        if least < 2:
            raise ArgumentError(f"SharedLabels: least={least} would release the answer of one device; wanted 2 or more")
        if len(devices) < least:
            raise ArgumentError(f"SharedLabels: {len(devices)} devices are fewer than least={least}; add devices")
        if masked and len(devices) >= MODULUS // UNIT:
            raise ArgumentError(
                f"SharedLabels: masks work for fewer than {MODULUS // UNIT} devices, not {len(devices)}"
            )
        self.devices, self.classes, self.least, self.masked = list(devices), classes, least, masked
        self.asked = 0

    def __call__(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Logarithms of the mean ``(streams, steps, classes)``; the state only says whether streams continue."""
        request = LabelRequest(x, state is None, self.asked)
        self.asked += 1
        mean = self._unmasked(request) if self.masked else self._mean(request)
        return mean.log(), True

    def _mean(self, request: LabelRequest) -> Tensor:
        total = torch.zeros(self._shape(request))
        faults = []
        for device in self.devices:
            answer = device(request)
            fault = _fault(answer, total.shape)
            if fault:
                faults.append(fault)
            else:
                total += answer.cpu()
        good = len(self.devices) - len(faults)
        if faults:
            left_out = f"{len(faults)} of {len(self.devices)} answers left out: {', '.join(sorted(faults))}"
            warnings.warn(f"SharedLabels: {left_out}", RuntimeWarning, stacklevel=3)
        if good < self.least:
            raise DataError(f"SharedLabels: {good} good answers are fewer than least={self.least}; nothing is released")
        return (total / total.sum(-1, keepdim=True)).to(request.text.device)

    def _unmasked(self, request: LabelRequest) -> Tensor:
        answers = [device(request) for device in self.devices]
        if any(answer.dtype != torch.long or answer.shape != self._shape(request) for answer in answers):
            raise DataError("SharedLabels: an answer is not masked, or of another shape; every device needs secrets")
        mean = (torch.stack(answers).sum(0) % MODULUS).double() / UNIT / len(answers)
        if _fault(mean, mean.shape):
            raise DataError(
                "SharedLabels: the sum of the masked answers is not a distribution: a device is missing, secrets "
                "are not the same on both sides, or an answer was bad"
            )
        return (mean / mean.sum(-1, keepdim=True)).float()

    def _shape(self, request: LabelRequest) -> torch.Size:
        return torch.Size((*request.text.shape, self.classes))


def _fault(answer: Tensor, shape: torch.Size) -> str | None:
    """Why an answer is not a distribution for each symbol of the text; the reason reveals none of its numbers."""
    if answer.shape != shape:
        return "of another shape"
    if not torch.isfinite(answer).all():
        return "not finite"
    if (answer < 0).any():
        return "negative"
    if ((answer.double().sum(-1) - 1).abs() > TOLERANCE).any():
        return "rows do not sum to 1"
    return None


def _mask(secret: bytes, number: int, count: int) -> Tensor:
    """`count` pseudorandom numbers of 32 bits, which depend on the secret and on the number of the request."""
    stream = hashlib.shake_256(len(secret).to_bytes(8, "big") + secret + number.to_bytes(8, "big")).digest(4 * count)
    return torch.from_numpy(np.frombuffer(stream, "<u4").astype(np.int64))
