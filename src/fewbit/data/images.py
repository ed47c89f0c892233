"""Small images: MNIST, CIFAR and folders of pictures by class."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from fewbit.errors import DataError, MissingExtraError

DEV_SHARE = 0.1
"""Share of the training images that is set apart for choosing settings."""


@dataclass(frozen=True)
class Images:
    """Pictures ``(n, channels, height, width)``, standardised, with classes ``(n,)``.

    `dev` is a fixed random part of the official training images; use `test` only for reporting.

    Examples:
        >>> part = torch.zeros(2, 1, 28, 28), torch.tensor([3, 7])
        >>> Images(part, part, part, classes=10).train[1].tolist()
        [3, 7]
    """

    train: tuple[Tensor, Tensor]
    dev: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    classes: int


def mnist(folder: str | Path) -> Images:
    """Handwritten digits, 28 x 28: 54,000 train, 6,000 dev, 10,000 test, from ``mnist.npz`` in `folder`.

    Raises:
        DataError: the file is missing or not as described.

    Examples:
        >>> x, y = np.zeros((20, 28, 28), np.uint8), np.arange(20) % 10
        >>> x[:, 14] = 255
        >>> np.savez("mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        >>> images = mnist(".")
        >>> tuple(images.train[0].shape), images.classes
        ((18, 1, 28, 28), 10)
    """
    return _read(Path(folder) / "mnist.npz")


def cifar(folder: str | Path) -> Images:
    """Colour pictures, 32 x 32, from the one ``*.npz`` in `folder` with x_train, y_train, x_test, y_test.

    Raises:
        DataError: the file is missing or not as described.

    Examples:
        >>> x, y = np.zeros((20, 32, 32, 3), np.uint8), np.arange(20) % 10
        >>> x[:, 16] = 255
        >>> np.savez("cifar10.npz", x_train=x, y_train=y, x_test=x, y_test=y)
        >>> tuple(cifar(".").train[0].shape)
        (18, 3, 32, 32)
    """
    found = sorted(Path(folder).glob("*.npz"))
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} files *.npz, wanted one with x_train, y_train, x_test, y_test")
    return _read(found[0])


def shift_and_flip(pixels: int = 4) -> Callable[[Tensor, torch.Generator], Tensor]:
    """Augmentation of CIFAR pictures: a shift by up to `pixels` in each direction, and mirroring half of the time.

    Examples:
        >>> augment = shift_and_flip(pixels=2)
        >>> tuple(augment(torch.randn(4, 3, 32, 32), torch.Generator().manual_seed(0)).shape)
        (4, 3, 32, 32)
    """

    def augment(x: Tensor, generator: torch.Generator) -> Tensor:
        count, _, height, width = x.shape
        wide = functional.pad(x, (pixels,) * 4)
        down, right = torch.randint(2 * pixels + 1, (2, count), generator=generator, device=x.device)
        rows = down[:, None] + torch.arange(height, device=x.device)
        columns = right[:, None] + torch.arange(width, device=x.device)
        mirrored = torch.rand(count, generator=generator, device=x.device) < 0.5
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
        picks = torch.arange(count, device=x.device)[:, None, None]
        return wide[picks, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()

    return augment


class ImageFolder(Dataset[tuple[Tensor, int]]):
    """Pictures in one folder per class (the layout of ImageNet), read on access.

    Args:
        folder: contains one folder per class; classes are numbered in the order of their names.
        size: pictures become ``(3, size, size)`` in [-1, 1]: scaled on the shorter side, then cropped to the centre.

    Raises:
        DataError: there are no pictures.
        MissingExtraError: Pillow is not installed.

    Examples:
        >>> from PIL import Image
        >>> Path("pictures/cat").mkdir(parents=True)
        >>> Image.new("RGB", (40, 30)).save("pictures/cat/a.png")
        >>> picture, label = ImageFolder("pictures", size=16)[0]
        >>> tuple(picture.shape), label
        ((3, 16, 16), 0)
    """

    def __init__(self, folder: str | Path, size: int) -> None:
        try:
            from PIL import Image  # noqa: F401
        except ImportError as error:
            raise MissingExtraError.for_extra("plot", "pictures from files need Pillow") from error
        self.size = size
        names = sorted(path.name for path in Path(folder).glob("*") if path.is_dir())
        self.files = [
            (path, label)
            for label, name in enumerate(names)
            for path in sorted((Path(folder) / name).iterdir())
            if path.suffix.lower() in {".png", ".jpg", ".jpeg"}
        ]
        self.classes = tuple(names)
        if not self.files:
            raise DataError(f"{folder}: no pictures; wanted folders named by class with *.png or *.jpg in them")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image, ImageOps, UnidentifiedImageError

        path, label = self.files[index]
        try:
            with Image.open(path) as picture:
                square = ImageOps.fit(picture.convert("RGB"), (self.size, self.size))
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{path}: cannot be read as a picture: {error}") from error
        pixels = torch.from_numpy(np.asarray(square, np.float32)).permute(2, 0, 1)
        return pixels / 127.5 - 1, label


def _read(path: Path) -> Images:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            x, y, x_test, y_test = (arrays[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(f"{path}: wanted arrays x_train, y_train, x_test, y_test: {error}") from error
    order = np.random.default_rng(0).permutation(len(x))
    dev, train = np.split(order, [int(len(x) * DEV_SHARE)])
    mean, std = (value.reshape(-1) for value in _statistics(x))

    def part(images: NDArray[np.uint8], labels: NDArray[np.integer]) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(images.reshape(*images.shape[:3], -1).astype(np.float32) / 255)
        standard = (pixels - torch.from_numpy(mean)) / torch.from_numpy(std)
        return standard.permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels.astype(np.int64))

    return Images(part(x[train], y[train]), part(x[dev], y[dev]), part(x_test, y_test), int(y.max()) + 1)


def _statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each channel, in [0, 1]."""
    flat = images.reshape(len(images), images.shape[1] * images.shape[2], -1).astype(np.float32) / 255
    return flat.mean((0, 1)), flat.std((0, 1))
