"""Recipes as files: what is written comes back, what is wrong is named before anything is trained."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fewbit.distill import SPEQ, LogitKD, TokenScaledKD
from fewbit.errors import ArgumentError, DataError
from fewbit.passes import SQWA, Finetune, OnlineFinetune, Quantize, Recipe, compress, gradual, read_recipe
from fewbit.quant import quantizer_of
from fewbit.train import CTC, CrossEntropy, GuidedCTC, PartOf, SymmetricSGD

FULL = """
# every kind of pass
[[pass]]
kind = "Quantize"
weights = { "head" = "int8", "rnn0.weight" = "float", "*" = "ternary+adaptive" }
activations = "int8"

[[pass]]
kind = "SQWA"
warmup_epochs = 6
cycles = 3
finetune_epochs = 2
objective = { kind = "LogitKD", temperature = 2, weight = { from = 0.9, to = 0.0 }, hard = "CTC" }
optimizer = { kind = "SymmetricSGD", alpha = 0.2 }

[[pass]]
kind = "Finetune"
epochs = 3
schedule = { from = 1.0, to = 0.1, shape = "cosine", warmup = 0.1 }
objective = { kind = "SPEQ", bits = 4, sites = ["rnn*"] }
optimizer = { kind = "SGD", momentum = 0.9, nesterov = true }

[[pass]]
kind = "gradual"
specs = ["int4", "ternary"]
shares = [1, 3]
epochs = 8

