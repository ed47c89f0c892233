"""Which layers amplify noise: noise is put on one signal at a time and measured at the output.

    gain     = mean square of the change of the output / variance of the noise at one signal
    relative = the same with output and signal both measured in units of their own variance
    error    = power of the change of the output / variance of the output, with that one signal in few bits

Weight quantization changes the function that a network computes; signal quantization adds noise, which the layers
behind amplify or lose. The gain shows where, and the gain through time shows it for recurrent networks.

References:
    Boo, Shin, Sung 2020 (arXiv 2006.00530); the measures are ours.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.analysis.network_interior import InnerLayers, inner_layers, outputs
from fewbit.errors import ArgumentError, DataError
from fewbit.quant import activation_quantizer

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LayerNoise:
    """The signal that a layer reads, and the effects of noise on it, as the module defines them.

    Examples:
        >>> noise = LayerNoise("rnn0", gain=0.8, relative=1.5, error=0.02)
        >>> noise.relative > 1  # the layers behind amplify it
        True
    """

    layer: str
    gain: float
    relative: float
    error: float


def noise_gain(
    model: nn.Module, batches: Iterable[Any], *, bits: int = 3, size: float = 0.1, seed: int = 0
) -> tuple[LayerNoise, ...]:
    """Put noise on one inner signal after the other, the others untouched, and measure the output.

    Args:
        model: any network; left as it is.
        batches: whose first item is the input; the first two are used.
        bits: of the signal in the last measure.
        size: of the noise in units of the rms of the signal; small noise sees the slope of the network.
        seed: of the noise.

    Raises:
        ArgumentError: the network has no inner signal.
        DataError: there are no batches.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> [found.layer for found in noise_gain(model, [torch.rand(16, 4)])]
        ['2', '4']
    """
    some = list(islice(batches, 2))
    if not some:
        raise DataError("noise_gain: there are no batches; wanted one at least")
    inner = inner_layers(model, some[0])
    plain = _joined([outputs(model, batch) for batch in some])
    power = float((plain - plain.mean(0)).square().mean())
    generator = torch.Generator().manual_seed(seed)
    return tuple(_layer(model, some, inner, name, plain, power, bits, size, generator) for name in inner.signals)


def time_gain(
    model: nn.Module, batch: Any, layer: str, *, frame: int = 0, size: float = 0.1, seed: int = 0
) -> tuple[float, ...]:
    """Noise at one frame of the signal that `layer` reads: the mean square of the change of the output at this frame
    and each later one, over the variance of the noise.

    Args:
        model: ``(batch, time, ...) -> (batch, time, features)``; left as it is.
        batch: its first item is the input.
        layer: name of a module that is called with all frames, such as ``rnn0``.
        frame: where the noise is.
        size, seed: as in `noise_gain`.

    Raises:
        ArgumentError: there is no such layer, it is not called once with all frames, or there is no such frame.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from fewbit.nn import LSTM
        >>> model = nn.Sequential(LSTM(3, 4))
        >>> gains = time_gain(model, torch.randn(2, 10, 3), "0", frame=2)
        >>> len(gains), gains[0] > gains[-1]  # the LSTM forgets the noise
        (8, True)
    """
    generator = torch.Generator().manual_seed(seed)
    layers = [name for name, _ in model.named_modules() if name]
    if layer not in layers:
        raise ArgumentError(f"time_gain: no layer {layer!r}; the model has {layers}")
    plain = outputs(model, batch)
    signals = _signals(model, [batch], layer)
    shape = tuple(signals[0].shape)
    if len(signals) > 1 or len(shape) < 3 or not 0 <= frame < shape[1]:
        raise ArgumentError(
            f"time_gain: {layer} was called {len(signals)} times, first with {shape}, and frame={frame}; wanted one "
            "call with (batch, time, features), and one of its frames"
        )
    rms = _rms(signals)

    def change(x: Tensor) -> Tensor:
        noise = torch.zeros_like(x)
        noise[:, frame] = size * rms * torch.randn(x[:, frame].shape, generator=generator).to(x)
        return x + noise

    moved = _with(model, layer, change, [batch]).view_as(plain)
    variance = max((size * rms) ** 2, torch.finfo(plain.dtype).tiny)
    found: list[float] = ((moved - plain).square().mean((0, 2)) / variance).tolist()
    return tuple(found[frame:])


def _layer(
    model: nn.Module,
    batches: Sequence[Any],
    inner: InnerLayers,
    name: str,
    plain: Tensor,
    power: float,
    bits: int,
    size: float,
    generator: torch.Generator,
) -> LayerNoise:
    signals = _signals(model, batches, name)
    rms = _rms(signals)

    def change(x: Tensor) -> Tensor:
        return x + size * rms * torch.randn(x.shape, generator=generator).to(x)

    moved = float((_with(model, name, change, batches) - plain).square().mean())
    quantizer = activation_quantizer(inner.signal_spec(name, bits)).fit(torch.cat([s.flatten() for s in signals]))
    coarse = float((_with(model, name, quantizer, batches) - plain).square().mean())
    tiny = torch.finfo(plain.dtype).tiny
    gain = moved / max((size * rms) ** 2, tiny)
    varied = torch.cat([signal.flatten() for signal in signals]).double().var(correction=0)
    relative = gain * float(varied) / max(power, tiny)
    return LayerNoise(name, gain, relative, coarse / max(power, tiny))


def _signals(model: nn.Module, batches: Sequence[Any], name: str) -> list[Tensor]:
    seen: list[Tensor] = []

    def watch(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x

    _with(model, name, watch, batches)
    if not seen:
        raise ArgumentError(f"{name}: this layer is never called with a signal; name another")
    return seen


def _with(model: nn.Module, name: str, change: Change, batches: Sequence[Any]) -> Tensor:
    """The outputs with the input of one module changed."""

    def hook(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return change(inputs[0]), *inputs[1:]

    handle = model.get_submodule(name).register_forward_pre_hook(hook)
    try:
        return _joined([outputs(model, batch) for batch in batches])
    finally:
        handle.remove()


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """All positions of all outputs ``(n, features)``; batches may differ in length."""
    return torch.cat([part.reshape(-1, part.shape[-1]) for part in parts])


def _rms(signals: Sequence[Tensor]) -> float:
    return float(torch.cat([signal.flatten() for signal in signals]).double().square().mean().sqrt())
