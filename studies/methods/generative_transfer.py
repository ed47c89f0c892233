"""Study 22: students that read only what their teachers, or they themselves, write.

References:
    Shin, Hwang, Sung 2016 (arXiv 1608.04077).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import mean
from typing import Any

from torch import Tensor, nn

from fewbit.analysis import Table, grid
from fewbit.data import Characters, TextStreams, english_books, wikitext2_letters
from fewbit.distill import GeneratedText, SoftLabels
from fewbit.errors import DataError
from fewbit.models import CharLM
from fewbit.passes import Finetune, Quantize, compress
from fewbit.plot import plot_arms
from fewbit.tasks import Task
from fewbit.train import CrossEntropy, TruncatedBPTT
from studies.evidence.paired_tests import Difference, by_seed, difference
from studies.evidence.rows import Rows, of
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread
from studies.evidence.verdicts import Part, better, comparisons_of, verdict
from studies.tasks.named import bits_per_character

DOMAINS = ("books", "encyclopaedia")
BOOKS, MIXED = "test books", "test mixed"
ARMS = {
    "teacher": "teacher (real books)",
    "soft": "student (teacher's text, soft labels)",
    "longer": "student (twice as much text)",
    "hard": "student (teacher's text, hard labels)",
    "own": "student (its own text, soft labels)",
    "small real": "small network (real books)",
    "small soft": "small student (teacher's text, soft labels)",
    "other teacher": "second teacher (real encyclopaedia)",
    "other soft": "student of the second teacher",
    "ensemble": "student of both teachers",
    "direct": "ternary teacher, not retrained",
    "ternary real": "ternary teacher, retrained on real books",
    "ternary generated": "ternary teacher, retrained on generated text",
}
TERNARY = {"*head": "int8", "*": "ternary:row"}
UNIT = "bits per character"
NEAR = 1.05
"""A student within this factor of what it is compared with counts as near."""
RECOVERED = 0.7
"""Most of what was lost is recovered if it is more than this share."""


@dataclass(frozen=True)
class Scale:
    """Networks, text and schedules of a run; `apart` is whether each seed has real text that no other seed reads."""

    hidden: int
    small: int
    characters: int
    epochs: int
    retrain_characters: int
    streams: int = 64
    steps: int = 32
    lr: float = 2e-2
    retrain_lr: float = 5e-3
    apart: bool = True


SMALL = Scale(hidden=64, small=32, characters=800_000, epochs=1, retrain_characters=200_000)
FULL = Scale(
    hidden=512,
    small=128,
    characters=6_000_000,
    epochs=20,
    retrain_characters=6_000_000,
    steps=64,
    lr=2e-3,
    retrain_lr=1e-3,
    apart=False,
)


def run(setting: Setting) -> Study:
    """Train every arm for as many characters, real or generated, and measure all on real held-out text."""
    scale = FULL if setting.full else SMALL
    rows = setting.sweep(
        partial(_trial, setting, scale), grid(seed=setting.seeds, arm=ARMS), "generative-transfer", "transfer"
    ).open()
    parts = judge(rows)
    picture = setting.out / "22-generative-transfer.png"
    values = {told: [row[BOOKS] for row in of(rows, arm=arm)] for arm, told in ARMS.items() if arm != "direct"}
    plot_arms(values, "books, bits per character", picture, "Networks by the text that they learned from", 3)
    return Study(
        number="22",
        name="generative-transfer",
        title="Generative knowledge transfer",
        claim=(
            "A student that reads only generated text, labelled with its teacher's distributions, comes near to what "
            "real text gives and is better than with the drawn symbols as labels; two teachers make a better student "
            "than each alone; a ternary network retrained so recovers most of what quantization lost."
        ),
        verdict=verdict(parts),
        findings=(*(part.finding for part in parts), recovered(rows)),
        setting=_describe(scale),
        command=f"python -m studies 22 --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(_table(rows),),
        pictures=((picture.name, "Bits per character of real held-out books, by what a network learned from."),),
        comparisons=comparisons_of(parts),
        rows={"transfer": rows},
    )


def judge(rows: Rows) -> list[Part]:
    """The parts of the claim, all tested together."""
    near = (("soft", "teacher"), ("longer", "teacher"), ("own", "teacher"), ("small soft", "small real"))
    statements = [_near(rows, arm, base) for arm, base in near]
    statements.append(
        ("A teacher's distributions are better labels than drawn symbols", _apart(rows, "soft", "hard", BOOKS))
    )
    statements += [
        (
            f"Two teachers make a better student on both domains than {which} alone",
            _apart(rows, "ensemble", base, MIXED),
        )
        for base, which in (("soft", "the first"), ("other soft", "the second"))
    ]
    statements.append(
        (
            f"Generated text recovers more than {100 * RECOVERED:.0f} % of what real text recovers in ternary weights",
            _recovers(rows),
        )
    )
    return better(statements)


def recovered(rows: Rows) -> str:
    """How much of what retraining on real text recovers generated text does, by seed."""
    direct, real, generated = (_bits_of(rows, arm) for arm in ("direct", "ternary real", "ternary generated"))
    shares = [
        100 * (direct[seed] - generated[seed]) / (direct[seed] - real[seed])
        for seed in sorted(direct.keys() & real.keys() & generated.keys())
        if direct[seed] != real[seed]
    ]
    return (
        "Ternary weights: of what retraining on real text recovers, retraining on generated text recovers "
        f"{spread(shares, 1)} %."
    )


def _near(rows: Rows, arm: str, base: str) -> tuple[str, Difference]:
    """Whether an arm takes at most `NEAR` times the bits of a base."""
    bound = {seed: NEAR * bits for seed, bits in _bits_of(rows, base).items()}
    return (
        f"{ARMS[arm][0].upper()}{ARMS[arm][1:]} comes within {100 * (NEAR - 1):.0f} % of {ARMS[base]}",
        by_seed((ARMS[arm], _bits_of(rows, arm)), (f"{NEAR:g} times {ARMS[base]}", bound), unit=UNIT, digits=3),
    )


def _recovers(rows: Rows) -> Difference:
    """What is left to win back after retraining on generated text, against a share of what real text wins back."""
    direct, real, generated = (_bits_of(rows, arm) for arm in ("direct", "ternary real", "ternary generated"))
    allowed = {
        seed: direct[seed] - RECOVERED * (direct[seed] - real[seed]) for seed in sorted(direct.keys() & real.keys())
    }
    return by_seed(
        (ARMS["ternary generated"], generated),
        (f"{100 * RECOVERED:.0f} % of the way from direct to real text", allowed),
        unit=UNIT,
        digits=3,
    )


def _apart(rows: Rows, arm: str, base: str, measure: str) -> Difference:
    mine, theirs = ((ARMS[name], of(rows, arm=name)) for name in (arm, base))
    return difference(mine, theirs, measure, unit=UNIT, digits=3)


def _bits_of(rows: Rows, arm: str) -> dict[int, float]:
    """Bits per character of books, by seed."""
    return {row["seed"]: row[BOOKS] for row in of(rows, arm=arm)}


def _trial(setting: Setting, scale: Scale, seed: int, arm: str) -> dict[str, Any]:
    network = _network(setting, scale, seed, arm)
    found: dict[str, Any] = {f"test {domain}": _task(setting, scale, domain).score(network) for domain in DOMAINS}
    return found | {MIXED: mean(found.values())}


def _network(setting: Setting, scale: Scale, seed: int, arm: str) -> nn.Module:
    """The network of an arm, in a `TruncatedBPTT`; what a student needs of its teachers is their weights."""
    tasks = [_task(setting, scale, domain) for domain in DOMAINS]
    if arm == "small real":
        return setting.network(tasks[0], seed, scale.small)
    teachers = [setting.network(task, seed) for task in tasks]
    if arm in ("teacher", "other teacher"):
        return teachers[arm == "other teacher"]
    if arm == "direct":
        return compress(teachers[0], Quantize(TERNARY))
    retrain = partial(Finetune, epochs=1, lr=scale.retrain_lr, seed=seed, progress=False)
    if arm == "ternary real":
        text: Any = _streams(_real(setting, DOMAINS[0]).train, scale, scale.retrain_characters, seed)
        return compress(teachers[0], Quantize(TERNARY), retrain(text, CrossEntropy()))
    if arm == "ternary generated":
        text = _generated(teachers[:1], scale, scale.retrain_characters, seed)
        return compress(teachers[0], Quantize(TERNARY), retrain(text, SoftLabels()))
    chosen = {"ensemble": teachers, "other soft": teachers[1:]}.get(arm, teachers[:1])
    student = tasks[0].new(1000 + seed, scale.small if arm == "small soft" else scale.hidden)
    kind: dict[str, Any] = {"hard": float(arm == "hard"), "student": student if arm == "own" else None}
    characters = scale.epochs * scale.characters * (2 if arm == "longer" else 1)
    text = _generated(chosen, scale, characters, seed, **kind)
    return Finetune(text, SoftLabels(), 1, lr=scale.lr, seed=seed, progress=False)(student)


def _generated(teachers: list[nn.Module], scale: Scale, characters: int, seed: int, **arguments: Any) -> GeneratedText:
    count = characters // (scale.streams * scale.steps)
    models: list[Any] = [teacher.get_submodule("model") for teacher in teachers]
    return GeneratedText(models, streams=scale.streams, steps=scale.steps, count=count, seed=seed, **arguments)


def _task(setting: Setting, scale: Scale, domain: str) -> Task:
    """The next character of real text."""
    text = _real(setting, domain)
    return Task(
        name=f"transfer {domain} {scale.characters}{' of each seed' if scale.apart else ''}",
        build=partial(_build, len(text.symbols)),
        batches=partial(_streams, text.train, scale, scale.characters),
        evaluate=partial(_bits, text.dev[:100_000]),
        test=partial(_bits, text.test[:100_000]),
        size=scale.hidden,
        metric="bits per character",
        epochs=scale.epochs,
        lr=scale.lr,
    )


def _build(classes: int, size: int) -> nn.Module:
    return TruncatedBPTT(CharLM(classes, size))


def _streams(text: Tensor, scale: Scale, characters: int, seed: int) -> TextStreams:
    """So many characters, in pieces from all over the text; seeds that read apart begin where the one before ends."""
    pieces = text[: len(text) // scale.streams * scale.streams].view(scale.streams, -1)
    start, length = seed * (scale.characters // scale.streams) * scale.apart, characters // scale.streams
    if start + length > pieces.shape[1]:
        raise DataError(
            f"seed {seed}: a text of {len(text):,} characters has no {characters:,} for it; give fewer seeds"
        )
    return TextStreams(pieces[:, start : start + length].flatten(), scale.streams, scale.steps)


def _bits(stream: Tensor, model: nn.Module) -> float:
    return bits_per_character(stream, model.get_submodule("model"))


def _real(setting: Setting, domain: str) -> Characters:
    if domain == "books":
        return _once(english_books, setting.folder("english_books"))
    return _once(wikitext2_letters, setting.folder("wikitext2"))


@cache
def _once(read: Callable[[Path], Characters], folder: Path) -> Characters:
    """Data are read once in a process."""
    return read(folder)


def _table(rows: Rows) -> Table:
    measures = (*(f"test {domain}" for domain in DOMAINS), MIXED)
    cells = tuple(
        (told, *(spread([row[measure] for row in of(rows, arm=arm)], 3) for measure in measures))
        for arm, told in ARMS.items()
    )
    return Table("Bits per character of real held-out text", ("", *DOMAINS, "half and half"), cells)


def _describe(scale: Scale) -> str:
    seen = scale.epochs * scale.characters
    others = ", others for each seed" if scale.apart else ""
    return (
        f"Letters of public-domain books and of WikiText-2 (the encyclopaedia), {scale.characters:,} characters of "
        f"each as real text{others}; LSTMs of 2 layers of {scale.hidden} units (small: {scale.small}). Every network "
        f"reads {seen:,} characters where not said otherwise, students always fresh generated ones; ternary weights by "
        f"row (last layer 8 bits) are retrained on {scale.retrain_characters:,}. {scale.streams} streams, windows of "
        f"{scale.steps} steps, state carried; rate {scale.lr:g} ({scale.retrain_lr:g} in retraining) along half a "
        "cosine."
    )
