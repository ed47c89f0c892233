"""What benchmarks of convolutions with zeros have in common: all codes, or those that are kept, in turns.

Two arms take turns in every round: all codes are multiplied, or parts of zeros (kernels, columns) are left out. Both
give the integers of the reference. The gain of a round is the time of all codes over that of kept parts; its mean over
the rounds stands with an interval of 95 % from Student's t of its logarithm. What the runtime chooses by itself is told
by the memory of its weights.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.intervals import interval
from fewbit.analysis.report import Table
from fewbit.formats import default_layout, pack
from fewbit.native import targets
from fewbit.program import Reference, ops
from fewbit.program.native_run import Native
from fewbit.program.numerics import rescale_from
from fewbit.speed.timing import measure_in_turns
from studies.evidence import Study
from studies.evidence.machine import load_sentence

MAPS = (16, 32, 64, 128)
SIDES = (32, 16, 8)
FORMATS = ("int8", "ternary")
CODES = (-127, 127)
DEPTH = 4
"""Convolutions of a network, so that its source takes little of the time."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """One kind of zeros.

    name: of the file of results. module: of this benchmark. title: of its page. part: what is left out. kept: shares
    that are measured. draw: random codes with such a share, from a generator, the number of maps, the share and the
    name of the format. claimed, large: for which settings the first finding is, and the words for them. masks: words
    for what is drawn.
    """

    name: str
    module: str
    title: str
    part: Literal["kernels", "columns"]
    kept: tuple[float, ...]
    draw: Callable[[np.random.Generator, int, float, str], ops.Matrix]
    claimed: Callable[[Record], bool]
    large: str
    masks: str

    def network(self, maps: int, side: int, kept: float, name: str) -> tuple[ops.Op, ...]:
        """A source and four 3 x 3 convolutions of `maps` to `maps` maps on pictures of `side` x `side` places."""
        rng = np.random.default_rng(0)
        source = ops.Quantize("x", np.full(maps, 30, np.float32), np.zeros(maps, np.float32), *CODES, side * side)
        grid = ops.Grid(side, side, 3, 3, top=1, bottom=1, left=1, right=1)
        found: list[ops.Op] = [source]
        for i in range(DEPTH):
            weight = self.draw(rng, maps, kept, name)
            factor = 1 / (weight.format.hi * np.sqrt(9 * maps * kept))
            rescale = rescale_from(factor, *CODES)
            found.append(ops.Conv(f"conv{i}", 1, 1, weight, np.zeros(maps, np.int64), rescale, grid=grid))
        return tuple(found)

    def measure(self, maps: int, side: int, kept: float, name: str, target: str, rounds: int, seconds: float) -> Record:
        """Microseconds of both convolutions and their gain in each round, with the bytes of their weights in the file.

        Raises:
            AssertionError: the integers differ.
        """
        made = self.network(maps, side, kept, name)
        x = np.random.default_rng(1).normal(size=(1, maps * side * side)).astype(np.float32)
        arms = {"all": Native(made, target, skip="nothing"), "kept": Native(made, target, skip=self.part)}
        wanted = Reference(made).step(x, Reference(made).init_state(), True)[0]
        for arm in arms.values():
            assert np.array_equal(arm.step(x, arm.init_state(), True)[0], wanted)
        chosen = "kept" if Native(made, target).bytes == arms["kept"].bytes else "all"
        calls = {key: (_call(arm, x), 1, seconds) for key, arm in arms.items()}
        medians: dict[str, list[float]] = {key: [] for key in calls}
        for _ in range(rounds):
            for key, timing in measure_in_turns(calls).items():
                medians[key].append(timing.median_us)
        weights = [matrix for op in made for matrix in op.matrices()]
        plain = sum(pack(each.codes(), each.format, default_layout(each.format)).nbytes for each in weights)
        return {
            "maps": maps,
            "side": side,
            "kept": kept,
            "format": name,
            "target": target,
            "plain_bytes": plain,
            "kept_bytes": sum(each.data.nbytes for each in weights),
            "all_us": float(np.median(medians["all"])),
            "kept_us": float(np.median(medians["kept"])),
            "chosen": chosen,
            "gains": [whole / part for whole, part in zip(*medians.values(), strict=True)],
        }

    def table(self, records: Sequence[Record]) -> Table:
        """A row for each setting."""
        columns = (
            "maps", "places", "codes", "target", "kept", "bytes, all", "bytes, kept", "all (µs)", "kept (µs)", "gain",
            "95 %", "chosen",
        )  # fmt: skip
        rows = []
        for record in records:
            gain, low, high = interval(record["gains"])
            setting = (
                f"{record['maps']} x {record['maps']}", f"{record['side']} x {record['side']}", record["format"],
                record["target"], f"{record['kept']:.0%}",
            )  # fmt: skip
            sizes = (record["plain_bytes"], record["kept_bytes"])
            times = (round(record["all_us"], 1), round(record["kept_us"], 1), f"{gain:.2f}", f"{low:.2f} to {high:.2f}")
            rows.append((*setting, *sizes, *times, record["chosen"]))
        return Table(f"Four convolutions of 3 x 3 with all and with kept {self.part}", columns, tuple(rows))

    def findings(self, records: Sequence[Record]) -> tuple[str, ...]:
        """Where kept parts are faster beyond their intervals, by target, and where the rule of the runtime errs."""
        found = []
        for target in dict.fromkeys(record["target"] for record in records):
            own = [(record, *interval(record["gains"])) for record in records if record["target"] == target]
            large = [each for each in own if self.claimed(each[0])]
            if large:
                faster, gains = sum(low > 1 for _, _, low, _ in large), [gain for _, gain, _, _ in large]
                found.append(
                    f"`{target}`: {self.large}, leaving the others out is faster in {faster} of {len(large)} settings, "
                    f"by {min(gains):.2f} to {max(gains):.2f} times."
                )
            faster, slower = sum(low > 1 for _, _, low, _ in own), sum(high < 1 for _, _, _, high in own)
            missed = sum(low > 1 and record["chosen"] == "all" for record, _, low, _ in own)
            wrong = sum(high < 1 and record["chosen"] == "kept" for record, _, _, high in own)
            found.append(
                f"`{target}`, all settings: faster in {faster} of {len(own)}, slower in {slower}. The rule of the "
                f"runtime leaves {missed} of the faster ones unused and takes {wrong} of the slower ones."
            )
        return tuple(found)

    def study(self, records: Sequence[Record], rounds: int) -> Study:
        """The figures as a part of the page of results."""
        return Study(
            number="",
            name=self.name,
            title=self.title,
            claim="",
            verdict="no claim",
            findings=self.findings(records),
            setting=(
                f"One thread, one picture, {DEPTH} convolutions behind a source that rounds 32-bit floats, whose time "
                f"counts in both arms; 8-bit signals, {self.masks}, the same codes "
                "in both arms, whose integers equal those of the reference. The arms take turns over "
                f"{rounds} rounds; the gain is the geometric mean of those of the rounds, with its interval of 95 %. "
                "`chosen`: what the runtime takes by itself. "
                f"{load_sentence()}"
            ),
            command=f"python -m benchmarks.{self.module} --results docs/results",
            seeds=(0,),
            tables=(self.table(records),),
        )

    def main(self, description: str | None) -> None:
        """The command line."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--results", type=Path, help="folder for the figures")
        parser.add_argument("--maps", nargs="+", type=int, default=list(MAPS))
        parser.add_argument("--sides", nargs="+", type=int, default=list(SIDES))
        parser.add_argument("--kept", nargs="+", type=float, default=list(self.kept))
        parser.add_argument("--formats", nargs="+", default=list(FORMATS))
        parser.add_argument("--targets", nargs="+", help="default all of this machine but scalar")
        parser.add_argument("--rounds", type=int, default=8)
        parser.add_argument("--seconds", type=float, default=0.02, help="of each arm in a round")
        arguments = parser.parse_args()
        if not targets():
            parser.error("the native library is missing")
        if arguments.rounds < 2:
            parser.error("an interval needs two rounds")
        records = []
        for target, name, maps, side, kept in product(
            arguments.targets or [name for name in targets() if name != "scalar"],
            *(arguments.formats, arguments.maps, arguments.sides, arguments.kept),
        ):
            record = self.measure(maps, side, kept, name, target, arguments.rounds, arguments.seconds)
            records.append(record)
            gain, low, high = interval(record["gains"])
            print(
                f"{target}, {name}, {maps} maps, {side} x {side} places, {kept:.0%} kept: {gain:.2f} ({low:.2f} to "
                f"{high:.2f}), chosen {record['chosen']}",
                flush=True,
            )
        if arguments.results:
            self.study(records, arguments.rounds).save(arguments.results)


def _call(arm: Native, x: Any) -> Callable[[], object]:
    state = arm.init_state()
    return lambda: arm.step(x, state)
