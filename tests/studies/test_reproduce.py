"""Every study end to end, on made-up data and networks so small that only the way through is tested."""

import csv
import json
import lzma
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from studies import __main__ as cli
from studies.evidence import read_study
from studies.evidence.verdicts import Verdict
from studies.methods import resnet20, sqwa
from studies.registry import FULL_ONLY, STUDIES
from studies.tasks import named as tasks
from studies.tasks.decoders import DecoderScale

TINY_DECODER = DecoderScale(8, 2, 2, steps=8, batch_size=2, characters=1000, updates=2, measured=200)
TINY = {
    "01": (
        "size_resilience",
        {
            "layers": 2,
            "widths": (3, 4, 5),
            "epochs": 1,
            "retrain_epochs": 1,
            "maps": (1, 2, 3),
            "convnet_epochs": 1,
            "convnet_retrain_epochs": 1,
        },
    ),
    "02": (
        "weight_sensitivity",
        {
            "hidden": 6,
            "updates": 2,
            "epochs": 1,
            "retrain_epochs": 1,
            "probe": 2,
            "speech_hidden": 8,
            "speech_epochs": 1,
            "speech_retrain_epochs": 1,
        },
    ),
    "03": (
        "size_resilience",
        {
            "layers": 2,
            "widths": (3, 4, 5),
            "epochs": 1,
            "retrain_epochs": 1,
            "maps": (1, 2, 3),
            "convnet_epochs": 1,
            "convnet_retrain_epochs": 1,
        },
    ),
    "04": (
        "adaptive_step_size",
        {
            "pictures": 100,
            "width": 4,
            "epochs": 1,
            "retrain_epochs": 4,
            "hidden": 6,
            "updates": 2,
            "recurrent_epochs": 1,
            "recurrent_retrain_epochs": 4,
        },
    ),
    "05": (
        "logit_distillation",
        {"pictures": 100, "width": 4, "wide": 6, "epochs": 1, "retrain_epochs": 1, "lr": 0.003},
    ),
    "06": (
        "sqwa",
        {
            "pictures": 100,
            "perceptron": sqwa.Cycles(size=4, epochs=1, warmup=1, cycles=3, cycle=1, finish=1, lr=0.03),
            "lstm": sqwa.Cycles(size=6, epochs=1, warmup=1, cycles=1, cycle=1, finish=1, lr=0.002, updates=2),
            "grid": 3,
        },
    ),
    "07": (
        "error_sources",
        {
            "widths": (3, 4),
            "depths": (2, 3),
            "pictures": 100,
            "wide": (4, 3),
            "deep": (4, 4),
            "epochs": 1,
            "retrain_epochs": 1,
            "budget": 3000,
            "design_widths": (3, 4, 6),
            "design_depths": (2, 3),
            "map_epochs": 1,
        },
    ),
    "08": (
        "speq",
        {
            "pictures": 100,
            "width": 4,
            "layers": 2,
            "epochs": 1,
            "retrain_epochs": 1,
            "hidden": 6,
            "updates": 2,
            "recurrent_epochs": 1,
            "recurrent_retrain_epochs": 1,
        },
    ),
    "09": ("symmetric_sgd", {"pictures": 100, "width": 4, "epochs": 1, "lr": 0.05, "alphas": (0.1, 0.4)}),
    "10": (
        "teacher_intervention",
        {"decoder": TINY_DECODER, "depths": (2,), "first": 6, "updates": 8, "rates": (1e-3, 3e-3)},
    ),
    "11": ("token_scaled", {"decoder": TINY_DECODER, "updates": 4, "rates": (1e-3, 3e-3)}),
    "16": (
        "head_gates",
        {
            "width": 8,
            "slots": 4,
            "span": 6,
            "updates": 2,
            "epochs": 1,
            "gated": 2,
            "adapted": 1,
            "held_out": 500,
            "timed": 8,
        },
    ),
    "17": ("macro_block_dropout", {"hidden": 8, "layers": 2, "epochs": 1, "rates": (0.2, 0.4)}),
    "21": (
        "hlstm",
        {
            "hidden": 2,
            "streams": 8,
            "steps": 20,
            "epochs": 1,
            "lr": 0.005,
            "share": 0.05,
            "retrain": 0.5,
            "orders": (2,),
        },
    ),
    "22": (
        "generative_transfer",
        {"hidden": 6, "small": 4, "characters": 400, "epochs": 1, "retrain_characters": 200, "streams": 4, "steps": 8},
    ),
    "26": ("mask_search", {"pictures": 100, "maps": 4, "epochs": 1, "retrain": 1, "particles": 4, "rounds": 2}),
    "27": ("coarse_pruning", {"maps": 4, "epochs": 1, "retrain": 2, "tries": 3}),
    "28": (
        "sparse_ternary",
        {
            "pictures": 100,
            "layers": 2,
            "width": 8,
            "epochs": 1,
            "retrain_epochs": 5,
            "hidden": 8,
            "updates": 1,
            "text_epochs": 1,
            "text_retrain_epochs": 5,
            "lrs": (1e-3, 1e-2),
            "text_lrs": (3e-3,),
        },
    ),
    "ternary-weights": (
        "ternary_weights",
        {"pictures": 100, "width": 4, "epochs": 1, "retrain_epochs": 1, "lrs": (1e-3, 1e-2)},
    ),
    "pruned-recogniser": (
        "pruned_recogniser",
        {"hidden": 8, "layers": 2, "epochs": 1, "retrain_epochs": 3, "blocks": (1,), "seconds": 0.01},
    ),
    "resnet20": ("resnet20", {"epochs": 1, "retrain": 1, "warmup": 1, "cycles": 1, "cycle_epochs": 1, "finetune": 1}),
    "cifar100": ("resnet20", {"epochs": 1, "retrain": 1, "warmup": 1, "cycles": 1, "cycle_epochs": 1, "finetune": 1}),
    "imagenet": ("imagenet", {"epochs": 1, "retrain": 1, "warmup": 1, "cycles": 1, "cycle_epochs": 1, "finetune": 1}),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set of each kind, of noise and nonsense."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    shapes = {"mnist": (28, 28), "cifar10_subset": (32, 32, 3), "cifar100": (32, 32, 3)}
    for folder, shape in shapes.items():
        (root / folder).mkdir()
        arrays = {}
        for part, count in (("train", 300), ("test", 40)):
            arrays[f"x_{part}"] = random.integers(0, 256, (count, *shape), dtype=np.uint8)
            arrays[f"y_{part}"] = np.arange(count, dtype=np.uint8) % 10
        np.savez(root / folder / "mnist.npz", **arrays)
    for part, count in (("train", 4), ("val", 2)):
        for label in ("cat", "dog"):
            (root / "imagenet" / part / label).mkdir(parents=True)
            for i in range(count):
                picture = Image.fromarray(random.integers(0, 256, (40, 50, 3), dtype=np.uint8))
                picture.save(root / "imagenet" / part / label / f"{i}.png")
    (root / "wikitext2").mkdir()
    letters = np.array(list("abcdefgh \n"))
    for name in ("train", "valid", "test"):
        text = "".join(letters[random.integers(0, len(letters), 4000)])
        (root / "wikitext2" / f"{name}.txt.xz").write_bytes(lzma.compress(text.encode()))
    (root / "english_books").mkdir()
    paragraphs = "\n\n".join("".join(letters[random.integers(0, 9, 6)]) for _ in range(2000))
    (root / "english_books" / "books.txt.xz").write_bytes(lzma.compress(paragraphs.encode()))
    (root / "an4").mkdir()
    with (root / "an4" / "manifest.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        rows.writerow(["path", "split", "speaker", "seconds", "text"])
        for i in range(48):
            split = "test" if i % 8 == 7 else "train"
            soundfile.write(root / "an4" / f"{i}.flac", random.uniform(-0.3, 0.3, 12_000), 16_000)
            rows.writerow([f"{i}.flac", split, f"speaker{i % 16}", 0.75, "GO ON"])
    return root


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value encountered", "ignore:TF32 acceleration")
@pytest.mark.parametrize("key", [key for key in STUDIES if key != "digits"])
def test_a_study_runs_from_the_command_line(key, data, tmp_path, monkeypatch, capsys):
    name, sizes = TINY[key]
    module = import_module(f"studies.methods.{name}")
    if key in FULL_ONLY:
        monkeypatch.setattr(module, "FULL", resnet20.Scale(**sizes))
        monkeypatch.setattr(resnet20, "ARMS", {arm: resnet20.ARMS[arm] for arm in ("float", "direct", "retrained")})
        monkeypatch.setattr(resnet20, "PAIRS", (("retrained", "direct"),))
    else:
        monkeypatch.setattr(module, "SMALL", module.Scale(**sizes))
    monkeypatch.setattr(tasks, "language_task", partial(tasks.language_task, updates=2))
    small = {"batch_size": 4, "workers": 0, "pixels": 32, "size": 0.1}
    monkeypatch.setattr(tasks, "imagenet_task", partial(tasks.imagenet_task, **small))
    seeds = "1" if name in ("resnet20", "imagenet") else "2"
    words = [key, "--out", str(tmp_path / "out"), "--data", str(data), "--seeds", seeds]
    # ResNets so small run without oneDNN: on some processors it writes past the end of its memory there (torch 2.13),
    # and the process ends with "malloc(): smallbin double linked list corrupted".
    with torch.backends.mkldnn.flags(enabled=key not in ("resnet20", "cifar100", "imagenet")):
        assert cli.main(words) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    (path,) = (tmp_path / "out").glob("*.json")
    study = read_study(path)
    assert study.verdict in get_args(Verdict)
    assert all(study.rows.values())
    assert {row["seed"] for rows in study.rows.values() for row in rows} == set(range(int(seeds)))
    assert all(one.difference.values for one in study.comparisons)
    assert study.comparisons
    assert study.findings
    assert all(table.rows for table in study.tables)
    assert study.pictures
    for picture, caption in study.pictures:
        assert (tmp_path / "out" / picture).is_file()
        assert caption
    assert f"python -m studies {key}" in study.command
    assert f"--seeds {seeds}" in study.command
    assert study.title in (tmp_path / "out" / "index.md").read_text()
    assert "verdict" in shown
    # All rows are kept: a second run trains nothing and says the same.
    assert cli.main(words) == 0
    again = json.loads(path.read_text())
    assert again["findings"] == list(study.findings)
    assert read_study(path).rows == study.rows
