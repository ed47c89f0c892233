"""The networks trained in a run on a GPU as studies."""

from collections.abc import Sequence
from typing import Any

from fewbit.analysis.report import Table
from studies.evidence import Study, spread
from studies.evidence.paired_tests import Comparison, compare, difference, tested
from studies.gpu import letters as letters_job
from studies.gpu import pictures as pictures_job
from studies.gpu import speech as speech_job
from studies.gpu.budget import EPOCHS
from studies.gpu.machine_words import study_of
from studies.gpu.rows import Row, of
from studies.methods.resnet20 import LR, PAIRS, SUBSET

PICTURE_PAIRS = (
    ("float, retrained", "float"),
    ("float, retrained + KD", "float, retrained"),
    *PAIRS,
    ("+ KD", "float, retrained + KD"),
)
LETTER_PAIRS = (("HLSTM-B", "flat"), ("HLSTM-B", "no reset"))
SPEECH_PAIRS = (
    ("four times as wide", "ordinary"),
    ("ternary", "control"),
    ("ternary", "ordinary"),
    ("control", "ordinary"),
)


def pictures(result: dict[str, Any]) -> Study | None:
    """ResNet-20, all arms at one budget."""
    rows = of(result["rows"], kind="resnet20")
    if not rows:
        return None
    names = pictures_job.NAMES
    found = compare(rows, PICTURE_PAIRS, "test", names, unit="points of test error")
    scale = pictures_job.scale_of(rows[0]["epochs"])
    return _study(
        result,
        rows,
        "gpu-resnet20",
        "ResNet-20 with 2-bit weights on a GPU, all methods at one longer budget",
        found,
        f"{SUBSET}, moved and mirrored; batches of 128, SGD with momentum. {scale.epochs} epochs of float training at "
        f"rate {LR}, then as many of retraining for every row but the direct ones (SQWA: {scale.warmup} "
        f"to warm up, {scale.cycles} cycles of {scale.cycle_epochs}, {scale.finetune} at a low rate). Training with "
        f"TF32 in convolutions, measures in float32. Epochs were as many as the time allowed; {EPOCHS} were wanted.",
        names,
        ("epochs", "train", "dev", "test", "bytes"),
        {"train": 2, "dev": 2, "test": 2},
    )


def letters(result: dict[str, Any]) -> Study | None:
    """The hierarchical language model at full size."""
    rows = of(result["rows"], kind="hierarchical")
    if not rows:
        return None
    found = compare(rows, LETTER_PAIRS, "test", letters_job.NAMES, unit="bits per character", digits=4)
    return _study(
        result,
        rows,
        "gpu-hierarchical",
        "Hierarchical character language models on a GPU, at the size of the paper",
        found,
        f"Fifteen English books as upper-case letters (29 symbols), passes over them: "
        f"{rows[0]['passes']}, {letters_job.STREAMS} "
        f"endless streams, truncated BPTT of {letters_job.STEPS} characters, Adam at {letters_job.LR:g} along a "
        f"cosine; hierarchical LSTM of 4 x {letters_job.HIDDEN} cells, the flat one wider, of as many weights. "
        "Training with TF32 in products, measures in float32; layers that tick in every frame run by cuDNN.",
        letters_job.NAMES,
        ("passes", "weights", "dev", "test", "perplexity"),
        {"dev": 4, "test": 4, "perplexity": 1},
    )


def speech(result: dict[str, Any]) -> Study | None:
    """Float networks of two widths, the ternary one, and the float one trained on as long."""
    rows = of(result["rows"], kind="an4")
    if not rows:
        return None
    arms = {row["arm"] for row in rows}
    pairs = [pair for pair in SPEECH_PAIRS if arms.issuperset(pair)]
    named = {arm: (speech_job.NAMES[arm], of(rows, arm=arm)) for arm in arms}
    found = tested(
        [
            difference(named[arm], named[base], measure, unit=unit)
            for measure, unit in (("test wer", "points of WER"), ("test cer", "points of CER"))
            for arm, base in pairs
        ]
    )
    how = "fused" if rows[0]["fused"] else "in loops"
    return _study(
        result,
        rows,
        "gpu-an4",
        "Recognisers of English on a GPU: four times as wide, and ternary against float trained on as long",
        found,
        f"AN4, by the recipe of the recogniser in the package, {rows[0]['epochs']} epochs in each round in float; the "
        "ternary network and the float one that is trained on begin there and have the same further epochs, batches "
        "and teacher; speakers of development and test are never trained on. Best path, no language "
        "model. Log-mel frames in steps of an eighth; other speeds by interpolation of frames. "
        f"TF32 in products; recurrences {how}.",
        speech_job.NAMES,
        ("all epochs", "weights", "dev wer", "dev cer", "test wer", "test cer"),
        {"dev wer": 2, "dev cer": 2, "test wer": 2, "test cer": 2},
    )


def _study(
    result: dict[str, Any],
    rows: Sequence[Row],
    name: str,
    title: str,
    found: Sequence[Comparison],
    setting: str,
    names: dict[str, str],
    columns: Sequence[str],
    digits: dict[str, int],
) -> Study:
    arms = [arm for arm in names if of(rows, arm=arm)]
    means = tuple(
        (names[arm], len(mine), *(_cell([row[column] for row in mine], digits.get(column)) for column in columns))
        for arm in arms
        if (mine := of(rows, arm=arm))
    )
    each = tuple(
        (names[arm], row["seed"], *(row[column] for column in columns))
        for arm in arms
        for row in sorted(of(rows, arm=arm), key=lambda row: row["seed"])
    )
    findings = [f"{one.sentence}." for one in found]
    missing = [job for job in result.get("not_ended", []) if job.split(" ")[0] == rows[0]["kind"]]
    if missing:
        findings.append(f"Not ended in the time at hand: {', '.join(missing)}.")
    tables = (
        Table("Means", ("network", "seeds", *columns), means),
        Table("Each network", ("network", "seed", *columns), each),
    )
    seeds = tuple(sorted({row["seed"] for row in rows}))
    return study_of(result, name, title, findings, setting, tables, {"networks": rows}, seeds, found)


def _cell(values: Sequence[Any], digits: int | None) -> str | int | float:
    return values[0] if digits is None else spread(values, digits)
