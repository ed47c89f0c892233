"""Pictures, text and batches in memory."""

import lzma
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from fewbit.data import ImageFolder, TensorBatches, Windows, cifar, mnist, shift_and_flip, wikitext2
from fewbit.errors import ArgumentError, DataError

DATA = os.environ.get("FEWBIT_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="FEWBIT_DATA is not set")


def write_images(path, count=40, shape=(8, 8, 3)):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    y = (np.arange(count) % 10).astype(np.uint8)
    np.savez(path, x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])


def test_batches_hold_every_row_once_and_start_anew_where_they_stood():
    x = torch.arange(10)
    batches = TensorBatches(x, x * 2, 3, seed=1)
    first = [batch for batch, _ in batches]
    assert len(batches) == len(first) == 3
    assert len(torch.cat(first).unique()) == 9
    state = batches.generator.get_state()
    second = [batch for batch, _ in batches]
    assert not torch.equal(torch.cat(first), torch.cat(second))
    batches.generator.set_state(state)
    assert all(torch.equal(a, b) for (a, _), b in zip(batches, second, strict=True))
    assert all(torch.equal(b, 2 * a) for a, b in TensorBatches(x, x * 2, 4))
    assert len(next(iter(TensorBatches(x, x, 99)))[0]) == 10


def test_augmentation_moves_and_mirrors_whole_pictures():
    x = torch.arange(2 * 1 * 3 * 3, dtype=torch.float32).view(2, 1, 3, 3) + 1
    generator = torch.Generator().manual_seed(0)
    seen = {tuple(shift_and_flip(1)(x, generator)[0].flatten().tolist()) for _ in range(200)}
    wide = torch.nn.functional.pad(x[0], (1, 1, 1, 1))
    crops = [wide[:, i : i + 3, j : j + 3] for i in range(3) for j in range(3)]
    wanted = {tuple(c.flatten().tolist()) for crop in crops for c in (crop, crop.flip(-1))}
    assert seen == wanted


def test_pictures_are_standardised_and_split_for_good(tmp_path):
    write_images(tmp_path / "any.npz")
    images = cifar(tmp_path)
    assert images.train[0].shape == (36, 3, 8, 8)
    assert (len(images.dev[1]), len(images.test[1]), images.classes) == (4, 20, 10)
    both = torch.cat([images.train[0], images.dev[0]])
    assert torch.allclose(both.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.equal(cifar(tmp_path).dev[0], images.dev[0])


def test_folders_of_pictures(tmp_path):
    from PIL import Image

    for name, colour in (("cat", 0), ("dog", 255)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (12, 9), (colour,) * 3).save(tmp_path / name / "a.png")
    data = ImageFolder(tmp_path, 8)
    assert (len(data), data.classes) == (2, ("cat", "dog"))
    x, label = data[1]
    assert (x.shape, label, float(x.min())) == ((3, 8, 8), 1, 1.0)
    (tmp_path / "cat" / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png: cannot be read as a picture"):
        data[0]


def test_text_becomes_classes(tmp_path):
    for name, text in (("train", "aab ba"), ("valid", "ab"), ("test", "xa")):
        (tmp_path / f"{name}.txt.xz").write_bytes(lzma.compress(text.encode()))
    text = wikitext2(tmp_path, symbols=3)
    assert text.symbols == ("\x00", "a", "b")
    assert (text.train.tolist(), text.test.tolist()) == ([1, 1, 2, 0, 2, 1], [0, 1])
    for x, y in Windows(text.train, 5, 3, 4):
        assert torch.equal(x[:, 1:], y[:, :-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: mnist(folder), r"mnist\.npz: wanted arrays x_train"),
        (lambda folder: cifar(folder), r"0 files \*\.npz, wanted one"),
        (lambda folder: wikitext2(folder), "cannot be read as xz-compressed text"),
        (lambda folder: ImageFolder(folder, 8), "no pictures; wanted folders named by class"),
    ],
)
def test_faults_are_said(tmp_path, call, message):
    with pytest.raises(DataError, match=message):
        call(tmp_path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TensorBatches(torch.zeros(0), torch.zeros(0), 1), "0 inputs, 0 labels"),
        (lambda: TensorBatches(torch.zeros(2), torch.zeros(3), 1), "2 inputs, 3 labels"),
        (lambda: Windows(torch.zeros(3), 1, 3, 1), "3 characters give no window of 3 steps"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


@needs_data
def test_the_real_sets():
    images = mnist(Path(DATA) / "mnist")
    assert (len(images.train[0]), len(images.dev[0]), len(images.test[0])) == (54_000, 6_000, 10_000)
    text = wikitext2(Path(DATA) / "wikitext2")
    assert len(text.symbols) == 96
    assert min(map(len, (text.train, text.dev, text.test))) > 1_000_000
