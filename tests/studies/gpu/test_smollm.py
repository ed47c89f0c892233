"""Ternary SmolLM2: the network as ours, its parts in files, trainings that go on, and all of it in tiny."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from fewbit.distill import LogitKD, TeacherIntervention
from fewbit.models import Decoder
from fewbit.train import CrossEntropy
from studies.gpu import smollm, smollm_data
from studies.gpu.smollm_run import ASSUMED, planned

ROOT = Path(__file__).parents[3]
needs_transformers = pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not here")
SHAPE = {"classes": 40, "width": 16, "heads": 4, "layers": 2, "ff": 24, "key_heads": 2, "base": 1e5, "eps": 1e-5}


@needs_transformers
def test_the_decoder_gives_the_scores_of_the_published_network() -> None:
    theirs = smollm.published(None)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(10 if parameter.ndim > 1 else 1)  # so that attention is no mean
    ours = smollm.converted(theirs)
    assert smollm.shape_of(theirs.config) == SHAPE
    tokens = torch.randint(40, (3, 30), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        scores = theirs(input_ids=tokens).logits
        assert (ours(tokens) - scores).abs().max() < 1e-5 * scores.abs().max()
        for module in ours.modules():
            if hasattr(module, "rotary_base"):
                module.rotary_base = 10000.0
        assert (ours(tokens) - scores).abs().max() > 1e-3 * scores.abs().max()


@needs_transformers
def test_other_networks_are_refused() -> None:
    config = smollm.published(None).config
    config.tie_word_embeddings = False
    with pytest.raises(ValueError, match="wanted a plain Llama with a tied head"):
        smollm.shape_of(config)


def test_a_kept_network_is_found_again(tmp_path) -> None:
    model = smollm.empty(SHAPE).eval()
    smollm.keep(str(tmp_path), "one", model, SHAPE)
    again, shape = smollm.kept(str(tmp_path), "one")
    tokens = torch.arange(20)[None]
    assert shape == SHAPE
    assert again.head.weight is again.embedding.weight
    assert torch.equal(again(tokens), model(tokens))


def test_weights_are_ternary_and_the_embedding_has_8_bits() -> None:
    small = smollm.ternary(smollm.empty(SHAPE))
    for name, module in small.named_modules():
        if isinstance(module, nn.Linear) and name != "head":
            assert max(len(row.unique()) for row in module.weight) <= 3
    assert small.head.weight is small.embedding.weight or torch.equal(small.head.weight, small.embedding.weight)
    assert max(len(row.unique()) for row in small.embedding.weight) > 3


def test_arms_learn_from_what_their_names_say() -> None:
    model = smollm.empty(SHAPE)
    kinds = {arm: type(smollm.objective(arm, model)) for arm in smollm.ARMS}
    assert kinds == {"cross-entropy": CrossEntropy, "logit KD": LogitKD, "TI + TSLD": TeacherIntervention}


def test_a_stopped_training_goes_on_from_its_last_part(tmp_path) -> None:
    text = smollm_data.random_text(40)
    places: list[float] = []
    plain = CrossEntropy()

    def stopping(end):
        def loss(model, batch, progress):
            places.append(progress)
            if progress >= end:
                raise KeyboardInterrupt
            return plain(model, batch, progress)

        return loss

    def run(end, name):
        torch.manual_seed(0)
        model = Decoder(40, 8, 2, 1, style="llama")
        smollm.train(model, text, stopping(end), 8, 1e-3, tmp_path / name, small=True)
        return model.embedding.weight

    with pytest.raises(KeyboardInterrupt):
        run(0.6, "stopped")
    places.clear()
    resumed = run(2.0, "stopped")
    assert places == [0.5, 0.625, 0.75, 0.875]  # of four parts, two were done
    assert torch.equal(resumed, run(2.0, "whole"))


def test_the_perplexity_of_equal_scores_is_the_number_of_classes() -> None:
    class Equal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scores = nn.Parameter(torch.zeros(7))

        def forward(self, tokens):
            return self.scores.expand(*tokens.shape, 7)

    model = Equal()
    assert smollm.perplexity(torch.arange(50) % 7, 12, model) == pytest.approx(7)
    with torch.no_grad():
        model.scores[3] = np.log(6)  # half of all
    assert smollm.perplexity(torch.full((24,), 3), 12, model) == pytest.approx(2)


def test_a_file_in_parts_is_joined_once(tmp_path) -> None:
    content = bytes(range(256)) * 5
    (tmp_path / "net.gguf").write_bytes(content)
    parts = smollm_data.cut(tmp_path / "net.gguf", 500)
    assert [part.stat().st_size for part in parts] == [500, 500, 280]
    assert not (tmp_path / "net.gguf").exists()
    smollm_data.join(tmp_path)
    assert (tmp_path / "net.gguf").read_bytes() == content
    parts[0].write_bytes(b"")
    smollm_data.join(tmp_path)
    assert (tmp_path / "net.gguf").read_bytes() == content


def test_text_becomes_tokens_line_by_line(tmp_path) -> None:
    class Letters:
        def encode(self, line, add_special_tokens):
            assert not add_special_tokens
            return SimpleNamespace(ids=[ord(letter) for letter in line])

    tokens = smollm_data.tokens_of("ab\n\ncd", Letters())
    assert tokens.tolist() == [97, 98, 10, 10, 99, 100]
    np.savez(tmp_path / "tokens.npz", train=tokens, dev=tokens[:2], test=tokens[2:])
    assert smollm_data.read_text(tmp_path).test.tolist() == [10, 10, 99, 100]


def test_updates_follow_from_the_slowest_arm_and_the_time_left() -> None:
    trials = [{"seconds": 0.2}, {"seconds": 0.4}]
    assert planned(trials, 400) == int((0.8 * 400 - 60) / (0.4 * 1.075))
    assert planned([], 400) == int((0.8 * 400 - 60) / (ASSUMED * 1.075))
    assert planned(trials, 0) == 4


@needs_transformers
@pytest.mark.slow
def test_all_of_it_runs_in_small_and_again_it_has_nothing_to_do(tmp_path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "FEWBIT_DATA": ""}
    command = [sys.executable, "-m", "studies.gpu.smollm_run", "--small", "--slots", "2", "--seconds", "400"]
    command += ["--out", tmp_path / "out", "--work", tmp_path / "work"]
    results = []
    for _ in range(2):
        subprocess.run(command, check=True, env=environment, cwd=tmp_path)
        results.append(json.loads((tmp_path / "out" / "gpu.json").read_text()))

    assert [(result["failed"], result["not_ended"]) for result in results] == [({}, [])] * 2
    first, second = ([row for row in result["rows"] if row["kind"] == "smollm"] for result in results)
    assert first == second
    found = {row["part"]: row for row in second}
    assert set(found) == {"float", "teacher", "direct", *smollm.ARMS}
    assert found["float"]["away from transformers"] < 1e-5
    assert [found[arm]["updates"] for arm in smollm.ARMS] == [2, 2, 2]
    assert all(1 < row["dev"] < 1000 and 1 < row["test"] < 1000 for row in found.values())
    assert not list((tmp_path / "work" / "networks").glob("*.checkpoint"))
