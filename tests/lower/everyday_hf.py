"""Networks of `transformers`, as they are, with random weights; none where the library is missing."""

from importlib.util import find_spec

import torch
from torch import Tensor, nn

from tests.lower.everyday import Network
from tests.lower.everyday_recurrent import CLASSES
from tests.lower.everyday_transformers import SYMBOLS

ENDS = {"bos_token_id": 0, "eos_token_id": 0}
LLAMA = {
    "vocab_size": SYMBOLS,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    **ENDS,
}


def gpt2() -> nn.Module:
    """Learned positions, LayerNorm, tied head; its linear layers keep their weights transposed."""
    import transformers

    sizes = {"vocab_size": SYMBOLS, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **ENDS))


def llama() -> nn.Module:
    """Rotary positions, RMSNorm, SwiGLU, grouped queries."""
    import transformers

    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA))


def mistral(window: int = 5) -> nn.Module:
    """As Llama, with a sliding window."""
    import transformers

    return transformers.MistralForCausalLM(transformers.MistralConfig(**LLAMA, sliding_window=window))


def bert() -> nn.Module:
    """Attention over the whole sentence; the first place says the class."""
    import transformers

    sizes = {"vocab_size": SYMBOLS, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "max_position_embeddings": 24, "num_labels": CLASSES}
    return transformers.BertForSequenceClassification(transformers.BertConfig(**sizes))


def words(rows: int, frames: int) -> dict[str, Tensor]:
    """As a tokenizer gives them where nothing is padded."""
    found = torch.randint(0, SYMBOLS, (rows, frames))
    return {"input_ids": found, "attention_mask": torch.ones_like(found)}


def pairs(rows: int, frames: int) -> dict[str, Tensor]:
    """As a tokenizer of BERT gives two sentences."""
    second = (torch.arange(frames) > frames // 2).long().expand(rows, frames)
    found = torch.randint(0, SYMBOLS, (rows, frames))
    return {"input_ids": found, "token_type_ids": second, "attention_mask": torch.ones_like(found)}


HF_NETWORKS = {
    "hf gpt-2": Network(gpt2, words, 1, True, longest=32, context=32),
    "hf llama": Network(llama, words, 1, True, context=32),
    "hf mistral": Network(mistral, words, 1, True, weights="ternary"),
    "hf bert": Network(bert, pairs, 1, longest=24),
}
if find_spec("transformers") is None:
    HF_NETWORKS.clear()
