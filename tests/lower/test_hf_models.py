"""Networks of `transformers` as their users have them: padded dictionaries, labels, caches; and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fewbit as fb
from fewbit.errors import LoweringError
from tests.lower.everyday_hf import LLAMA, bert, gpt2, llama, mistral, words
from tests.lower.test_networks import repeated_words

transformers = pytest.importorskip("transformers")


def quantized(model: nn.Module, batches: Any, weights: Any = "int8") -> nn.Module:
    return fb.compress(model, fb.Quantize(weights, "int8", calibration=batches)).eval()


@pytest.fixture
def padded() -> Any:
    torch.manual_seed(3)
    batch = words(5, 16)
    batch["attention_mask"][1, 13:] = 0  # behind
    batch["attention_mask"][3, :4] = 0  # in front
    return transformers.BatchEncoding(batch)  # what a tokenizer returns


def test_padding_is_cut_off_and_no_input_of_the_program(padded) -> None:
    torch.manual_seed(0)
    model = quantized(bert().eval(), [padded])
    for example in ([padded], padded):
        program = fb.pack(model, example=example)
        assert program.signature is not None
        assert [port.name for port in program.signature.inputs] == ["input_ids"]
        with torch.no_grad():
            wanted = model(**padded).logits.numpy()
        for row, mask, scores in zip(padded["input_ids"], padded["attention_mask"], wanted, strict=True):
            if mask[0]:  # places in front of a sentence move its positions
                assert np.abs(program(row[mask != 0].numpy()) - scores).max() < 2e-3


def test_a_row_of_padding_alone_is_refused(padded) -> None:
    padded["attention_mask"][0] = 0
    with pytest.raises(LoweringError, match=r"an input of the example is empty, \(1, 0\)"):
        fb.pack(quantized(bert().eval(), [words(2, 16)]), example=[padded])


def test_a_mask_that_the_network_demands_stays_its_input() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x: Tensor, attention_mask: Tensor) -> Tensor:
            return self.inner(x) * attention_mask[..., None]

    batch = {"x": torch.randn(3, 16, 4), "attention_mask": torch.rand(3, 16)}
    program = fb.pack(quantized(Weighted(), [batch]), example=[batch])
    assert program.signature is not None
    assert [port.name for port in program.signature.inputs] == ["x", "attention_mask"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_cache_is_asked_for_again_after_packing(wrapped) -> None:
    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = llama()

        def forward(self, input_ids: Tensor) -> Tensor:
            return self.inner(input_ids).logits

    torch.manual_seed(0)
    model = Scores() if wrapped else llama()
    batches = [{"input_ids": words(3, 16)["input_ids"]}]
    small = quantized(model, batches)
    program = fb.pack(small, example=batches)
    inner = small.inner if wrapped else small
    assert inner.config.use_cache is True
    assert inner(**batches[0]).past_key_values is not None
    with torch.no_grad():
        wanted = inner(**batches[0]).logits[0].numpy()
    assert np.abs(program(batches[0]["input_ids"][0].numpy()) - wanted).mean() < 1e-3


def test_a_sliding_window_is_all_that_a_stream_remembers() -> None:
    torch.manual_seed(0)
    batches = [words(4, 16)]
    program = fb.pack(quantized(mistral(window=5), batches), example=batches)
    text = torch.randint(0, LLAMA["vocab_size"], (200,)).numpy()
    sizes, state = [], program.init_state()
    for token in text:
        _, state = program.step(np.array([[token]]), state)
        sizes.append(sum(np.size(part) for part in torch.utils._pytree.tree_leaves(state)))
    assert max(sizes) == max(sizes[:20])
    # Two layers see four tokens back each: what lies before does not count.
    late = program(text)[-1]
    other = text.copy()
    other[:-9] = (other[:-9] + 1) % LLAMA["vocab_size"]
    assert np.array_equal(program(other)[-1], late)
    other[-9] = (other[-9] + 1) % LLAMA["vocab_size"]
    assert not np.array_equal(program(other)[-1], late)


def dictionary(rows: int, frames: int) -> dict[str, Tensor]:
    """Sentences as `transformers` takes them; the label of each place is the next symbol."""
    x, y = repeated_words(rows, frames)
    return {"input_ids": x, "attention_mask": torch.ones_like(x), "labels": y}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "wide"), [(gpt2, ("transformer.wte", "transformer.wpe")), (mistral, ("model.embed_tokens", "lm_head"))]
)
def test_the_packed_ternary_network_has_the_loss_of_the_fake_quantized_one(build, wide) -> None:
    torch.manual_seed(3)
    model = build()
    batches = [dictionary(32, 24) for _ in range(250)]
    fb.fit(model, batches, fb.CrossEntropy(), epochs=1, lr=1e-2, progress=False)
    weights = dict.fromkeys(wide, "int8") | {"*": "ternary"}
    tuned = fb.Finetune(batches, fb.CrossEntropy(), epochs=1, lr=3e-3, progress=False)
    fake = fb.compress(model, fb.Quantize(weights, "int8", calibration=batches[:4]), tuned).eval()
    program = fb.pack(fake, example=batches[:4])
    held_out = dictionary(32, 24)
    with torch.no_grad():
        scores = fake(held_out["input_ids"]).logits
    packed = torch.from_numpy(np.stack([program(row.numpy()) for row in held_out["input_ids"]])).float()
    labels = held_out["labels"].flatten()
    losses = [float(nn.functional.cross_entropy(each.flatten(0, 1), labels)) for each in (scores, packed)]
    assert losses[0] < 2.0  # ln 20 is 3.0: it learned something
    assert abs(losses[1] - losses[0]) < 0.002


def gemma2() -> nn.Module:
    """Its attention scores pass through a tanh."""
    return transformers.Gemma2ForCausalLM(transformers.Gemma2Config(**LLAMA, head_dim=4))


def roberta() -> nn.Module:
    """Its positions depend on which symbols are padding."""
    sizes = {"vocab_size": 20, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    sizes |= {"num_attention_heads": 2, "max_position_embeddings": 32}
    return transformers.RobertaForSequenceClassification(transformers.RobertaConfig(**sizes))


@pytest.mark.parametrize(
    ("build", "weights", "message"),
    [
        (gemma2, "int8", r"self_attn \(tanh.*a matrix of attention scores is used where a signal is wanted"),
        (roberta, "int8", r"roberta.embeddings \(ne.*pack the network without it"),
        (gpt2, "int4:row", r"c_attn \(Conv1D\): its weight has a step for each column here; quantize it with one step"),
    ],
)
def test_what_has_no_integer_form_is_named(build, weights, message) -> None:
    torch.manual_seed(0)
    batches = [words(2, 16)]
    with pytest.raises(LoweringError, match=message):
        fb.pack(quantized(build(), batches, weights), example=batches)
