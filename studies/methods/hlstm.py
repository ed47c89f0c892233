"""Study 21: a character language model with a clock for words, against a flat one of equal weights and n-grams.

References:
    Hwang, Sung 2016 (arXiv 1609.03777).
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.analysis import Table, grid
from fewbit.data import Characters, TextStreams, english_books
from fewbit.distill import LogitKD
from fewbit.errors import DataError
from fewbit.lower import pack
from fewbit.models import CharLM, HierarchicalLM
from fewbit.passes import Quantize, compress
from fewbit.plot import plot_arms
from fewbit.program import show
from fewbit.train import CrossEntropy, TruncatedBPTT, cosine, fit, linear
from studies.evidence.paired_tests import difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.counted_text import COUNTS
from studies.tasks.named import bits_per_character

ENDS = (0, 1)
"""Classes that end a word: end of paragraph, space."""
WEIGHTS = {"head": "int8", "*": "ternary:row"}


@dataclass(frozen=True)
class Scale:
    """Sizes of a run: cells of the hierarchical network, batches, epochs, and the text.

    share: of the training text, for each seed another part; retrain: share of it for ternary retraining.
    """

    hidden: int
    streams: int
    steps: int
    epochs: int
    lr: float
    share: float = 1.0
    retrain: float = 0.5
    orders: tuple[int, ...] = (5, 7)


SMALL = Scale(hidden=64, streams=8, steps=64, epochs=1, lr=1e-2, share=0.2)
FULL = Scale(hidden=512, streams=64, steps=128, epochs=12, lr=2e-3)
ARMS = {
    "HLSTM-B": "hierarchical LSTM",
    "no reset": "its letters do not start anew",
    "flat": "flat LSTM of two layers",
}
TERNARY = ("HLSTM-B", "flat")


def run(setting: Setting) -> Study:
    """Train every network on the same text, and the best hierarchy and the flat one in ternary weights."""
    scale = FULL if setting.full else SMALL
    rows = setting.sweep(
        partial(_trial, setting, scale), grid(seed=setting.seeds, arm=ARMS), "hierarchical-lm", "networks"
    ).open()
    counted = setting.sweep(
        partial(_counts, setting, scale),
        [{"seed": seed} | kind for seed in setting.seeds for kind in _counts_of(scale)],
        "hierarchical-lm-ngrams",
        "n-grams",
    ).open()
    parts = judge(rows, counted)
    picture = setting.out / "21-hierarchical-character-lm.png"
    values = {told: [row["test"] for row in of(rows, arm=arm)] for arm, told in ARMS.items()}
    values |= {f"{ARMS[arm]}, ternary": [row["ternary test"] for row in of(rows, arm=arm)] for arm in TERNARY}
    values |= {_gram(kind): [row["test"] for row in of(counted, **kind)] for kind in _counts_of(scale)}
    plot_arms(values, "bits per character", picture, "Language models of equal text", 3)
    return Study(
        number="21",
        name="hierarchical-character-lm",
        title="Hierarchical character language models",
        claim=(
            "A character network whose word level ticks at word ends only has a lower perplexity than a flat LSTM with "
            "as many weights, because its letters start anew with every word, and than Kneser-Ney 5-grams of words."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), *_ternary(rows)),
        setting=_describe(scale),
        command=f"python -m studies 21 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_table(rows), _counted(counted, scale)),
        pictures=((picture.name, "Bits per character of held-out text."),),
        comparisons=comparisons_of(parts),
        rows={"networks": rows, "n-grams": counted},
    )


def judge(rows: Rows, counted: Rows) -> list[Part]:
    """The parts of the claim: better than flat, than without reset, and than words by counts."""
    best = (ARMS["HLSTM-B"], of(rows, arm="HLSTM-B"))
    bases = {
        "A word level is better than a flat network of as many weights": (ARMS["flat"], of(rows, arm="flat")),
        "It is better if letters start anew with every word": (ARMS["no reset"], of(rows, arm="no reset")),
        "It is better than counts of words": ("5-grams of words", of(counted, kind="words")),
    }
    return better([(says, difference(best, base, unit="bits per character", digits=3)) for says, base in bases.items()])


def network(arm: str, classes: int, hidden: int) -> nn.Module:
    """The untrained network of an arm; the flat one has as many weights as the hierarchical one."""
    if arm != "flat":
        return HierarchicalLM(classes, hidden, ENDS, reset=arm != "no reset")
    wanted = _size(HierarchicalLM(classes, hidden, ENDS))
    width = hidden
    while _size(CharLM(classes, width + 1, 2, one_hot=True)) <= wanted:
        width += 1
    return CharLM(classes, width, 2, one_hot=True)


def word_perplexity(bits: float, text: Tensor) -> float:
    """What the cost of a character, over all of them, comes to for a word with its end."""
    ends = sum(int((text == end).sum()) for end in ENDS)
    return float(2 ** (bits * len(text) / ends))


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.ndim > 1)


def _trial(setting: Setting, scale: Scale, seed: int, arm: str) -> dict[str, Any]:
    text = _books(setting.folder("english_books"), scale.share, seed)
    torch.manual_seed(seed)
    model = network(arm, len(text.symbols), scale.hidden)
    teach = partial(_train, scale, seed=seed, progress=setting.progress)
    begin = time.process_time()
    teach(model, text.train, CrossEntropy(), lr=scale.lr, title=arm)
    row: dict[str, Any] = {"weights": _size(model), "seconds": time.process_time() - begin}
    row |= _measured(model, text, "")
    row["test perplexity"] = word_perplexity(row["test"], text.test)
    if arm not in TERNARY:
        return row
    calibration = list(islice(TextStreams(text.train, scale.streams, scale.steps), 2))
    student = compress(model, Quantize(WEIGHTS, "int8", calibration=calibration))
    row |= _measured(student, text, "direct ")
    part = text.train[: int(scale.retrain * len(text.train))]
    objective = LogitKD(TruncatedBPTT(model), temperature=1.0, weight=linear(1.0, 0.0), hard=CrossEntropy())
    teach(student, part, objective, lr=scale.lr / 2, title=f"{arm}, ternary")
    row |= _measured(student, text, "ternary ")
    row["ternary test perplexity"] = word_perplexity(row["ternary test"], text.test)
    with tempfile.TemporaryDirectory() as folder:
        row["bytes"] = show(pack(student.eval()).save(Path(folder) / "lm.fewbit")).file_bytes
    return row


def _train(
    scale: Scale,
    model: nn.Module,
    text: Tensor,
    objective: Any,
    *,
    lr: float,
    seed: int,
    progress: bool,
    title: str,
) -> None:
    fit(
        TruncatedBPTT(model),
        TextStreams(text, scale.streams, scale.steps),
        objective,
        epochs=scale.epochs,
        lr=lr,
        optimizer=torch.optim.Adam,
        schedule=cosine(warmup=0.05),
        seed=seed,
        progress=progress,
        title=title,
    )


def _measured(model: nn.Module, text: Characters, prefix: str) -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        parts = {"dev": text.dev, "test": text.test}
        found = {f"{prefix}{name}": bits_per_character(stream, model) for name, stream in parts.items()}
    model.train()
    return found


def _counts_of(scale: Scale) -> list[dict[str, Any]]:
    return [*grid(kind=["letters"], order=scale.orders), {"kind": "words", "order": 5}]


def _gram(kind: Mapping[str, Any]) -> str:
    return f"{kind['order']}-grams of {kind['kind']}"


def _counts(setting: Setting, scale: Scale, seed: int, kind: str, order: int) -> dict[str, Any]:
    text = _books(setting.folder("english_books"), scale.share, seed)
    counted = COUNTS[kind](text, order)
    return counted | {"test perplexity": word_perplexity(counted["test"], text.test)}


def _ternary(rows: Rows) -> list[str]:
    found = []
    for arm in TERNARY:
        mine = of(rows, arm=arm)
        values = [spread([row[key] for row in mine], 3) for key in ("test", "direct test", "ternary test")]
        more = [100 * (row["ternary test"] / row["test"] - 1) for row in mine]
        found.append(
            f"{ARMS[arm]}: {values[0]} bits in float, {values[1]} quantized directly to ternary weights and signals of "
            f"8 bits, {values[2]} retrained ({spread(more, 1)} % more than float), packed in "
            f"{spread([row['bytes'] / 1000 for row in mine], 0)} kB."
        )
    return found


def _table(rows: Rows) -> Table:
    cells: list[tuple[str | int, ...]] = []
    for arm, name in ARMS.items():
        mine = of(rows, arm=arm)

        def told(key: str, digits: int, mine: Rows = mine) -> str:
            return spread([row[key] for row in mine if key in row], digits)

        cells.append(
            (
                name,
                mine[0]["weights"],
                told("seconds", 0),
                told("test", 3),
                told("test perplexity", 0),
                *(told(key, 3) for key in ("direct test", "ternary test")),
                told("ternary test perplexity", 0),
            )
        )
    columns = (
        *("network", "weights", "training (CPU seconds)", "float (bits per character)", "float (word perplexity)"),
        *("ternary, direct (bits)", "ternary, retrained (bits)", "ternary (word perplexity)"),
    )
    return Table("Held-out paragraphs of the books", columns, tuple(cells))


def _counted(counted: Rows, scale: Scale) -> Table:
    cells = []
    for kind in _counts_of(scale):
        mine = of(counted, **kind)
        cells.append(
            (
                _gram(kind),
                f"{mean(row['grams'] for row in mine):,.0f}",
                f"{mean(row['bytes'] for row in mine) / 1e6:.1f}",
                spread([row["test"] for row in mine], 3),
                spread([row["test perplexity"] for row in mine], 0),
                spread([100 * row["unknown"] for row in mine if "unknown" in row], 1),
            )
        )
    columns = ("Kneser-Ney", "grams", "MB", "bits per character", "word perplexity", "unknown words (%)")
    return Table("Counts on the same text", columns, tuple(cells))


@cache
def _whole(folder: Path) -> Characters:
    return english_books(folder)


def _books(folder: Path, share: float, seed: int) -> Characters:
    """The books with a part of the training text that no other seed reads, if a seed reads less than the whole."""
    text = _whole(folder)
    if share >= 1:
        return text
    size = int(share * len(text.train))
    part = text.train[seed * size : (seed + 1) * size]
    if len(part) < size:
        raise DataError(f"seed {seed}: each seed reads {share:.0%} of the training text for itself; give fewer seeds")
    return Characters(part, text.dev, text.test, text.symbols)


def _describe(scale: Scale) -> str:
    others = ", for each seed others," if scale.share < 1 else ""
    return (
        f"Fifteen English books as upper-case letters (29 symbols), {scale.epochs} pass over {scale.share:.0%} of the "
        f"training paragraphs{others} in {scale.streams} endless streams, truncated BPTT of {scale.steps} characters, "
        f"Adam at {scale.lr:g} along a cosine; hierarchical LSTM of 4 x {scale.hidden} cells, the flat one wider. "
        f"Ternary: one scale a row, output layer 8 bits, retrained over {scale.retrain:.0%} of the text with the float "
        "network as teacher whose part falls to nothing. Counts read the same text. Perplexity counts a word for each "
        "space and paragraph end. Words that no count knows are spelled by 5-grams of letters."
    )
