"""From a model and a tokenizer of Hugging Face to a file that writes text."""

import numpy as np
import pytest
import torch

import fewbit as fb
from fewbit.cli.main import main
from fewbit.program import Reference, load
from fewbit.streams import TextGenerator
from fewbit.text import byte_pairs_from_json

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

LINES = ["the cat sat on the mat", "naïve owls fly over a café 😀", "my dog has 12 fleas"]
END = "<|endoftext|>"


@pytest.fixture(scope="module")
def tokenizer():
    found = tokenizers.Tokenizer(tokenizers.models.BPE())
    found.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=280, initial_alphabet=alphabet, special_tokens=[END], show_progress=False
    )
    found.train_from_iterator(LINES * 9, trainer)
    return found


@pytest.fixture(scope="module", params=["mistral", "gpt-2"])
def trained(request, tokenizer):
    """A tiny model that knows three lines, quantized."""
    torch.manual_seed(0)
    classes = 290  # more than the tokenizer has
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    if request.param == "gpt-2":
        config = transformers.GPT2Config(vocab_size=classes, n_positions=64, n_embd=32, n_layer=1, n_head=2, **ends)
        model, wide = transformers.GPT2LMHeadModel(config), ["transformer.wte", "transformer.wpe"]
    else:
        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4}
        config = transformers.MistralConfig(
            vocab_size=classes, num_key_value_heads=2, sliding_window=12, tie_word_embeddings=True, **sizes, **ends
        )
        model, wide = transformers.MistralForCausalLM(config), ["model.embed_tokens"]
    text = torch.tensor([i for line in LINES * 40 for i in (0, *tokenizer.encode(line).ids)])
    rows = text[: len(text) // 24 * 24].view(-1, 24)
    batches = [{"input_ids": rows[i : i + 8, :-1], "labels": rows[i : i + 8, 1:]} for i in range(0, len(rows), 8)]
    fb.fit(model, batches, fb.CrossEntropy(), epochs=12, lr=1e-2, progress=False)
    weights = dict.fromkeys(wide, "int8") | {"*": "ternary"}
    tuned = fb.Finetune(batches, fb.CrossEntropy(), epochs=4, lr=3e-3, progress=False)
    return fb.compress(model, fb.Quantize(weights, "int8", calibration=batches[:2]), tuned).eval(), batches


@pytest.mark.slow
def test_a_model_and_its_tokenizer_become_a_file_that_writes_text(trained, tokenizer, tmp_path, capsys) -> None:
    model, batches = trained
    pairs = byte_pairs_from_json(tokenizer.to_str(), begin=END, ends=[END], classes=290)
    program = fb.pack(model, example=batches[:4], alphabet=pairs, context=24)
    path = program.save(tmp_path / "cats.fewbit")
    assert main(["generate", str(path), "--prompt", "naïve owls", "--temperature", "0", "--tokens", "40"]) == 0
    assert capsys.readouterr().out.strip() == LINES[1]

    # The integers are those of the reference, and the likeliest tokens those of the quantized model in torch.
    text = tokenizer.encode(LINES[1]).ids
    frames = np.array([0, *text])[:, None]
    scores, _ = program.step(frames, program.init_state())
    reference = Reference(program.ops)
    assert np.array_equal(scores, reference.step(frames.astype(np.float32), reference.init_state(), True)[0])
    with torch.no_grad():
        wanted = model(input_ids=torch.from_numpy(frames.T)).logits[0].numpy()
    assert np.abs(scores / 1024 - wanted).mean() < 0.02 * wanted.std()
    assert (scores.argmax(1) == wanted.argmax(1)).mean() > 0.9

    spoken = list(TextGenerator(load(path)).generate("naïve", tokens=40, temperature=0))
    assert "".join(["naïve", *spoken]) == LINES[1]
    assert "" in spoken  # the bytes of 😀 are several tokens
