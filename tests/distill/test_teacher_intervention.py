"""Teacher intervention: what goes on in each mode, what learns from it, what counts, and what is left behind."""

from copy import deepcopy

import pytest
import torch
from torch import nn

import fewbit as fb
from fewbit.distill import TeacherIntervention, TokenScaledKD, inner_signals
from fewbit.distill.attention_pairs import seats_of
from fewbit.distill.layer_losses import HIDDEN
from fewbit.errors import ArgumentError
from fewbit.models import Decoder
from fewbit.models.transformer_block import TransformerBlock
from fewbit.train import CrossEntropy

CLASSES = 9
TEXT = torch.randint(0, CLASSES, (4, 13), generator=torch.Generator().manual_seed(0))
BATCH = (TEXT[:, :-1], TEXT[:, 1:])
MODES = ("map", "context", "output")


class Encoder(nn.Module):
    """Sees whole sentences with padding, and names the class of each."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 8)
        self.blocks = nn.ModuleList(TransformerBlock(8, 2, causal=False) for _ in range(2))
        self.head = nn.Linear(8, 3)

    def forward(self, tokens, mask=None):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x[:, 0])


def padded(filler: int = 0, time: int = 12) -> dict[str, torch.Tensor]:
    mask = torch.arange(time) < torch.tensor([12, 5, 7, 2])[:, None]
    tokens = torch.full((4, time), filler)
    tokens[:, :12] = BATCH[0]
    return {"tokens": torch.where(mask, tokens, filler), "mask": mask, "labels": torch.tensor([0, 1, 2, 1])}


NETWORKS = {
    "gpt": (lambda: Decoder(CLASSES, 8, 2, 3, context=16), BATCH),
    "llama": (lambda: Decoder(CLASSES, 16, 4, 2, style="llama", key_heads=2, window=4), BATCH),
    "encoder": (Encoder, padded()),
}


def network(name="gpt", seed=1):
    torch.manual_seed(seed)
    return NETWORKS[name][0]()


def spoilt(model: nn.Module, *parts: str) -> nn.Module:
    """A copy whose attention has other weights in these parts."""
    student = deepcopy(model)
    for seat in seats_of(student):
        for part in parts:
            nn.init.normal_(getattr(seat.attention, part).weight)
    return student


class OfScores:
    """In place of a distillation: a multiple of the scores, which says where they come from."""

    hard = CrossEntropy()

    def __init__(self, factor: float = 0.0) -> None:
        self.factor, self.seen = factor, []

    def compare(self, student, teacher, batch, progress):
        self.seen.append((student.detach(), teacher))
        return self.factor * student.sum()


def gradients(model: nn.Module, objective, batch=BATCH) -> dict[str, float]:
    model.zero_grad()
    objective(model, batch, 0.0).backward()
    return {name: 0.0 if p.grad is None else float(p.grad.abs().sum()) for name, p in model.named_parameters()}


# -- what goes on


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("mode", "parts"),
    [
        ("map", ("query", "key")),
        ("context", ("query", "key", "value")),
        ("output", ("query", "key", "value", "output")),
    ],
)
def test_what_stands_before_the_signal_no_longer_matters(name, mode, parts):
    """A student that is spoilt there gives what the teacher gives; one that is spoilt behind it does not."""
    teacher, batch = network(name).eval(), NETWORKS[name][1]
    soft = OfScores()
    objective = TeacherIntervention(teacher, share=1.0, order=mode, soft=soft, taps=("hidden",))
    loss = objective(spoilt(teacher, *parts).eval(), batch, 0.0)
    student, target = soft.seen[-1]
    assert torch.equal(student, target)
    assert loss == 0  # what every block reads and what the last one gives
    later = [part for part in ("query", "key", "value", "output") if part not in parts]
    for part in later:
        objective(spoilt(teacher, part).eval(), batch, 0.0)
        assert not torch.allclose(*soft.seen[-1], atol=1e-3)
    TeacherIntervention(teacher, share=0.0, soft=soft)(spoilt(teacher, *parts).eval(), batch, 0.0)
    assert not torch.allclose(*soft.seen[-1], atol=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_a_student_that_equals_the_teacher_has_no_differences(mode):
    teacher = network().eval()
    soft = OfScores()
    loss = TeacherIntervention(teacher, share=1.0, order=mode, soft=soft)(deepcopy(teacher), BATCH, 0.0)
    assert loss == 0
    assert torch.equal(*soft.seen[0])


def test_the_loss_is_that_of_the_equation():
    teacher, student = network(), network(seed=2)
    loss = TeacherIntervention(teacher, share=0.0)(student, BATCH, 0.0)
    taps: dict[nn.Module, dict] = {}
    for model in (teacher, student):
        places = {(i, tap): seat.place(tap) for i, seat in enumerate(seats_of(model))
                  for tap in ("hidden", "scores", "output", "last")}  # fmt: skip
        with inner_signals(places) as seen:
            model(BATCH[0])
        taps[model] = seen
    wanted = fb.LogitKD(teacher, 1.0, 1.0)(student, BATCH, 0.0)
    for place, own in taps[student].items():
        if place[1] == "last" and place[0] < 2:
            continue  # it is what the next block reads
        counted = own > HIDDEN
        wanted = wanted + (own - taps[teacher][place])[counted].square().mean()
    assert torch.allclose(loss, wanted)


# -- what learns from it


@pytest.mark.parametrize("mode", MODES)
def test_scores_teach_their_own_layer_only(mode):
    teacher, student = network(), network(seed=2)
    arguments = {"taps": ("scores",), "soft": OfScores()}
    own = gradients(student, TeacherIntervention(teacher, 1.0, mode, **arguments))
    plain = gradients(student, TeacherIntervention(teacher, 0.0, mode, **arguments))
    moved = {name for name, size in own.items() if size}
    assert moved == {f"blocks.{i}.attention.{part}.weight" for i in range(3) for part in ("query", "key")} | {
        f"blocks.{i}.attention.{part}.bias" for i in range(3) for part in ("query", "key")
    }
    assert plain["blocks.0.feed.down.weight"] > 0
    assert plain["embedding.weight"] > 0


@pytest.mark.parametrize(("mode", "through"), [("map", True), ("context", False), ("output", False)])
def test_the_values_carry_a_gradient_back_behind_a_given_map_only(mode, through):
    objective = TeacherIntervention(network(), 1.0, mode, taps=("output",), soft=OfScores())
    assert (gradients(network(seed=2), objective)["blocks.0.feed.down.weight"] > 0) == through


@pytest.mark.parametrize(
    ("mode", "idle"),
    [
        ("map", ("query", "key")),
        ("context", ("query", "key", "value")),
        ("output", ("query", "key", "value", "output")),
    ],
)
def test_the_scores_of_the_network_teach_only_what_stands_behind(mode, idle):
    objective = TeacherIntervention(network(), 1.0, mode, taps=(), soft=OfScores(1.0))
    sizes = gradients(network(seed=2), objective)
    still = {part: sizes[f"blocks.1.attention.{part}.weight"] == 0 for part in ("query", "key", "value", "output")}
    assert [part for part in still if still[part]] == list(idle)


# -- when


def test_gradual_intervention_has_two_thirds_of_its_updates_on_maps():
    objective = TeacherIntervention(network(), share=120 / 1700)
    modes = [objective.mode(step / 1700) for step in range(1700)]
    assert modes == ["output"] * 20 + ["context"] * 20 + ["map"] * 80 + ["none"] * 1580


def test_other_orders():
    def modes(order):
        objective = TeacherIntervention(network(), share=0.5, order=order)
        return [objective.mode(step / 240) for step in range(240)]

    assert modes("inverted") == ["map"] * 40 + ["context"] * 40 + ["output"] * 40 + ["none"] * 120
    assert modes("context") == ["context"] * 120 + ["none"] * 120
    drawn = modes("stochastic")
    assert drawn[120:] == ["none"] * 120
    assert all(25 <= drawn[:120].count(mode) <= 55 for mode in MODES)


def test_without_a_share_there_is_none_and_with_all_there_is_no_end():
    assert TeacherIntervention(network(), share=0.0).mode(0.0) == "none"
    assert TeacherIntervention(network(), share=1.0).mode(0.9999) == "map"


# -- what counts


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_padding_counts_in_no_loss(share):
    teacher, student = network("encoder"), network("encoder", seed=2)
    losses = [
        TeacherIntervention(teacher, share, "context")(student, batch, 0.0)
        for batch in (padded(), padded(filler=5), padded(time=15))
    ]
    assert torch.allclose(losses[1], losses[0], atol=1e-6)
    assert torch.allclose(losses[2], losses[0], atol=1e-6)


def test_positions_without_a_label_count_in_no_loss():
    teacher, student = network(), network(seed=2)
    inputs, labels = BATCH[0].clone(), BATCH[1].clone()
    labels[:, 7:] = -100
    inputs[:, 7:] = 0
    objective = TeacherIntervention(teacher, 1.0)
    short = objective(student, tuple(part[:, :7] for part in BATCH), 0.0)
    assert torch.allclose(objective(student, (inputs, labels), 0.0), short, atol=1e-6)


# -- what is left behind


def hooks(model: nn.Module) -> list[int]:
    return [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules()]


def test_after_an_error_both_networks_are_as_they_were():
    teacher, student = network().train(), network(seed=2)
    student.head = nn.Linear(5, CLASSES)
    before = hooks(teacher), hooks(student)
    with pytest.raises(RuntimeError):
        TeacherIntervention(teacher, 1.0)(student, BATCH, 0.0)
    assert (hooks(teacher), hooks(student)) == before
    assert teacher.training


def test_a_recipe_of_two_steps_leaves_a_plain_network():
    """Intervention, then token-scaled distillation, with quantized signals; what comes out packs as ever."""
    torch.manual_seed(0)
    teacher = Decoder(CLASSES, 8, 2, 2, style="llama", window=4)
    steps = [
        {"kind": "Quantize", "weights": {"embedding": "int8", "*": "ternary+twn"}, "activations": "int8"},
        {"kind": "Finetune", "epochs": 2, "lr": 0.01, "objective": {"kind": "TeacherIntervention", "share": 1}},
        {
            "kind": "Finetune",
            "epochs": 2,
            "lr": 0.01,
            "objective": {"kind": "TeacherIntervention", "share": 0, "soft": {"kind": "TokenScaledKD", "tau": 5}},
        },
    ]
    given = {"batches": [BATCH], "objective": CrossEntropy(), "seed": 0, "progress": False}
    passes = fb.passes.Recipe.from_dict({"passes": steps}).passes(**given, teacher=teacher)
    second = passes[2].objective
    assert isinstance(second.soft, TokenScaledKD)
    assert (second.soft.tau, second.soft.hard, second.share) == (5.0, given["objective"], 0.0)
    student = fb.compress(teacher, *passes)
    plain = fb.compress(teacher, passes[0])
    assert student.state_dict().keys() == plain.state_dict().keys()
    assert hooks(student) == hooks(plain)
    assert not torch.equal(student.blocks[0].attention.query.weight, plain.blocks[0].attention.query.weight)
    assert fb.pack(student.eval(), example=[BATCH])(BATCH[0][0].numpy()).shape == (12, CLASSES)


def test_a_teacher_that_is_not_finite_is_refused():
    teacher = network()
    with torch.no_grad():
        teacher.blocks[1].feed.up.weight[0, 0] = torch.nan
    with pytest.raises(ArgumentError, match=r"blocks\.1\.feed\.up\.weight of the teacher is NaN or infinite"):
        TeacherIntervention(teacher)
