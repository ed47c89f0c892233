"""The demo: the whole path on recorded speech, and one table that says what it cost."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from fewbit.data import Digits, Spoken, join, spoken_digits
from fewbit.decode import Final
from fewbit.demo.recipe import (
    FEATURES,
    DigitsRecipe,
    batches,
    compression,
    new_model,
    one_thread,
    run,
    to_program,
    train_float,
)
from fewbit.features import CHUNK_SECONDS
from fewbit.models import SpeechRNN, TorchStream
from fewbit.passes import Recipe
from fewbit.program import Program, cost, load
from fewbit.streams import Network, stream
from fewbit.tasks import save_network
from fewbit.text import wer

PICTURE_SECONDS = 8.0


@dataclass(frozen=True)
class Row:
    """One network of the demo.

    error_rate, error_rate_unseen: words wrong for each word said on the joined stream of known speakers and of the
    unseen one (0.02 is 2 %). agreement: share of frames with the same best class as the float network.
    real_time_factor: seconds of work for each second of sound.

    Examples:
        >>> Row("float", 400, 480, 0.02, 0.3, 1.0, 0.01).error_rate
        0.02
    """

    name: str
    weight_bytes: int
    file_bytes: int
    error_rate: float
    error_rate_unseen: float
    agreement: float
    real_time_factor: float


@dataclass(frozen=True)
class Demo:
    """What the demo found and left behind.

    Examples:
        >>> row = Row("float", 400, 480, 0.02, 0.3, 1.0, 0.01)
        >>> Demo((row,), 12.0, 0, Path("digits.fewbit"), Path("digits.png")).to_dict()["rows"][0]["name"]
        'float'
    """

    rows: tuple[Row, ...]
    seconds: float
    seed: int
    network: Path
    picture: Path

    def to_dict(self) -> dict[str, Any]:
        """The public shape of ``fewbit demo --json``."""
        return {"rows": [asdict(row) for row in self.rows], "seconds": self.seconds, "seed": self.seed}


@one_thread()
def demo(out: str | Path, *, seed: int = 0, recipe: DigitsRecipe | None = None) -> Demo:
    """Train, compress, pack and stream a recogniser of the digits in the package.

    Leaves in the folder `out`: the networks in torch (``float.safetensors``, ``direct.safetensors``,
    ``retrained.safetensors``), packed (``direct.fewbit``, and the retrained one as ``digits.fewbit``) and the picture
    ``digits.png``.

    Examples:
        >>> found = demo("demo")  # four minutes  # doctest: +SKIP
        >>> [row.name for row in found.rows]  # doctest: +SKIP
        ['float', 'direct', 'retrained']
    """
    import fewbit.plot  # noqa: F401  # say that it is missing before the work, not after

    start = time.perf_counter()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    recipe = recipe or DigitsRecipe()
    digits = spoken_digits()
    loader = batches(digits, recipe, seed)
    torch.manual_seed(seed)
    teacher = new_model(digits, recipe, loader)
    train_float(teacher, loader, recipe, seed)
    float_file = save_network(out / "float.safetensors", teacher, teacher.config, {"demo": asdict(recipe)})
    networks: dict[str, Network] = {"float": TorchStream(teacher, FEATURES, digits.alphabet)}
    students: dict[str, SpeechRNN] = {}
    whole = compression(recipe)
    for name, how in {"direct": Recipe(whole.steps[:1]), "retrained": whole}.items():
        student = students[name] = run(how, teacher, loader, seed)
        about = {"demo": asdict(recipe), "model": teacher.config} | how.to_dict() | {"seed": seed}
        save_network(out / f"{name}.safetensors", student, student.config, about)
        file = out / ("digits.fewbit" if name == "retrained" else "direct.fewbit")
        networks[name] = load(to_program(student, digits, about).save(file))
    rows = _measure(networks, digits, float_file, teacher)
    picture = _draw(out / "digits.png", networks["retrained"], digits, teacher, students["retrained"])
    return Demo(rows, round(time.perf_counter() - start, 1), seed, out / "digits.fewbit", picture)


def print_demo(demo: Demo, console: Console) -> None:
    """The table of the demo for people.

    Examples:
        >>> row = Row("float", 400, 480, 0.02, 0.3, 1.0, 0.01)
        >>> found = Demo((row,), 12.0, 0, Path("digits.fewbit"), Path("digits.png"))
        >>> print_demo(found, Console(width=100))  # doctest: +ELLIPSIS, +NORMALIZE_WHITESPACE
        spoken digits, seed 0
        ...
    """
    table = Table(title=f"spoken digits, seed {demo.seed}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("network", no_wrap=True)
    for name in ("weights", "smaller", "file", "WER", "unseen", "as float", "RTF"):
        table.add_column(name, justify="right", no_wrap=True)
    full = demo.rows[0]
    for row in demo.rows:
        table.add_row(
            row.name,
            f"{row.weight_bytes:,}",
            f"{full.weight_bytes / row.weight_bytes:.1f} x",
            f"{row.file_bytes:,}",
            f"{row.error_rate:.1%}",
            f"{row.error_rate_unseen:.1%}",
            f"{row.agreement:.1%}",
            f"{row.real_time_factor:.4f}",
        )
    console.print(table)
    console.print(
        "[dim]weights, file: bytes; WER: words wrong for each said, known and unseen speakers;\n"
        "as float: frames with the same best word; RTF: work for each second of sound[/]",
        highlight=False,
    )
    console.print(f"{demo.seconds:.0f} s in all; picture: {demo.picture}", highlight=False)
    console.print(f"listen: fewbit stream --model {demo.network} FILE.wav   (or --mic)", highlight=False)


def _measure(networks: dict[str, Network], digits: Digits, float_file: Path, teacher: SpeechRNN) -> tuple[Row, ...]:
    parameters = sum(p.numel() for p in teacher.parameters()) + 2 * FEATURES.mels
    reference: NDArray[np.int64] | None = None
    known, said = digits.stream(digits.test)
    unseen, said_unseen = digits.stream(digits.unseen)
    rows = []
    for name, network in networks.items():
        heard = stream(network, _chunks(known, digits.sample_rate))
        other = stream(network, _chunks(unseen, digits.sample_rate))
        scores, _ = network.step(FEATURES(known), network.init_state())
        best = scores.argmax(axis=1)
        reference = best if reference is None else reference
        if isinstance(network, Program):
            counted = cost(network)
            weight_bytes, file_bytes = counted.weight_bytes, counted.file_bytes
        else:
            weight_bytes, file_bytes = 4 * parameters, float_file.stat().st_size
        rows.append(
            Row(
                name,
                weight_bytes,
                file_bytes,
                round(wer([said], [heard.text]), 4),
                round(wer([said_unseen], [other.text]), 4),
                round(float((best == reference).mean()), 4),
                heard.real_time_factor,
            )
        )
    return tuple(rows)


def _draw(path: Path, network: Network, digits: Digits, teacher: SpeechRNN, student: SpeechRNN) -> Path:
    from matplotlib.figure import Figure

    from fewbit.plot import plot_heard, plot_levels

    rng = np.random.default_rng(1)
    samples, said = join([digits.test[i] for i in rng.permutation(len(digits.test))[:12]], digits.sample_rate, rng)
    samples = samples[: int(PICTURE_SECONDS * digits.sample_rate)]
    labels = [
        label
        for event in stream(network, _chunks(samples, digits.sample_rate)).events
        if isinstance(event, Final)
        for label in event.labels
    ]
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    above, below = figure.subplots(2, 1)
    layer = "rnn0"
    before = teacher.get_submodule(layer).weight.detach().numpy()  # type: ignore[operator]
    after = student.get_submodule(layer).weight.detach().numpy()  # type: ignore[operator]
    plot_levels(above, layer, before, after)
    plot_heard(below, FEATURES(samples), FEATURES.hop / FEATURES.sample_rate, labels, _visible(said))
    figure.savefig(path, dpi=130)
    return path


def _visible(said: Sequence[Spoken]) -> list[tuple[str, float, float]]:
    return [(word.text, word.start, word.end) for word in said if word.end <= PICTURE_SECONDS]


def _chunks(samples: NDArray[np.float32], sample_rate: int) -> list[NDArray[np.float32]]:
    size = int(sample_rate * CHUNK_SECONDS)
    return [samples[i : i + size] for i in range(0, len(samples), size)]
