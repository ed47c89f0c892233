"""The pass that learns heads: its cut, its switches, files of recipes, and what can be done with its networks."""

import numpy as np
import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit.errors import ArgumentError, PruningError, SelectionError
from fewbit.models import AllAttentionLM, Decoder
from fewbit.native import is_available
from fewbit.passes import Compact, Finetune, LearnHeads, Quantize, compress, read_recipe
from fewbit.program.native_run import Native
from fewbit.program.reference import Reference
from fewbit.prune import gates_on, masks_on, structure_of
from fewbit.testing import check_pass
from fewbit.train import CrossEntropy

torch.manual_seed(0)
TEXT = torch.arange(9).repeat(4)[torch.arange(25) + torch.randint(0, 9, (24, 1))]
BATCHES = [(part[:, :-1], part[:, 1:]) for part in TEXT.split(8)]
X = BATCHES[0][0]


def learn(epochs: int = 3, objective=CrossEntropy(), **about) -> LearnHeads:  # noqa: B008
    return LearnHeads(BATCHES, objective, epochs, X, **{"lr": 1e-3, "gate_lr": 100.0, "progress": False} | about)


def decoder(**about) -> Decoder:
    torch.manual_seed(1)
    return Decoder(9, 16, 4, 2, window=8, **about)


def counts(model: nn.Module) -> list[int]:
    return [module.heads for module in model.modules() if hasattr(module, "heads")]


NETWORKS = {
    "decoder": decoder,
    "all-attention": lambda: AllAttentionLM(9, 16, 4, 2, span=8, slots=8),
    "encoder of torch": lambda: nn.Sequential(
        nn.Embedding(9, 16),
        nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 16, batch_first=True), 2, enable_nested_tensor=False),
        nn.Linear(16, 9),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("target", [2, 5])
def test_exactly_the_target_is_left_and_the_network_is_plain_again(name, target):
    torch.manual_seed(1)
    model = NETWORKS[name]()
    small = compress(model, learn(target=target, frozen=0.3))
    heads = [each.size for each in structure_of(small, X).elements if each.kind == "heads"]
    if name != "encoder of torch":
        assert sum(counts(small)) == target
    assert sum(heads) == target
    assert not gates_on(small)
    assert not any(hasattr(module, "parametrizations") for module in small.modules())
    y = small.eval()(X)
    assert (y[0] if isinstance(y, tuple) else y).shape == (8, 24, 9)


def test_the_cut_network_is_the_trained_one():
    """What is cut out is what training ended with: the loss with gates in evaluation is that of the smaller network."""
    seen = []

    def watching(model, batch, progress):
        seen.append(model)
        return CrossEntropy()(model, batch, progress)

    masked = compress(decoder(), learn(objective=watching, target=5, frozen=0.3, cut=False, epochs=2))
    small = compress(masked, Compact(X))
    with torch.no_grad():
        torch.testing.assert_close(small.eval()(X), masked.eval()(X), atol=1e-5, rtol=1e-4)
    assert sum(int(mask.sum()) for name, mask in masks_on(masked, structure_of(masked, X).elements).items()
               if name.endswith("attention")) == 5  # fmt: skip
    assert sum(counts(small)) == 5


def test_a_price_closes_heads_and_none_keeps_them():
    many = compress(decoder(), learn(penalty=0.0))
    few = compress(decoder(), learn(penalty=3.0, epochs=10))
    none = compress(decoder(), learn(penalty=3.0, epochs=10, min_heads=0))
    assert counts(many) == [4, 4]
    assert counts(few) == [1, 1]
    assert counts(none) == [0, 0]
    assert torch.isfinite(none(X)).all()


def test_feed_forward_parts_are_cut_in_slices():
    small = compress(decoder(ff=24), learn(target=9, feed=("*.feed.up",)))
    feeds = [block.feed.down.in_features for block in small.blocks]
    assert sum(counts(small)) + sum(feeds) / 6 == 9
    assert all(size % 6 == 0 and size > 0 for size in feeds)


def test_layers_can_be_chosen():
    small = compress(decoder(), learn(target=1, keep=("blocks.0.*",)))
    assert counts(small) == [4, 1]


