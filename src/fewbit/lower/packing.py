"""From a quantized torch network to a `Program`."""

from typing import Any

from torch import nn

from fewbit.errors import ArgumentError
from fewbit.features import LogMel
from fewbit.lower.builder import Choices
from fewbit.lower.network import lower_network
from fewbit.program import Program
from fewbit.text import Vocabulary


def pack(
    model: nn.Module,
    *,
    example: Any = None,
    time: int | str | None = "auto",
    context: int | None = None,
    hidden_bits: int = 16,
    features: LogMel | None = None,
    alphabet: Vocabulary | None = None,
    recipe: dict[str, Any] | None = None,
) -> Program:
    """The integer Program of a quantized network (weights and activations).

    Args:
        model: any network whose parts have an integer form (`fewbit.lower.explain` says which have not), with
            quantizers attached and calibrated.
        example: batches (a DataLoader, a list of batches, or one batch), from which come the shapes of the inputs and
            the ranges of signals without a quantizer. A chain of Normalize, CausalConv1d, BatchNorm, ReLU, Dropout,
            Linear and recurrent layers of `fewbit.nn` needs none.
        time: the axis of the inputs, counted with the batch, along which the network runs as a stream; ``None`` for
            none (each input is one frame); ``auto`` looks for the axis that the network takes at any length.
        context: frames that causal attention sees; default as many as the example has.
        hidden_bits: of the hidden states of `torch.nn.LSTM` and `torch.nn.GRU`, which have no quantizer: 2 to 16. With
            8 their products take half the time.
        features: the front end of the stream; with an alphabet as well, `fewbit.stream` needs nothing but the file.
        alphabet: the symbols of the classes from 1 on. Class 0 is the blank of CTC; in a language model, which reads
            the same classes, it stands between texts (`fewbit.streams.TextGenerator`). Or `fewbit.text.BytePairs`: the
            pieces of text of all classes.
        recipe: how the network was made, for the record; plain values.

    Raises:
        LoweringError: a part has no integer form; the message names it and the remedy.
        ArgumentError: `time`, `context` or `hidden_bits` is out of range.

    Examples:
        >>> import fewbit as fb
        >>> from torch import nn, randn
        >>> x = randn(8, 4)
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> quantized = fb.compress(model, fb.Quantize("int8", "int8", calibration=[x]))
        >>> program = fb.pack(quantized, example=[x])
        >>> program(x[0].numpy()).shape
        (2,)
    """
    if not isinstance(hidden_bits, int) or not 2 <= hidden_bits <= 16:
        raise ArgumentError(f"hidden_bits={hidden_bits!r}, wanted 2 to 16")
    if context is not None and (not isinstance(context, int) or context < 1):
        raise ArgumentError(f"context={context!r}, wanted a number of frames, or None for as many as the example has")
    notes: dict[str, Any] = {
        "features": None if features is None else features.to_dict(),
        "alphabet": None if alphabet is None else alphabet.to_dict(),
        "recipe": recipe or {},
    }
    # A stream of features to scores has its own conventions: frames in, Q10 out.
    listens = example is None or features is not None or alphabet is not None
    choices = Choices(context, hidden_bits, fraction_bits=10 if listens else None)
    found, signature = lower_network(model, example, time, choices)
    return Program(tuple(found), **notes, signature=None if example is None else signature)
