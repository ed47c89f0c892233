"""Decoders: their parts, what a position may know, and the way to an integer stream of tokens."""

import numpy as np
import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit.errors import ArgumentError, DataError, LoweringError
from fewbit.models import Decoder
from fewbit.native import is_available
from fewbit.nn import Attention
from fewbit.program import Reference
from fewbit.program.native_run import Native

TOKENS = torch.randint(0, 20, (4, 24), generator=torch.Generator().manual_seed(0))
STYLES = {
    "gpt": {"style": "gpt", "context": 32},
    "gpt without positions": {"style": "gpt", "window": 6},
    "llama": {"style": "llama", "key_heads": 2, "window": 6},
}


def decoder(**arguments) -> Decoder:
    torch.manual_seed(1)
    return Decoder(20, 16, 4, 2, **arguments).eval()


def quantized(model: nn.Module, **arguments) -> nn.Module:
    arguments = {"weights": "ternary", "activations": "int8", "calibration": [TOKENS]} | arguments
    return fb.compress(model, fb.Quantize(**arguments)).eval()


@pytest.mark.parametrize("style", STYLES)
def test_later_tokens_change_no_earlier_scores(style):
    model, changed = decoder(**STYLES[style]), TOKENS.clone()
    changed[:, 10:] = (changed[:, 10:] + 1) % 20
    same = torch.isclose(model(TOKENS), model(changed), atol=1e-6).all(-1)
    assert same[:, :10].all()
    assert not same[:, 10:].any()


def test_the_styles_have_their_parts():
    gpt, llama = decoder(context=32), decoder(style="llama", tied=False)
    names = {model: {name.rpartition(".")[2] for name, _ in model.named_parameters()} for model in (gpt, llama)}
    assert names == {gpt: {"weight", "bias"}, llama: {"weight"}}
    kinds = {model: {type(part) for part in model.modules()} for model in (gpt, llama)}
    assert nn.LayerNorm in kinds[gpt]
    assert nn.RMSNorm in kinds[llama]
    assert [part.rotary for model in (gpt, llama) for part in model.modules() if isinstance(part, Attention)] == [
        False, False, True, True,
    ]  # fmt: skip
    assert gpt.head.weight is gpt.embedding.weight
    assert llama.head.weight is not llama.embedding.weight


def test_positions_tell_equal_tokens_apart():
    same = torch.full((1, 8), 3)
    for with_order, arguments in ((True, {"context": 8}), (False, {})):
        scores = decoder(**arguments)(same)[0]
        assert bool((scores - scores[0]).abs().max() > 1e-3) == with_order  # the mean of equal values is their value


def test_dropout_acts_in_training_only():
    model = decoder(dropout=0.5)
    assert torch.equal(model(TOKENS), model(TOKENS))
    model.train()
    assert not torch.equal(model(TOKENS), model(TOKENS))


def test_a_new_network_prefers_no_token():
    loss = nn.functional.cross_entropy(decoder(context=32)(TOKENS).flatten(0, 1), TOKENS.flatten())
    assert abs(loss.item() - np.log(20)) < 0.05


@pytest.mark.parametrize("style", ["gpt", "llama"])
def test_it_learns_what_only_attention_can_know(style):
    """The label is the token of two positions ago."""
    model = decoder(**STYLES[style]).train()
    text = torch.randint(0, 20, (50, 16, 18))
    found = fb.fit(
        model, [(part[:, 2:], part[:, :-2]) for part in text], fb.CrossEntropy(), epochs=2, lr=2e-2, progress=False
    )
    assert found.losses[-1] < 1.0 < np.log(20)


@pytest.mark.parametrize("style", STYLES)
def test_a_packed_network_gives_what_its_quantized_one_gives(style):
    model = decoder(**STYLES[style])
    student = quantized(model)
    program = fb.pack(student, example=[TOKENS])
    out = np.stack([program(row.numpy()) for row in TOKENS])
    with torch.no_grad():
        fake, real = student(TOKENS).numpy(), model(TOKENS).numpy()
    assert np.abs(out - fake).mean() < 0.05 * np.abs(fake - real).mean()


@pytest.mark.parametrize("style", ["gpt without positions", "llama"])
def test_with_a_window_it_is_a_stream_without_end(style):
    """Ten times the length of the example, in any pieces: equal integers, from a state that does not grow."""
    student = quantized(decoder(**STYLES[style]))
    program = fb.pack(student, example=[TOKENS])
    tokens = torch.randint(0, 20, (1, 240))
    frames = program.signature.frames([tokens[0].numpy()])
    reference = Reference(program.ops)
    whole = reference.step(frames, reference.init_state(), True)[0]
    for executor in (reference, *([Native(program.ops)] if is_available() else [])):
        for cuts in ([1, 2, 3, 100], list(range(1, 240))):
            state, pieces = executor.init_state(), []
            for begin, end in zip([0, *cuts], [*cuts, 240], strict=True):
                y, state = executor.step(frames[begin:end], state, end == 240)
                pieces.append(y)
            assert np.array_equal(np.concatenate(pieces), whole)
    with torch.no_grad():
        fake = student(tokens)[0].numpy()
    assert np.abs(program(tokens[0].numpy()) - fake).mean() < 0.05 * fake.std()


@pytest.mark.parametrize("frames", [16, 24, 30])
def test_rotary_positions_of_wide_heads_go_on_behind_a_short_example(frames):
    torch.manual_seed(1)
    model = Decoder(20, 64, 2, 1, style="llama", window=8).eval()
    model = quantized(model, calibration=[TOKENS])
    program = fb.pack(model, example=TOKENS[:, :frames])
    text = torch.randint(0, 20, (1, 600), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        fake = model(text)[0].numpy()
    apart = np.abs(program(text[0].numpy()) - fake)
    assert apart[500:].mean() < max(2 * apart[:100].mean(), 0.02 * fake.std())


def test_a_quantized_map_is_refused():
    student = quantized(decoder(), activations={"*": "int8"})
    with pytest.raises(LoweringError, match=r"attention\.map.* its quantizer reads attention scores or their map"):
        fb.pack(student, example=[TOKENS])


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="24 positions, and 16 have been learned; cut the input"):
        decoder(context=16)(TOKENS)
    with pytest.raises(ArgumentError, match="context=16 with rotary positions"):
        decoder(style="llama", context=16)
    with pytest.raises(ArgumentError, match=r"style='bert', wanted one of \['gpt', 'llama'\]"):
        decoder(style="bert")
