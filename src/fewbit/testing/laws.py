"""The laws of quantizers, layers, objectives, passes, Programs and decoders, as checks for your own ones.

Each `check_*` asserts the laws of its kind; a failed assertion says which law was broken.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fewbit.decode import Decoder, Event
from fewbit.errors import QuantizationError
from fewbit.nn import Layer
from fewbit.passes import Pass
from fewbit.program import Program
from fewbit.quant import Quantizer
from fewbit.train import Objective

TOLERANCE = 2e-6
"""For float layers: sums of other lengths may be rounded otherwise."""


def splits(length: int, cuts: Iterable[int]) -> list[slice]:
    """Slices that cut ``range(length)`` at `cuts`; neighbouring cuts may be equal (empty pieces).

    Examples:
        >>> splits(5, [2, 2])
        [slice(0, 2, None), slice(2, 2, None), slice(2, 5, None)]
    """
    places = [0, *sorted(min(max(cut, 0), length) for cut in cuts), length]
    return [slice(a, b) for a, b in pairwise(places)]


def check_quantizer(quantizer: Quantizer, x: Tensor) -> None:
    """Codes lie on the grid; forward is exactly the dequantized codes; twice is once; the gradient passes.

    Examples:
        >>> import torch
        >>> from fewbit.quant import weight_quantizer
        >>> check_quantizer(weight_quantizer("int4"), torch.randn(3, 8))
    """
    quantizer = deepcopy(quantizer).fit(x)
    codes = quantizer.codes(x)
    levels = torch.from_numpy(quantizer.format.levels().astype(np.float64))
    assert torch.isin(codes.values.double(), levels).all(), "a code is not in the code book"
    assert bool((codes.scale > 0).all()), "a scale is not positive"
    q = quantizer(x)
    assert q.shape == x.shape, "the shape changed"
    assert q.dtype == x.dtype, "the dtype changed"
    assert torch.equal(q, codes.dequantize()), "forward is not the dequantized codes"
    assert torch.equal(quantizer(q), q), "quantizing twice changes something"
    leaf = x.clone().requires_grad_()
    quantizer(leaf).sum().backward()
    mask = quantizer.ste_mask(x)
    wanted = torch.ones_like(x) if mask is None else mask.to(x.dtype)
    assert leaf.grad is not None, "no gradient passes"
    assert torch.equal(leaf.grad, wanted), "the gradient is not straight-through"
    if x.numel():
        broken = x.clone()
        broken[(0,) * x.dim()] = torch.nan
        for call in (quantizer.codes, quantizer.fit):
            try:
                call(broken)
            except QuantizationError:
                continue
            raise AssertionError(f"{call.__name__} took NaN")


def check_layer(layer: Layer, x: Tensor, cuts: Iterable[int]) -> None:
    """Any split gives the same output; later input changes nothing earlier; rows of a batch do not mix.

    x: (batch, time, features) with at least two rows and two frames.

    Examples:
        >>> import torch
        >>> from fewbit import nn
        >>> check_layer(nn.GRU(4, 3), torch.randn(2, 6, 4), cuts=[1, 4])
    """
    lookahead = layer.lookahead
    assert lookahead is not None, "a layer that needs the whole input cannot stream"
    layer = deepcopy(layer).eval()
    with torch.no_grad():
        whole, _ = layer(x)
        state, pieces = None, []
        for piece in splits(x.shape[1], cuts):
            y, state = layer(x[:, piece], state)
            pieces.append(y)
        joined = torch.cat(pieces, 1)
        assert joined.shape == whole.shape, f"split in time: {tuple(joined.shape)} instead of {tuple(whole.shape)}"
        assert torch.allclose(joined, whole, atol=TOLERANCE, rtol=1e-5), "a split in time changed the output"
        half = x.shape[1] // 2 + lookahead
        early, _ = layer(x[:, :half])
        changed = x.clone()
        changed[:, half:] += 1.0
        frames = early.shape[1]
        same = torch.allclose(layer(changed)[0][:, :frames], whole[:, :frames], atol=TOLERANCE, rtol=1e-5)
        assert same, "later input changed earlier output"
        alone, _ = layer(x[:1])
        assert torch.allclose(alone, whole[:1], atol=TOLERANCE, rtol=1e-5), "rows of the batch are mixed"
        _, before = layer(x)
        empty, after = layer(x[:, :0], before)
        assert empty.shape[1] == 0, "an empty chunk gave output"
        assert all(torch.equal(a, b) for a, b in zip(_tensors(before), _tensors(after), strict=True)), (
            "an empty chunk changed the state"
        )


def check_objective(objective: Objective, model: nn.Module, batch: Any, others: Sequence[nn.Module] = ()) -> None:
    """A finite scalar with gradient; `others` (teachers) stay as they are, and run in evaluation mode, as dropout or
    batch statistics would blur what they teach; the model keeps its mode.

    Examples:
        >>> import torch
        >>> import fewbit as fb
        >>> batch = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
        >>> check_objective(fb.CrossEntropy(), torch.nn.Linear(4, 3), batch)
    """
    kept = [(other, deepcopy(other.state_dict()), [m.training for m in other.modules()]) for other in others]
    model.zero_grad()
    modes = [m.training for m in model.modules()]
    asked: list[bool] = []
    hooks = [
        part.register_forward_pre_hook(lambda part, _: asked.append(part.training))
        for other in others
        for part in other.modules()
    ]
    try:
        loss = objective(model, batch, 0.5)
    finally:
        for hook in hooks:
            hook.remove()
    assert not any(asked), "another network ran in training mode"
    assert loss.dim() == 0, "the loss is no scalar"
    assert bool(torch.isfinite(loss)), "the loss is not finite"
    loss.backward()  # type: ignore[no-untyped-call]
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters()), "no gradient"
    assert modes == [m.training for m in model.modules()], "the model's mode changed"
    for other, state, training in kept:
        same = all(torch.equal(value, state[name]) for name, value in other.state_dict().items())
        assert same, "another network was changed"
        assert training == [m.training for m in other.modules()], "another network's mode changed"
        assert all(p.grad is None for p in other.parameters()), "a gradient reached another network"


def check_pass(make: Callable[[], Pass], model: nn.Module, x: Tensor) -> None:
    """Shapes in and out are kept; the same pass on the same model gives the same network.

    Examples:
        >>> import torch
        >>> import fewbit as fb
        >>> x = torch.randn(6, 4)
        >>> check_pass(lambda: fb.Quantize("int4", "int8", calibration=[x]), torch.nn.Linear(4, 3), x)
    """
    results = []
    for _ in range(2):
        result = make()(deepcopy(model)).eval()
        with torch.no_grad():
            y = result(x)
        results.append(y[0] if isinstance(y, tuple) else y)
    with torch.no_grad():
        before = model.eval()(x)
    before = before[0] if isinstance(before, tuple) else before
    assert results[0].shape == before.shape, "the shape of the output changed"
    assert torch.equal(results[0], results[1]), "the same pass gave another network"


def check_program(program: Program, x: NDArray[np.float32], cuts: Iterable[int]) -> None:
    """Any split of ``x: (time, features)`` gives equal integers, and later input changes nothing earlier.

    Examples:
        >>> import numpy as np
        >>> import fewbit as fb
        >>> program = fb.load(fb.pretrained("digits"))
        >>> frames = np.random.default_rng(0).normal(size=(9, program.inputs)).astype(np.float32)
        >>> check_program(program, frames, cuts=[1, 5])
    """
    whole, _ = program.step(x, program.init_state())
    state, pieces = program.init_state(), []
    for piece in splits(len(x), cuts):
        y, state = program.step(x[piece], state)
        pieces.append(y)
    assert np.array_equal(np.concatenate(pieces), whole), "a split in time changed the integers"
    half = len(x) // 2
    early, _ = program.step(x[:half], program.init_state())
    assert np.array_equal(early, whole[: len(early)]), "later input changed earlier output"


def check_decoder(decoder: Decoder, scores: NDArray[np.float64], cuts: Iterable[int]) -> list[Event]:
    """Any split of ``scores: (frames, classes)`` gives equal events; returns them.

    Examples:
        >>> import numpy as np
        >>> import fewbit as fb
        >>> from fewbit.decode import GreedyCTC
        >>> scores = np.array([[0, 9], [9, 0], [0, 9]], float)
        >>> events = check_decoder(GreedyCTC(fb.Alphabet(("a",)), 0.04), scores, cuts=[1])
        >>> events[-1].text
        'aa'
    """
    whole, state = decoder.step(scores, decoder.init_state())
    whole = whole + decoder.finish(state)
    pieces: list[Event] = []
    state = decoder.init_state()
    for piece in splits(len(scores), cuts):
        events, state = decoder.step(scores[piece], state)
        pieces += events
    pieces += decoder.finish(state)
    assert pieces == whole, "a split in time changed the events"
    return whole


def _tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state or () for tensor in _tensors(part)]