def test_a_resumed_training_ends_in_the_same_network(tmp_path):
    whole = compress(decoder(), learn(target=5))

    def stopped(model, batch, progress):
        if progress > 0.5:
            raise KeyboardInterrupt
        return CrossEntropy()(model, batch, progress)

    file = tmp_path / "training"
    with pytest.raises(KeyboardInterrupt):
        compress(decoder(), learn(objective=stopped, target=5, checkpoint=file))
    # Draws of gates after a resumption are those of an uninterrupted run, and so is the controller.
    resumed = compress(decoder(), learn(target=5, checkpoint=file))
    for ours, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_ternary_after_pruning_packs_and_runs_with_other_heads_in_each_layer(tmp_path):
    """Different numbers of heads in each layer, as integers: native ones are those of the reference, and any split."""
    small = compress(decoder(), learn(target=4, frozen=0.3))
    small = compress(
        small,
        Quantize({"embedding": "int8", "*": "ternary"}, "int8", calibration=BATCHES),
        Finetune(BATCHES, CrossEntropy(), epochs=1, progress=False),
    )
    program = fb.load(fb.pack(small, example=X).save(tmp_path / "heads.fewbit"))
    tokens = X[0].numpy()
    theirs = small.eval()(X[:1])[0].detach().numpy()
    assert np.abs(program(tokens) - theirs).max() < 0.05 * np.abs(theirs).max()
    frames = program.signature.frames([tokens])
    runs = [Reference(program.ops), *([Native(program.ops)] if is_available() else [])]
    wanted, _ = runs[0].step(frames, runs[0].init_state(), False)
    for run in runs:
        state, parts = run.init_state(), []
        for piece in (slice(0, 1), slice(1, 11), slice(11, None)):
            y, state = run.step(frames[piece], state, False)
            parts.append(y)
        np.testing.assert_array_equal(np.concatenate(parts), wanted)


def test_recipe_files_name_the_pass(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(
        """
[[pass]]
kind = "LearnHeads"
epochs = 2
target = 5
frozen = 0.2
lr = 1e-3
gate_lr = 50
warmup = 0.1
feed = ["*.feed.up"]

[[pass]]
kind = "Finetune"
epochs = 1
""",
        encoding="utf-8",
    )
    passes = read_recipe(file).passes(batches=BATCHES, objective=CrossEntropy(), calibration=[X], progress=False)
    first = passes[0]
    assert isinstance(first, LearnHeads)
    assert (first.epochs, first.target, first.frozen, first.feed) == (2, 5, 0.2, ("*.feed.up",))
    small = compress(decoder(ff=24), *passes)
    assert sum(counts(small)) + sum(block.feed.down.in_features for block in small.blocks) / 6 == 5


@pytest.mark.parametrize(
    ("about", "kind", "message"),
    [
        ({"target": 9}, ArgumentError, r"target=9, and there are 8 gates, of which 2 stay open .*; wanted 2 to 8"),
        ({"target": 1}, ArgumentError, "wanted 2 to 8"),
        ({"target": 3, "min_heads": 2}, ArgumentError, "wanted 4 to 8"),
        ({"penalty": -1.0}, ArgumentError, "LearnHeads: penalty"),
        ({"frozen": 1.0}, ArgumentError, "LearnHeads: frozen"),
        ({"layers": ("nothing",)}, SelectionError, "no heads match 'nothing'"),
        ({"feed": ("nothing",)}, SelectionError, "no channels match 'nothing'"),
    ],
)
def test_wrong_settings_are_refused_before_training(about, kind, message):
    def never(model, batch, progress):
        raise AssertionError

    with pytest.raises(kind, match=message):
        compress(decoder(), learn(objective=never, **about))


def test_networks_without_heads_are_refused():
    with pytest.raises(PruningError, match="Sequential has no heads to learn"):
        learn()(nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9)))


def test_quantized_networks_are_refused():
    with pytest.raises(PruningError, match="learn heads first, then quantize"):
        learn()(Quantize("ternary")(decoder(tied=False)))


@pytest.mark.parametrize("cut", [True, False])
def test_the_pass_obeys_the_laws_of_passes(cut):
    check_pass(lambda: learn(epochs=1, target=5, cut=cut), decoder(), X)