[[pass]]
kind = "OnlineFinetune"
updates = 30
window = 16
lr = 0.002
"""


def write(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text, "utf-8")
    return path


def made(recipe, **more):
    given = {"batches": [1], "objective": CTC(), "teacher": nn.Identity(), "calibration": [2], "seed": 10}
    return recipe.passes(**given | more)


def test_a_file_gives_the_passes_it_names(tmp_path):
    quantize, sqwa, finetune, *stages, online = made(read_recipe(write(tmp_path, FULL)), progress=False)
    weights = {"head": "int8", "rnn0.weight": None, "*": "ternary+adaptive"}
    assert quantize == Quantize(weights, "int8", calibration=[2])
    assert list(quantize.weights) == list(weights)
    assert (sqwa.warmup_epochs, sqwa.cycles, sqwa.finetune_epochs, sqwa.seed, sqwa.progress) == (6, 3, 2, 11, False)
    assert isinstance(sqwa, SQWA)
    assert isinstance(sqwa.objective, LogitKD)
    assert (sqwa.objective.temperature, sqwa.objective.weight(0.5)) == (2.0, 0.45)
    assert isinstance(sqwa.objective.hard, CTC)
    optimizer = sqwa.optimizer([nn.Parameter(torch.ones(2, 2))], lr=0.5)
    assert isinstance(optimizer, SymmetricSGD)
    assert (optimizer.param_groups[0]["alpha"], optimizer.clip_norm, optimizer.seed) == (0.2, math.inf, 11)
    assert sqwa.clip_norm == 1.0  # `fit` lets the optimizer clip the mean of its two gradients
    assert isinstance(finetune.objective, SPEQ)
    assert (finetune.objective.bits, finetune.objective.sites) == (4, ("rnn*",))
    assert (finetune.schedule(0.05), finetune.schedule(1.0)) == (0.5, 0.1)
    plain = finetune.optimizer([nn.Parameter(torch.ones(2))], lr=0.5)
    assert (plain.defaults["momentum"], plain.defaults["nesterov"], finetune.clip_norm) == (0.9, True, 1.0)
    wanted = gradual(["int4", "ternary"], Finetune([1], CTC(), 8), shares=[1, 3])
    assert [type(step) for step in stages] == [type(step) for step in wanted]
    assert [step.epochs for step in stages[1::2]] == [2, 6]
    assert isinstance(stages[1].objective, PartOf)
    assert online == OnlineFinetune([1], 30, window=16, lr=0.002, seed=14, progress=False)
    with pytest.raises(ArgumentError, match=r"batches are list; wanted fewbit\.train\.UtteranceStreams"):
        online(nn.Identity())


def test_the_objective_of_the_task_fills_what_the_file_leaves_open():
    steps = [
        {"kind": "Finetune", "epochs": 1},
        {"kind": "Finetune", "epochs": 1, "objective": "LogitKD"},
        {"kind": "Finetune", "epochs": 1, "objective": {"kind": "CrossEntropy", "ignore": 0}},
        {"kind": "Finetune", "epochs": 1, "objective": {"kind": "GuidedCTC", "weight": 0.5}},
        {"kind": "Finetune", "epochs": 1, "objective": {"kind": "TokenScaledKD", "tau": 5, "score": "entropy"}},
    ]
    task = CrossEntropy(ignore=7)
    plain, distilled, other, guided, scaled = made(Recipe.from_dict({"passes": steps}), objective=task)
    assert plain.objective is task
    assert distilled.objective.hard is task
    assert other.objective.ignore == 0
    assert isinstance(guided.objective, GuidedCTC)
    assert guided.objective.weight(0.3) == 0.5
    assert isinstance(scaled.objective, TokenScaledKD)
    assert (scaled.objective.hard, scaled.objective.tau, scaled.objective.score) == (task, 5.0, "entropy")


@pytest.mark.parametrize("kind", ["LogitKD", "TokenScaledKD", "TeacherIntervention", "LayerIntervention"])
def test_distillation_without_a_teacher_is_refused(kind):
    recipe = Recipe.from_dict({"passes": [{"kind": "Finetune", "epochs": 1, "objective": kind}]})
    with pytest.raises(DataError, match=rf"^{kind} learns .* give it as passes\(\.\.\., teacher=model\)"):
        made(recipe, teacher=None)


def test_calibration_is_read_only_for_signals_and_is_by_default_what_is_trained_on():
    both = Recipe.from_dict(
        {"passes": [{"kind": "Quantize", "weights": "int8"}, {"kind": "Quantize", "activations": "int8"}]}
    )
    assert [step.calibration for step in made(both)] == [None, [2]]
    assert [step.calibration for step in made(both, calibration=None)] == [None, [1]]


def test_each_training_has_a_checkpoint_of_its_own(tmp_path):
    finetune = {"kind": "Finetune", "epochs": 1}
    recipe = Recipe.from_dict({"passes": [{"kind": "Quantize", "weights": "int8"}, finetune, finetune]})
    files = [step.checkpoint for step in made(recipe, checkpoint=tmp_path / "run.safetensors")[1:]]
    assert files == [tmp_path / "run.safetensors", tmp_path / "run-2.safetensors"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('kind = "SQWA"\ncycels = 3', "pass 2 (SQWA): unknown key 'cycels'; wanted one of objective, warmup_epochs,"),
        ('kind = "SQWA"\ncycels = 3', "(nearest: 'cycles')"),
        ('kind = "Finetun"', "pass 2 (Finetun).kind: saw 'Finetun' (str); wanted one of Quantize, Finetune, gradual,"),
        ("epochs = 3", "pass 2: saw {'epochs': 3} (dict); wanted a table with a kind, one of Quantize,"),
        ('kind = "Finetune"', "pass 2 (Finetune): 'epochs' is missing; saw no keys"),
        ('kind = "Finetune"\nepochs = -3', ".epochs: saw -3 (int); wanted a whole number of at least 0"),
        ('kind = "Finetune"\nepochs = 2.5', ".epochs: saw 2.5 (float); wanted a whole number"),
        ('kind = "Finetune"\nepochs = true', ".epochs: saw True (bool); wanted a whole number"),
        ('kind = "Finetune"\nepochs = "3"', ".epochs: saw '3' (str); wanted a whole number"),
        ('kind = "Finetune"\nepochs = 1\nlr = 0', ".lr: saw 0 (int); wanted a number above 0"),
        ('kind = "Finetune"\nepochs = 1\nclip_norm = inf', ".clip_norm: saw inf (float); wanted a number above 0"),
        ('kind = "Finetune"\nepochs = 1\ntitle = 3', ".title: saw 3 (int); wanted a text"),
        ('kind = "Quantize"\nweights = "tern"', "pass 2 (Quantize).weights: unknown format 'tern'; wanted ternary,"),
        ('kind = "Quantize"\nweights = { "*" = "uint4" }', ".weights.*: 'uint4' is a spec of signals"),
        ('kind = "Quantize"\nactivations = "int8:row"', ".activations: 'int8:row' is a spec of weights"),
        ('kind = "Quantize"\nweights = { rnn0.weight = "int8" }', "put a pattern with a dot in quotes"),
        ('kind = "Quantize"\nweights = {}', "a table of patterns such as"),
        ('kind = "Quantize"\nweights = 4', ".weights: saw 4 (int); wanted a spec such as"),
        ('kind = "Quantize"\nreplace = 1\nweights = "int8"', ".replace: saw 1 (int); wanted true or false"),
        ('kind = "Quantize"\nkeep = "head"\nweights = "int8"', ".keep: saw 'head' (str); wanted a list"),
        ('kind = "Quantize"\nkeep = ["head", 3]\nweights = "int8"', ".keep[2]: saw 3 (int); wanted a text"),
        ('kind = "Quantize"', "pass 2 (Quantize): there is nothing to quantize"),
        ('kind = "gradual"\nepochs = 4\nspecs = ["ternary", "int4"]', "gradual: levels must fall"),
        ('kind = "gradual"\nepochs = 1\nspecs = ["int4", "ternary"]', "at least one epoch for each stage"),
        ('kind = "gradual"\nepochs = 4\nspecs = ["int4"]\nshares = [0.5, 0.5]', "wanted a share"),
        ('kind = "SQWA"\nwarmup_epochs = 0\nfinetune_epochs = 0\ncycles = 0', ".cycles: saw 0 (int); wanted a whole"),
    ],
)
def test_what_is_wrong_is_named_when_the_file_is_read(tmp_path, lines, message):
    path = write(tmp_path, f'[[pass]]\nkind = "Quantize"\nweights = "ternary"\n[[pass]]\n{lines}\n')
    with pytest.raises(DataError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: pass 2")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            'objective = { kind = "LogitKD", temperature = 0 }',
            ".objective.temperature: saw 0 (int); wanted a number above",
        ),
        (
            'objective = { kind = "LogitKD", weight = 1.5 }',
            ".objective.weight: saw 1.5 (float); wanted a number from 0 to",
        ),
        (
            'objective = { kind = "LogitKD", weight = { from = 2, to = 0 } }',
            ".objective.weight.from: saw 2 (int); wanted a number from 0 to 1",
        ),
        ('objective = { kind = "LogitKD", weight = { from = 1 } }', ".objective.weight: 'to' is missing; saw ['from']"),
        (
            'objective = { kind = "LogitKD", hard = "SPEQ" }',
            ".objective.hard.kind: saw 'SPEQ' (str); wanted one of CTC,",
        ),
        ('objective = { kind = "CTC", weight = 1 }', ".objective: unknown key 'weight'; wanted no keys at all"),
        ('objective = "LogitDK"', ".objective.kind: saw 'LogitDK' (str); wanted one of CTC, CrossEntropy,"),
        (
            'objective = { kind = "SPEQ", chance = nan }',
            ".objective.chance: saw nan (float); wanted a number from 0 to 1",
        ),
        ('objective = { kind = "SPEQ", loss = "mse" }', ".objective.loss: saw 'mse' (str); wanted one of cosine, kl"),
        ('optimizer = { kind = "SymmetricSGD", alpha = -1 }', ".optimizer.alpha: saw -1 (int)"),
        ('optimizer = { kind = "SGD", nesterov = true }', "Nesterov momentum requires a momentum"),
        ("schedule = { from = 1, to = 0, warmup = 0.1 }", ".schedule: warmup belongs to shape"),
    ],
)
def test_what_is_wrong_inside_a_setting_is_named(tmp_path, value, message):
    path = write(tmp_path, f'[[pass]]\nkind = "Finetune"\nepochs = 1\n{value}\n')
    with pytest.raises(DataError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: pass 1 (Finetune)")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"saw nothing; wanted tables \[\[pass\]\] and nothing else"),
        ('[pass]\nkind = "SQWA"', r"saw \['pass'\]; wanted tables \[\[pass\]\] and nothing else"),
        ("pass = []", "one pass at least"),
        ('[[passes]]\nkind = "SQWA"', r"saw \['passes'\]; wanted tables \[\[pass\]\] and nothing else"),
        ("pass = [3]", "pass 1: saw 3"),
        ("kind = ", "cannot be read as TOML: Invalid value"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_recipe(write(tmp_path, text))


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read as TOML: .*No such file"):
        read_recipe(tmp_path / "nothing.toml")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        read_recipe(tmp_path / "bytes")


def test_a_pattern_twice_is_refused():
    with pytest.raises(DataError, match="each pattern once"):
        Recipe.from_dict({"passes": [{"kind": "Quantize", "weights": [["*", "int8"], ["*", "int4"]]}]})


def test_a_recipe_keeps_no_hold_of_the_values_it_was_made_from():
    values = {"passes": [{"kind": "Finetune", "epochs": 1, "objective": {"kind": "CTC"}}]}
    recipe = Recipe.from_dict(values)
    values["passes"][0]["objective"]["kind"] = "nonsense"
    assert recipe.to_dict()["passes"][0]["objective"] == {"kind": "CTC"}


REAL = st.floats(0.001, 1.0, allow_nan=False)
TEXT = st.text(max_size=8)
WEIGHTS = st.sampled_from(
    [
        "ternary",
        "int4:row",
        "int4/3",
        "binary",
        "ternary+adaptive",
        "int3+learned",
        "ternary+twn",
        "sparse8,2+norm",
        "sparse4=3",
    ]
)
SIGNALS = st.sampled_from(["int8", "uint4", "q3.12", "int8:token", "uint2+learned"])


def selections(specs):
    return specs | st.dictionaries(TEXT, specs | st.just("float"), min_size=1, max_size=4)


def some(required=None, **optional):
    return st.fixed_dictionaries(required or {}, optional=optional)


SCHEDULES = (
    REAL
    | some({"from": REAL, "to": REAL})
    | some({"from": REAL, "to": REAL, "shape": st.just("cosine")}, warmup=REAL.filter(lambda x: x < 0.99))
)
HARD = st.sampled_from(["CTC", {"kind": "CTC"}, {"kind": "CrossEntropy", "ignore": 0}])
OBJECTIVES = (
    HARD
    | some({"kind": st.just("LogitKD")}, temperature=REAL, weight=SCHEDULES, hard=HARD)
    | some(
        {"kind": st.just("TeacherIntervention")},
        share=st.floats(0, 1),
        order=st.just("stochastic"),
        taps=st.lists(st.sampled_from(["hidden", "scores", "output"])),
        soft=st.sampled_from(["LogitKD", {"kind": "TokenScaledKD", "tau": 5}]),
        heads=st.lists(st.lists(st.integers(0, 3))),
    )
    | some({"kind": st.just("LayerIntervention")}, share=st.floats(0, 1), layers=st.lists(st.just("rnn*")))
    | some(
        {"kind": st.just("TokenScaledKD")}, tau=REAL, hard_weight=REAL, score=st.just("entropy"), top=st.integers(1, 9)
    )
    | some(
        {"kind": st.just("SPEQ")},
        weight=SCHEDULES,
        chance=REAL,
        bits=st.integers(2, 8),
        sites=st.lists(TEXT, min_size=1),
    )
)
OPTIMIZERS = (
    some({"kind": st.just("AdamW")}, weight_decay=REAL)
    | some({"kind": st.just("SymmetricSGD")}, alpha=REAL, noise=st.just("sphere"), symmetric=st.booleans())
    | st.just("SGD")
)
TRAINING = {"lr": REAL, "objective": OBJECTIVES, "optimizer": OPTIMIZERS, "clip_norm": st.integers(1, 9)}
EPOCHS = st.integers(0, 2**40)
PASSES = (
    some(
        {"kind": st.just("Quantize"), "weights": selections(WEIGHTS)},
        activations=selections(SIGNALS),
        keep=st.lists(TEXT),
    )
    | some({"kind": st.just("Finetune"), "epochs": EPOCHS}, **TRAINING, schedule=SCHEDULES, title=TEXT)
    | some(
        {"kind": st.just("SQWA"), "warmup_epochs": EPOCHS, "finetune_epochs": EPOCHS}, **TRAINING, refit=st.booleans()
    )
    | some({"kind": st.just("gradual"), "specs": st.just(["int8", "int3"]), "epochs": st.integers(4, 99)}, **TRAINING)
)


@settings(deadline=None, max_examples=60)
@given(st.lists(PASSES, min_size=1, max_size=4))
def test_what_is_written_comes_back(tmp_path_factory, passes):
    recipe = Recipe.from_dict({"passes": passes})
    file = tmp_path_factory.getbasetemp() / "round.toml"
    file.write_bytes(recipe.to_toml().encode())
    assert read_recipe(file) == recipe
    through_json = json.loads(json.dumps(recipe.to_dict(), sort_keys=True, allow_nan=False))
    assert Recipe.from_dict(through_json) == recipe
    assert Recipe.from_dict(through_json).to_toml() == recipe.to_toml()  # the same order of patterns


def test_the_order_of_patterns_survives_sorting():
    weights = {"z": "int8", "a": "int4", "*": "ternary"}
    recipe = Recipe.from_dict({"passes": [{"kind": "Quantize", "weights": weights}]})
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict(), sort_keys=True)))
    assert list(made(again)[0].weights) == ["z", "a", "*"]
    other = {"passes": [{"kind": "Quantize", "weights": dict(reversed(weights.items()))}]}
    assert Recipe.from_dict(other) != recipe


def test_a_recipe_compresses_like_the_passes_written_out():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(32, 6)
    batches = [(x, x[:, :3].argmax(1))]
    steps = [
        {"kind": "Quantize", "weights": {"2": "int8", "*": "ternary"}, "activations": "int8"},
        {"kind": "Finetune", "epochs": 3, "lr": 0.01, "objective": {"kind": "LogitKD", "temperature": 2}},
    ]
    given = {"batches": batches, "objective": CrossEntropy(), "teacher": model, "seed": 4, "progress": False}
    by_recipe = compress(model, *Recipe.from_dict({"passes": steps}).passes(**given))
    distilled = LogitKD(model, 2.0, hard=CrossEntropy())
    by_hand = compress(
        model,
        Quantize({"2": "int8", "*": "ternary"}, "int8", calibration=batches),
        Finetune(batches, distilled, 3, 0.01, seed=5, progress=False),
    )
    assert quantizer_of(by_recipe[2]).spec == "int8"
    assert torch.equal(by_recipe(x), by_hand(x))


def test_a_stopped_recipe_goes_on_where_it_was(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(32, 6)
    batches = [(x, x[:, :3].argmax(1))] * 3
    steps = [
        {"kind": "Quantize", "weights": "ternary+adaptive"},
        {"kind": "Finetune", "epochs": 2, "objective": "LogitKD"},
        {"kind": "SQWA", "warmup_epochs": 1, "cycles": 2, "finetune_epochs": 1, "optimizer": "SymmetricSGD"},
    ]
    recipe = Recipe.from_dict({"passes": steps})
    calls = []

    class Stop(CrossEntropy):
        def loss(self, outputs, batch):
            calls.append(batch)
            if len(calls) == 20:  # in the second training
                raise KeyboardInterrupt
            return super().loss(outputs, batch)

    def result(objective, checkpoint=None):
        given = {"batches": batches, "objective": objective, "teacher": model, "progress": False}
        return compress(model, *recipe.passes(**given, checkpoint=checkpoint))(x)

    file = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        result(Stop(), file)
    calls.clear()
    assert file.is_file()
    resumed = result(CrossEntropy(), file)
    assert torch.equal(resumed, result(CrossEntropy()))
    assert (tmp_path / "run-2.safetensors" / "finetune.safetensors").is_file()
