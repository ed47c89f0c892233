"""Heads of attention: found in any way of writing it, cut out exactly, and counted anew."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

import fewbit as fb
from fewbit import nn as layers
from fewbit.errors import ArgumentError, PruningError, QuantizationError
from fewbit.models import AllAttentionLM, Decoder
from fewbit.passes import PruneHeads, Quantize, compress
from fewbit.prune import add_masks, compact, head_counts, masked, remove, set_head_counts, structure_of, take_shapes
from fewbit.quant import forget_flat_weights
from fewbit.tasks import Task, load_network, save_network
from fewbit.testing import check_pass
from tests.lower.everyday_transformers import Llama
from tests.prune.random_masks import draw_masks, zeroed

X = torch.randn(2, 7, 12, generator=torch.Generator().manual_seed(0))


class Attention(nn.Module):
    """Attention by hand, with a mask, a bias for each head and, if asked for, keys for several queries."""

    def __init__(self, way: str, heads: int = 4, kv_heads: int = 4, size: int = 3, biased: bool = True) -> None:
        super().__init__()
        self.way, self.heads, self.kv_heads, self.size, self.biased = way, heads, kv_heads, size, biased
        self.front = nn.Linear(12, 12)
        self.q, self.k, self.v = (nn.Linear(12, many * size) for many in (heads, kv_heads, kv_heads))
        self.place = nn.Parameter(torch.randn(heads, 7, 7))
        self.out, self.head = nn.Linear(heads * size, 12), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.front(x)
        q = self.q(x).unflatten(-1, (self.heads, self.size)).transpose(1, 2)
        k, v = (layer(x).unflatten(-1, (self.kv_heads, self.size)).transpose(1, 2) for layer in (self.k, self.v))
        if self.way == "fused":
            grouped = self.heads != self.kv_heads
            y = functional.scaled_dot_product_attention(q, k, v, self.place[None], enable_gqa=grouped)
        else:
            k, v = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in (k, v))
            scores = q @ k.transpose(-2, -1) / self.size**0.5
            scores = scores + self.place if self.biased else scores
            if self.way == "where":
                scores = torch.where(torch.ones(7, 7).tril() == 1, scores, -torch.inf)
            if self.way == "bmm":
                shares = torch.bmm(scores.flatten(0, 1).softmax(-1), v.flatten(0, 1))
                y = shares.unflatten(0, (len(x), -1))
            else:
                y = scores.softmax(-1) @ v
        return self.head(functional.relu(self.out(y.transpose(1, 2).flatten(2))))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("way", ["fused", "plain", "where", "bmm"])
def test_heads_are_found_and_cut_in_any_way_of_writing_attention(way, kv_heads):
    torch.manual_seed(1)
    model = Attention(way, kv_heads=kv_heads).eval()
    structure = structure_of(model, X)
    group = structure.groups["the network"]
    assert (group.elements.kind, group.elements.size) == ("heads", kv_heads)
    masks = draw_masks(structure)
    wanted = zeroed(model, structure, masks)(X)
    remove(model, masks, X)
    torch.testing.assert_close(model(X), wanted, atol=1e-5, rtol=1e-4)
    assert (model.heads, model.kv_heads) == ((4, 1) if kv_heads == 1 else (2, kv_heads // 2))
    assert model.place.shape[0] == model.heads


def test_a_head_owns_its_rows_of_queries_keys_and_values():
    layer = nn.MultiheadAttention(6, 3, batch_first=True).eval()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.head = layer, nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.attention(x, x, x, need_weights=False)[0])

    elements = structure_of(Net(), X[..., :6]).groups["attention"].elements
    owners = next(each.owners for each in elements.owned if each.name == "in_proj_weight")
    assert owners[:, 0].tolist() == [0, 0, 1, 1, 2, 2] * 3


LAYERS = {
    "norm last": {},
    "norm first": {"norm_first": True},
    "no bias": {"bias": False},
    "time first": {"batch_first": False},
}


@pytest.mark.parametrize("settings", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("left", [1, 2, 3])
def test_layers_of_torch_keep_any_heads(settings, left):
    torch.manual_seed(0)
    about = {"batch_first": True} | settings
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 4, 16, **about), 2, enable_nested_tensor=False).eval()
    structure = structure_of(model, X)
    masks = {
        each.name: torch.randperm(4, generator=torch.Generator().manual_seed(i)) < left
        for i, each in enumerate(structure.elements)
        if each.kind == "heads"
    }
    assert len(masks) == 2
    wanted = zeroed(model, structure, masks)(X)
    remove(model, masks, X)
    torch.testing.assert_close(model(X), wanted, atol=1e-5, rtol=1e-4)
    assert {layer.self_attn.num_heads for layer in model.layers} == {left}
    hidden = torch.tensor([[0.0] * 5 + [-torch.inf] * 2, [0.0] * 7]) if about["batch_first"] else None
    causal = nn.Transformer.generate_square_subsequent_mask(len(X[0]) if about["batch_first"] else len(X))
    assert torch.isfinite(model(X, mask=causal, src_key_padding_mask=hidden)).all()
    model.train()(X).sum().backward()  # trains on


TOKENS = torch.randint(0, 9, (2, 12), generator=torch.Generator().manual_seed(0))
NETWORKS = {
    "all-attention": (lambda: AllAttentionLM(9, 12, 4, 2, span=5, slots=3), TOKENS),
    "gpt": (lambda: Decoder(9, 16, 4, 2, style="gpt", context=12), TOKENS),
    "grouped queries": (lambda: Decoder(9, 16, 8, 2, style="llama", key_heads=4, window=6), TOKENS),
    "torch": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(12, 4, 16, batch_first=True), 2, enable_nested_tensor=False
        ),
        X,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("pattern", [("", "0123"), ("2", ""), ("013", "12"), ("3", "0")])
def test_each_layer_keeps_heads_of_its_own_or_none(name, pattern):
    build, x = NETWORKS[name]
    torch.manual_seed(0)
    model = build().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # biases of heads start at 0
            parameter += 0.1 * torch.randn_like(parameter)
    structure = structure_of(model, x)
    heads = [each for each in structure.elements if each.kind == "heads"]
    masks = {
        each.name: torch.tensor([str(head) in kept for head in range(4)])
        for each, kept in zip(heads, pattern, strict=True)
    }
    small = remove(deepcopy(model), masks, x)
    with torch.no_grad(), masked(model, structure.elements, masks):
        for ours, theirs in zip(_leaves(small(x)), _leaves(model(x)), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    counts = [count for path, count in head_counts(small).items() if not path.endswith("key_heads")]
    assert [count * 4 // max(head_counts(model).values()) for count in counts] == [len(kept) for kept in pattern]
    again = [each.size for each in structure_of(small, x).elements if each.kind == "heads"]
    # The last key of rotary attention cannot be told from its phases.
    assert [size for size in again if size > 1] == [len(kept) for kept in pattern if len(kept) > 1]
    small.train()
    sum(part.sum() for part in _leaves(small(x))).backward()  # trains on


def test_sizes_of_all_attention_fall_by_those_of_a_head():
    """Weights and operations are a straight line in the heads that are left."""
    build, x = NETWORKS["all-attention"]
    heads, weights, macs = [], [], []
    for kept in ((4, 4), (3, 4), (4, 1), (2, 2), (1, 2), (0, 2), (0, 0)):
        model = build()
        names = [each.name for each in structure_of(model, x).elements if each.kind == "heads"]
        small = remove(model, {name: torch.arange(4) < n for name, n in zip(names, kept, strict=True)}, x)
        heads.append(sum(kept))
        weights.append(sum(parameter.numel() for parameter in small.parameters()))
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            small(x)
        macs.append(counter.get_total_flops() // 2)
    each = 5 * 12 * 3 + 2 * 3 * 3 + 2 * 3
    assert [count - n * each for count, n in zip(weights, heads, strict=True)] == [weights[-1]] * len(heads)
    assert np.corrcoef(heads, macs)[0, 1] ** 2 > 0.999
    assert macs[-1] == x.numel() * 12 * 9  # what is left is the last layer


def test_attention_without_heads_cannot_be_quantized_and_says_so():
    build, x = NETWORKS["gpt"]
    small = remove(build(), {"blocks.0.attention": torch.zeros(4, dtype=torch.bool)}, x)
    with pytest.raises(QuantizationError, match=r"blocks.0.attention.query.weight: .* no numbers to quantize"):
        fb.attach(small, weights="ternary")


def _leaves(result):
    """Tensors of a result without states."""
    return [result[0] if isinstance(result, tuple) else result]


def layer_pair(**about):
    """A layer of torch, and ours with the same weights."""
    theirs = nn.MultiheadAttention(12, 3, **about).eval()
    ours = layers.MultiheadAttention(12, 3, 4, **about).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@given(
    st.booleans(), st.booleans(), st.booleans(), st.sampled_from([None, "bool", "float", "each"]), st.booleans(),
    st.booleans(), st.booleans(),
)  # fmt: skip
@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_with_all_heads_our_layer_is_that_of_torch(first, bias, padded, mask, need, average, batched):
    torch.manual_seed(0)
    theirs, ours = layer_pair(batch_first=first, bias=bias)
    q, kv = torch.randn(2, 5, 12), torch.randn(2, 6, 12)
    about = {"need_weights": need, "average_attn_weights": average}
    if padded:
        about["key_padding_mask"] = torch.tensor([[False] * 4 + [True] * 2, [False] * 6])
    causal = torch.ones(5, 6).triu(2) == 1
    if mask == "bool":
        about["attn_mask"] = causal
    elif mask is not None:
        about["attn_mask"] = torch.zeros(5, 6).masked_fill(causal, -torch.inf)
        if padded:
            about["key_padding_mask"] = torch.zeros(2, 6).masked_fill(about["key_padding_mask"], -torch.inf)
    if mask == "each":
        about["attn_mask"] = about["attn_mask"].repeat(6 if batched else 3, 1, 1)
    if not batched:
        q, kv = q[0], kv[0]
        if padded:
            about["key_padding_mask"] = about["key_padding_mask"][0]
    elif not first:
        q, kv = q.transpose(0, 1), kv.transpose(0, 1)
    if batched or mask != "each":
        for a, b in zip(ours(q, kv, kv, **about), theirs(q, kv, kv, **about), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_masks_for_heads_that_are_gone_are_refused():
    _, ours = layer_pair(batch_first=True)
    with pytest.raises(ArgumentError, match="attn_mask has 8 masks; wanted 6, one for each of 2 examples and 3 heads"):
        ours(X, X, X, attn_mask=torch.zeros(8, 7, 7))


PACKED = {
    "encoder": (lambda: nn.TransformerEncoderLayer(12, 4, 16, batch_first=True), X),
    "llama": (lambda: Llama(nn.RMSNorm), torch.randint(0, 20, (2, 7), generator=torch.Generator().manual_seed(0))),
    "by hand": (lambda: Attention("where", kv_heads=2, biased=False), X),
}


@pytest.mark.parametrize("weights", ["ternary", "int4:row"])
@pytest.mark.parametrize("name", PACKED)
def test_networks_without_heads_pack_to_the_integers_of_masked_ones(name, weights):
    build, x = PACKED[name]
    torch.manual_seed(2)
    model = build().eval()
    structure = structure_of(model, x)
    chosen = [each for each in structure.elements if each.kind == "heads"]
    masks = draw_masks(structure)
    add_masks(model, chosen, {each.name: masks[each.name] for each in chosen})
    fb.calibrate(fb.attach(model, weights=weights, activations="int8"), [x])
    small = compact(deepcopy(forget_flat_weights(model)), x)
    whole, less = fb.pack(model, example=x), fb.pack(small, example=x)
    np.testing.assert_array_equal(whole(x[0].numpy()), less(x[0].numpy()))
    assert len(less.to_bytes()) < len(whole.to_bytes())


def pruned(model):
    return compress(model, PruneHeads(0.5, X))


@pytest.mark.parametrize("quantized", [False, True])
def test_a_network_without_heads_is_saved_and_loaded(quantized, tmp_path):
    task = Task(
        name="attention",
        build=lambda size: nn.Sequential(nn.TransformerEncoderLayer(12, 4, 16, batch_first=True), Attention("plain")),
        batches=lambda seed: [],
        evaluate=lambda model: 0.0,
        size=1,
    )
    model = pruned(task.new(0))
    assert head_counts(model) == {"0.self_attn.num_heads": 2, "1.heads": 2, "1.kv_heads": 2}
    if quantized:
        model = compress(model, Quantize("ternary", "int8", calibration=[X]))
    again = load_network(save_network(tmp_path / "net", model, 1), task).model
    assert head_counts(again) == head_counts(model)
    assert torch.equal(again(X), model.eval()(X))


def test_tensors_alone_give_a_layer_of_torch_its_heads_back():
    small = pruned(nn.Sequential(nn.TransformerEncoderLayer(12, 4, 16, batch_first=True), nn.Linear(12, 2)))
    again = nn.Sequential(nn.TransformerEncoderLayer(12, 4, 16, batch_first=True), nn.Linear(12, 2))
    take_shapes(again, small.state_dict()).load_state_dict(small.state_dict())
    assert torch.equal(again.eval()(X), small.eval()(X))


def test_counts_of_a_stranger_are_left_out():
    model = Attention("plain")
    set_head_counts(model, {"heads": 2, "size": 9, "kv_heads": -1, "way": 1, "no.such": 3, "heads.x": 1})
    assert (model.heads, model.kv_heads, model.size) == (2, 4, 3)


class Viewed(nn.Module):
    """The width of the input is written where that of the heads is meant."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = 3, nn.Linear(12, 36), nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        return self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape))


