"""Running statistics of batch norm, recomputed after the weights were set rather than trained."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from accelerate.utils import send_to_device
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fewbit.batches import call_of, first_tensor
from fewbit.errors import DataError
from fewbit.inference import inference_mode


def refresh_norms(model: nn.Module, batches: Iterable[Any], limit: int = 20) -> nn.Module:
    """Replace the running mean and variance of every batch norm by those of the first `limit` batches, in place.

    Needed wherever weights come from averaging, noise or another number of bits. Networks without batch norm are left
    as they are, and no batch is read. The first item of a batch is the model's input; it is moved to the device of the
    norms. Empty batches are skipped.

    Raises:
        DataError: there is no batch, or the statistics are not finite; the old statistics are then kept.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> norm = nn.BatchNorm1d(2)
        >>> refresh_norms(norm, [torch.tensor([[1.0, 2.0], [3.0, 6.0]])]).running_mean
        tensor([2., 4.])
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return model
    home = norms[0].running_mean
    before = {norm: {name: value.clone() for name, value in norm.named_buffers()} for norm in norms}
    momenta = [norm.momentum for norm in norms]
    done = False
    try:
        with inference_mode(model):
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # a plain mean over the batches
                norm.train()
            for batch in islice(batches, limit):
                if first_tensor(batch).numel():
                    args, named = call_of(model, batch if home is None else send_to_device(batch, home.device))
                    model(*args, **named)
        if not any(norm.num_batches_tracked for norm in norms):
            raise DataError("refresh_norms: no batch norm saw a batch; wanted at least one that is not empty")
        if not all(value.isfinite().all() for norm in norms for value in norm.buffers()):
            raise DataError("refresh_norms: the statistics became NaN or infinite; look for NaN in data and weights")
        done = True
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if not done or not norm.num_batches_tracked:  # saw no batch
                norm.load_state_dict(before[norm], strict=False)
    return model
