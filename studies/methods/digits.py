"""The demo over several seeds: a recogniser of spoken digits, float, quantized directly and retrained."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from fewbit.analysis import Table
from fewbit.demo import demo
from studies.evidence.paired_tests import Comparison, by_seed, tested
from studies.evidence.rows import Rows
from studies.evidence.setting import Setting
from studies.evidence.study import Study, spread

COLUMNS = {
    "weight_bytes": ("weights (bytes)", 1, 0),
    "file_bytes": ("file (bytes)", 1, 0),
    "error_rate": ("WER known (%)", 100, 1),
    "error_rate_unseen": ("WER unseen (%)", 100, 1),
    "agreement": ("frames that agree with float (%)", 100, 1),
    "real_time_factor": ("real-time factor", 1, 4),
}
"""Measure of the demo, its heading, what it is multiplied by, and its digits."""
SPEAKERS = {"error_rate": "known speakers", "error_rate_unseen": "the unseen speaker"}


def run(setting: Setting) -> Study:
    """Run the demo once for each seed; small and full are the same."""
    rows = setting.sweep(
        partial(_trial, setting.cache / "digits"),
        [{"seed": seed} for seed in setting.seeds],
        "digits",
        "spoken digits",
    ).open()
    lost = retraining_costs(rows)
    names = [row["name"] for row in rows[0]["rows"]]
    by_name = {name: [row["rows"][place] for row in rows] for place, name in enumerate(names)}
    heads = ("network", *(head for head, _, _ in COLUMNS.values()))
    return Study(
        number="",
        name="digits",
        title="Spoken digits: the demo",
        claim="",
        verdict="no claim",
        findings=(_smaller(by_name), *(f"{one.sentence}." for one in lost)),
        setting=(
            "Three speakers train; their recordings 0-4 (150 words) and a fourth, unseen speaker (100 words) are the "
            "test, each joined to one stream and heard chunk by chunk. Weights are ternary (the last layer int8), "
            "signals 8-bit. While the settings were chosen, with each of the speakers held out in turn, results on "
            "these recordings were seen, so the error rates may flatter; float and retrained networks are flattered "
            "alike. The data lie in the package."
        ),
        command=f"python -m studies digits --seeds {len(setting.seeds)}",
        seeds=setting.seeds,
        tables=(Table("The demo", heads, tuple((name, *_cells(found)) for name, found in by_name.items())),),
        comparisons=tuple(lost),
        rows={"spoken digits": rows},
    )


def retraining_costs(rows: Rows) -> list[Comparison]:
    """The retrained network against the float one, for known speakers and for an unseen one."""

    def errors(network: str, key: str) -> dict[int, float]:
        return {row["seed"]: 100 * one[key] for row in rows for one in row["rows"] if one["name"] == network}

    return tested(
        [
            by_seed(
                ("retrained", errors("retrained", key)),
                ("float", errors("float", key)),
                unit=f"points of WER, {speakers}",
                digits=1,
            )
            for key, speakers in SPEAKERS.items()
        ]
    )


def _trial(folder: Path, seed: int) -> dict[str, Any]:
    return demo(folder / f"seed{seed}", seed=seed).to_dict() | {"seed": seed}


def _cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    cells = []
    for key, (_, factor, digits) in COLUMNS.items():
        values = [row[key] * factor for row in rows]
        same = len(set(values)) == 1
        cells.append(f"{values[0]:,.{digits}f}" if same else spread(values, digits))
    return cells


def _smaller(by_name: dict[str, list[dict[str, Any]]]) -> str:
    full, small = by_name["float"], by_name["retrained"]
    smaller = mean(a["weight_bytes"] / b["weight_bytes"] for a, b in zip(full, small, strict=True))
    return f"Packed weights are {smaller:.1f} times smaller than float32."