class Scaled(Viewed):
    """The size of a head is computed from the width of the input."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        scale = (x.shape[-1] // self.heads) ** -0.5
        return self.out(functional.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).flatten(2))


@pytest.mark.parametrize(("kind", "message"), [(Viewed, "does not run"), (Scaled, "differs from the masked one")])
def test_sizes_written_into_code_are_refused(kind, message):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 12), kind(), nn.Linear(12, 2))
    with torch.no_grad():
        model[1].qkv.weight *= 5  # so that maps are no plain means
    with pytest.raises(PruningError, match=message):
        remove(model.eval(), {"1": torch.tensor([True, False, True])}, X)


@pytest.mark.parametrize("about", [{"add_bias_kv": True}, {"add_zero_attn": True}])
def test_appended_keys_are_refused(about):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(12, 4, batch_first=True, **about), nn.Linear(12, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.attention(x, x, x)[0])

    with pytest.raises(PruningError):
        compress(Net(), PruneHeads(0.5, X))


@pytest.mark.parametrize("cut", [True, False])
def test_the_pass_obeys_the_laws_of_passes(cut):
    model = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(12, 4, 16, batch_first=True), 2, enable_nested_tensor=False
    )
    check_pass(lambda: PruneHeads(0.5, X, cut=cut), model, X)


def test_networks_without_heads_are_refused_by_name():
    with pytest.raises(PruningError, match="Sequential has no heads to prune"):
        compress(nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2)), PruneHeads(0.5, X))


def test_other_products_and_shares_of_the_input_are_kept():
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Linear(12, 8), nn.Linear(12, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.a(x) * torch.softmax(self.b(x), -1))  # shares among channels

    found = structure_of(Mixing(), X)
    assert not found.groups
    assert found.refused["b"] == "the network (softmax) takes shares among channels"
