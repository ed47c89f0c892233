"""The figures of `multi_step.py` as a part of the page of results: a table of numbers, and what they say."""

from collections.abc import Sequence
from typing import Any

from benchmarks.multi_step_model import ABOUT, LSTM_BOUND, PUBLISHED, Roofline, verdict
from fewbit.analysis.report import Table
from studies.evidence import Study

Record = dict[str, Any]
COLUMNS = (
    "layer", "cells", "weights", "place", "layers in turn", "bytes of a layer", "steps", "calls",
    "microseconds a step", "10 %", "90 %", "S(T)", "S(T), 10 %", "S(T), 90 %", "S(T) of the roofline",
    "measured / roofline",
)  # fmt: skip
LIMITS = (
    "layer", "cells", "weights", "place", "bandwidth (GB/s)", "peak (GOP/s)", "scan (µs a step)", "call (µs a block)",
    "T*", "bandwidth used at T = 1", "peak used at T = 16",
)  # fmt: skip
COUNTS = {"sru": 3, "lstm": 8}
SLOWER = 0.9


def roofline(record: Record) -> Roofline | None:
    """None for an LSTM, whose recurrent half is read step by step."""
    if record["cell"] != "sru":
        return None
    weights = COUNTS["sru"] * record["cells"] ** 2
    given = (record["weight_bytes"], record["bandwidth"], record["peak"])
    return Roofline(weights, *given, record["scan_seconds"], record["call_seconds"])


def factor(record: Record, steps: int) -> float:
    return float(record["steps"][str(steps)]["factor"])


def chosen(records: Sequence[Record], cell: str = "sru", **wanted: str) -> list[Record]:
    """Records of a cell with these values."""
    return [
        record
        for record in records
        if record["cell"] == cell and all(record[name] == value for name, value in wanted.items())
    ]


def between(values: Sequence[float], digits: int = 1) -> str:
    """The range of some values.

    Example:
        >>> between([1.0, 3.04]), between([2.0])
        ('1.0 to 3.0', '2.0')
    """
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def times(records: Sequence[Record]) -> Table:
    rows = []
    for record in records:
        line = roofline(record)
        where = (record["cell"].upper(), record["cells"], record["format"], record["place"], record["layers"])
        for steps, one in record["steps"].items():
            model = line.factor(int(steps)) if line else None
            rows.append(
                (
                    *(*where, record["weight_bytes"], int(steps), one["calls"]),
                    *(round(one[name], 3) for name in ("median_us", "p10_us", "p90_us")),
                    *(round(one[name], 3) for name in ("factor", "factor_p10", "factor_p90")),
                    *((round(model, 3), round(one["factor"] / model, 3)) if model else (None, None)),
                )
            )
    return Table(
        "Times and factors; S(T) is the time of a step alone over that of a step in a block of T", COLUMNS, tuple(rows)
    )


def limits(records: Sequence[Record]) -> Table:
    rows = []
    for record in records:
        line = roofline(record)
        if line:
            rows.append(
                (
                    *(record["cell"].upper(), record["cells"], record["format"], record["place"]),
                    *(round(record["bandwidth"] / 1e9, 2), round(record["peak"] / 1e9, 1)),
                    *(round(record[name] * 1e6, 2) for name in ("scan_seconds", "call_seconds")),
                    *(round(line.ridge, 2), round(bandwidth_used(record), 3), round(peak_used(record, 16), 3)),
                )
            )
    return Table("Limits measured in the same turns", LIMITS, tuple(rows))


def bandwidth_used(record: Record) -> float:
    """Part of the measured bandwidth at which single steps read the weights."""
    return float(record["weight_bytes"] / (record["steps"]["1"]["median_us"] * 1e-6) / record["bandwidth"])


def peak_used(record: Record, steps: int) -> float:
    """Part of the measured peak at which blocks multiply."""
    operations = 2 * COUNTS[record["cell"]] * record["cells"] ** 2
    return float(operations / (record["steps"][str(steps)]["median_us"] * 1e-6) / record["peak"])


def findings(records: Sequence[Record], last_cache: int, second_cache: int = 0) -> tuple[str, ...]:
    found = []
    for place, words in (("cold", "weights from memory"), ("warm", "weights in the nearest cache that holds them")):
        for format in dict.fromkeys(record["format"] for record in records):
            some = chosen(records, format=format, place=place)
            if some:
                parts = [f"S({steps}) {between([factor(one, steps) for one in some])}" for steps in (4, 16, 64)]
                models = [line.factor(16) for one in some if (line := roofline(one))]
                cells = ", ".join(str(one["cells"]) for one in some)
                found.append(
                    f"SRU, {format}, {words} ({cells} cells): {', '.join(parts)}; the roofline gives S(16) "
                    f"{between(models)}."
                )
    found += [published_again(records), *rooflines(records), *slower_again(records, second_cache)]
    return (*found, *gains(records), *control(records, last_cache))


def published_again(records: Sequence[Record]) -> str:
    """Where a block of any measured length is about as much faster as was published for 16 steps."""
    wanted = ABOUT * PUBLISHED[16]
    places = []
    for record in chosen(records):
        enough = [int(steps) for steps in record["steps"] if factor(record, int(steps)) >= wanted]
        if enough:
            places.append(f"{record['format']} {record['cells']} {record['place']} from T = {min(enough)}")
    said = f"Published for float32 on an ARM processor: S(4) {PUBLISHED[4]}, S(16) {PUBLISHED[16]}."
    if not places:
        most = max(
            ((factor(one, int(steps)), one) for one in chosen(records) for steps in one["steps"]),
            key=lambda pair: pair[0],
        )
        return f"{said} No layer here reaches {wanted:.1f} with blocks of up to 64 steps; the most is {most[0]:.1f}."
    return f"{said} Here {wanted:.1f} is reached by {'; '.join(places)}."


def rooflines(records: Sequence[Record]) -> list[str]:
    found = []
    for format in dict.fromkeys(record["format"] for record in records):
        cold = chosen(records, format=format, place="cold")
        if cold:
            ridges = [line.ridge for one in cold if (line := roofline(one))]
            found.append(
                f"{format} from memory: T* {between(ridges)}; single steps read at "
                f"{between([100 * bandwidth_used(one) for one in cold], 0)} % of the bandwidth of a reading "
                f"loop, blocks of 16 multiply at {between([100 * peak_used(one, 16) for one in cold], 0)} % of "
                f"the peak."
            )
    return found


def block_bytes(record: Record, steps: int) -> int:
    """Bytes of the inputs, gates and outputs of a block at 4 bytes a number: what should stay in the second cache."""
    return steps * 5 * int(record["cells"]) * 4


def slower_again(records: Sequence[Record], second_cache: int) -> list[str]:
    """Blocks that are slower than shorter ones, and whether their values outgrow half of the second cache."""
    inside, outside = [0, 0], [0, 0]
    for record in chosen(records):
        best = 0.0
        for steps in map(int, record["steps"]):
            found = factor(record, steps)
            kind = outside if 2 * block_bytes(record, steps) > second_cache else inside
            kind[0] += 1
            kind[1] += found < SLOWER * best
            best = max(best, found)
    if not second_cache or not outside[0]:
        return []
    return [
        f"Blocks whose values (inputs, gates, outputs) take more than half of the second cache: {outside[1]} of "
        f"{outside[0]} are more than {100 * (1 - SLOWER):.0f} % slower a step than a shorter block of the same layer; "
        f"of smaller ones {inside[1]} of {inside[0]}."
    ]


def gains(records: Sequence[Record]) -> list[str]:
    """Few bits and blocks against float32 step by step: one bottleneck, so the factors do not multiply."""
    base = {one["cells"]: one["steps"]["1"]["median_us"] for one in chosen(records, format="float32", place="cold")}
    found = []
    for format in dict.fromkeys(record["format"] for record in records if record["format"] != "float32"):
        some = [one for one in chosen(records, format=format, place="cold") if one["cells"] in base]
        if some:
            alone, both = (
                [base[one["cells"]] / one["steps"][steps]["median_us"] for one in some] for steps in ("1", "16")
            )
            found.append(
                f"{format} from memory against float32 step by step: {between(alone)} times as fast step by step, "
                f"{between(both)} times in blocks of 16."
            )
    return found


def level(record: Record, last_cache: int) -> str:
    """From where an LSTM reads its weights.

    Where the whole layer comes from memory, but its recurrent half fits in the last cache, the second step of a block
    finds that half in the cache: such a layer gains more than its inputs allow.
    """
    if record["place"] == "warm":
        return "weights in a cache, where the cost of calls counts, too"
    if record["weight_bytes"] / 2 > last_cache:
        return "both halves of the weights from memory in every step"
    return "weights from memory at first, the recurrent half from a cache in later steps"


def control(records: Sequence[Record], last_cache: int) -> list[str]:
    """Whether any LSTM exceeds what its recurrent half allows."""
    found = []
    lstms = chosen(records, "lstm")
    for words in sorted({level(record, last_cache) for record in lstms}):
        factors = [
            (factor(one, int(steps)), f"{one['format']} {one['cells']} {one['place']}, T = {steps}")
            for one in lstms
            if level(one, last_cache) == words
            for steps in one["steps"]
        ]
        most, where = max(factors)
        above = sum(value > LSTM_BOUND for value, _ in factors)
        found.append(
            f"Control, LSTM with as many inputs as cells, {words}: the largest S(T) is {most:.2f} ({where}); "
            f"{above} of {len(factors)} are above {LSTM_BOUND}."
        )
    return found


def second_cache_bytes(machine: dict[str, Any]) -> int:
    """0 where the system tells nothing."""
    sizes = [cache["size"] for name, cache in machine["caches"].items() if name.startswith("L2")]
    return int(sizes[0].rstrip("K")) << 10 if sizes and sizes[0].endswith("K") else 0


def study(result: dict[str, Any]) -> Study:
    """The study of one run."""
    records: list[Record] = result["records"]
    cold = chosen(records, format="float32", place="cold")
    caches = ", ".join(f"{name} {cache['size']}" for name, cache in result["machine"]["caches"].items())
    return Study(
        number="",
        name="multi-step",
        title="Blocks of time steps, in caches and out of them",
        claim=(
            "16 steps of an SRU at once are about 9 times as fast as one at a time where the weights come from memory "
            "(Sung, Park 2018)."
        ),
        verdict=verdict([factor(one, 16) for one in cold]),
        findings=findings(records, result["last_cache"], second_cache_bytes(result["machine"])),
        setting=(
            f"One thread; float32 in torch {result['torch'].split('+')[0]}, few bits in fewbit's target "
            f"`{result['target']}`, floats in. Cold: layers in turn whose weights are at least three times the last "
            f"cache; warm: one layer. Caches as the system tells: {caches}; other machines share the last one and the "
            f"memory, and neighbours make noise. All lengths of blocks take turns in {result['rounds']} rounds of "
            f"{result['seconds']} s; S(T) is the median over the rounds. Bandwidth: a reading loop over as many bytes; "
            "peak: a product of 512 x 512 weights with 256 frames; scan and call: a layer of 16 inputs. Where single "
            "steps fall short of that bandwidth, S(T) can exceed that of the roofline. The claim holds if S(16) of "
            f"every float32 layer from memory is at least {ABOUT * PUBLISHED[16]:.1f}, nine tenths of the published "
            "factor, and holds in part if some are."
        ),
        command="python -m benchmarks.multi_step --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(limits(records), times(records)),
    )
