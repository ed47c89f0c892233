"""A packed network as text: what goes in and out, a row for each op, repeated blocks once, and the totals."""

from dataclasses import dataclass

from fewbit.program import Cost, OpCost
from fewbit.program.graph import Graph
from fewbit.program.naming import cut, root_of, under
from fewbit.program.overview import Overview
from fewbit.program.repeats import Repeat, find_repeats

TRIES = (
    (True, 2, 10**8, 999),
    (False, 2, 10**8, 999),
    (False, 1, 10**8, 24),
    (False, 1, 10**6, 18),
    (False, 1, 10**4, 0),
)
"""From roomy to narrow: with shapes of weights or not, gap between columns, counts from which on numbers are rounded,
and the length of names for which there must be room (if they are so long)."""
FORMAT = 14
"""Longest formats in a narrow table."""


@dataclass(frozen=True)
class Row:
    """The cells of an op; or, in place of them, a line that says which blocks are left out."""

    cells: tuple[str, ...] = ()
    heading: str = ""


def network_lines(
    graph: Graph, cost: Cost, seen: Overview, width: int, expand_blocks: bool = False
) -> list[tuple[str, str]]:
    """Lines of at most `width` characters (80 or more) with their styles.

    expand_blocks: show repeated blocks in full.
    """
    repeats = [] if expand_blocks else find_repeats(graph, cost)
    root = root_of([op.name for op in cost.ops])
    lines = [(line, "") for line in _outside(seen, width)]
    if root:
        lines.append((f"names   of layers begin with {cut(root, width - 28)}", ""))
    table = _fit(graph, cost, seen, repeats, root, width)
    key = "numbers, bits: size and width of one output frame"
    if "reads" in table[0].split():
        key += "; reads: if not the op above"
    lines += [("", ""), (table[0], "bold"), *((line, "") for line in table[1:]), (key, "dim"), ("", "")]
    return lines + [(line, "") for line in _totals(cost, seen)]


def _outside(seen: Overview, width: int) -> list[str]:
    def listed(word: str, sides: list[str]) -> list[str]:
        return [f"{word if not i else '':8}{cut(side, width - 8)}" for i, side in enumerate(sides)]

    lines = listed("takes", [f"{side}" for side in seen.inputs]) + listed("gives", [f"{side}" for side in seen.outputs])
    if not seen.timed:
        lines.append("runs    on one input at once")
        return lines
    if seen.whole is not None:
        lines.append("runs    on a whole input at once: all frames are read by")
        lines.append(f"        {cut(seen.whole, width - 8)}")
        return lines
    every = "frame" if seen.stride == 1 else f"{seen.stride} frames"
    lines.append(f"runs    as a stream: a result every {every}, {_plural(seen.lookahead, 'frame')} of lookahead")
    state = f"state   {seen.state_numbers:,} numbers"
    if seen.native_state_bytes is not None:
        state += f", {seen.native_state_bytes:,} bytes in the native runtime"
    lines.append(state)
    return lines


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _fit(graph: Graph, cost: Cost, seen: Overview, repeats: list[Repeat], root: str, width: int) -> list[str]:
    """The table, with shapes of weights and full numbers if there is room for them."""
    joined = any(list(places) != [i - 1] for i, places in enumerate(graph.inputs) if places)
    for shapes, gap, most, wanted in TRIES:
        rows = _rows(graph, cost, repeats, root, shapes, joined, most)
        head = ["layer", "op", "numbers", "format", "bits", "bytes", "MACs"]
        if shapes:
            head.insert(3, "weights")
        if joined:
            head[2:2] = ["reads"]
            head.insert(0, "#")
        cells = [row.cells for row in rows if row.cells]
        widths = [max(len(title), *(len(row[i]) for row in cells)) for i, title in enumerate(head)]
        if not shapes:
            widths[head.index("format")] = min(widths[head.index("format")], FORMAT)
        name = int(joined)
        room = width - sum(widths) + widths[name] - gap * (len(widths) - 1)
        if room >= min(widths[name], wanted):
            break
    widths[name] = min(widths[name], max(room, 5))
    lines = [_line(tuple(head), widths, head, gap)]
    return lines + [cut(row.heading, width) if row.heading else _line(row.cells, widths, head, gap) for row in rows]


def _line(cells: tuple[str, ...], widths: list[int], head: list[str], gap: int) -> str:
    left = ("layer", "op", "reads", "weights", "format")
    parts = [
        f"{cut(cell, size):<{size}}" if title in left else f"{cell:>{size}}"
        for cell, size, title in zip(cells, widths, head, strict=True)
    ]
    return (" " * gap).join(parts).rstrip()


def _rows(
    graph: Graph, cost: Cost, repeats: list[Repeat], root: str, shapes: bool, joined: bool, most: int
) -> list[Row]:
    rows: list[Row] = []
    starts = {repeat.first: repeat for repeat in repeats}
    place = 0
    while place < len(cost.ops):
        repeat = starts.get(place)
        inside = repeat.length if repeat else 1
        if repeat:
            each = sum(op.bytes for op in cost.ops[place : place + inside])
            blocks = f"{under(repeat.name, root)} to {under(repeat.last_name, root)}"
            rows.append(Row(heading=f"x{repeat.count}  {blocks}, each {each:,} bytes"))
        for i in range(place, place + inside):
            name = under(cost.ops[i].name, root)
            if repeat:
                name = f" {cost.ops[i].name.removeprefix(f'{repeat.name}.')}"
                name = f" {under(name[1:], root)}"
            rows.append(Row(_cells(graph, i, cost.ops[i], name, shapes, joined, most)))
        if repeat:
            rows.append(Row(heading="─" * 24))
        place = repeat.stop if repeat else place + 1
    if rows[-1].heading:
        rows.pop()
    return rows


def _cells(graph: Graph, i: int, op: OpCost, name: str, shapes: bool, joined: bool, most: int) -> tuple[str, ...]:
    bits = "" if f"{op.bits:.1f}" == f"{op.format[-1:]}.0" else f" {op.bits:.1f}"
    cells = [name, graph.ops[i].kind, number(op.size, most), f"{op.format}{bits}" if op.weights else ""]
    cells += [f"{op.result_bits}", number(op.bytes, most), _macs(op, most)]
    if shapes:
        cells.insert(3, op.shape if op.weights else "")
    if joined:
        places = graph.inputs[i]
        read = [] if list(places) == [i - 1] else [f"{place}" for place in places]
        cells.insert(2, " ".join(read) if len(read) < 5 else f"{' '.join(read[:3])} +{len(read) - 3}")
        cells.insert(0, f"{i}")
    return tuple(cells)


def _macs(op: OpCost, most: int) -> str:
    return f"{number(op.pair_macs, most)}/pair" if op.pair_macs else number(op.macs, most)


def number(value: float, most: int) -> str:
    """A count in full below `most`, else in thousands, millions or billions."""
    if value < most:
        return f"{value:,.0f}"
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:.{1 if value < 100 * size else 0}f}{letter}"
    return f"{value:,.0f}"


def _totals(cost: Cost, seen: Overview) -> list[str]:
    per = " a frame" if seen.timed else ""
    macs = f"{cost.macs:,.0f} multiply-accumulates{per}"
    if cost.pair_macs:
        macs += f", and {cost.pair_macs:,} for each pair of frames"
    lines = []
    if cost.weights:
        stored = 8 * cost.weight_bytes / cost.weights
        lines.append(f"{cost.weights:,} weights, {stored:.2f} bits for each with scales and biases")
    lines.append(macs)
    kernels, columns = [op for op in cost.ops if op.kernels], [op for op in cost.ops if op.columns]
    for owner, noun, of in (("convolution", "kernels", kernels), ("op", "columns", columns)):
        if of:
            kept, every = (sum(getattr(op, name) for op in of) for name in (f"kept_{noun}", noun))
            lines.append(f"of {_plural(len(of), owner)}, {kept:,} of {every:,} {noun} are stored and counted,")
            lines.append(f"with {sum(op.pattern_bytes for op in of):,} bytes that say which")
    if seen.native_value_bytes is not None:
        held = f"{seen.native_weight_bytes:,} bytes of weights, {seen.native_value_bytes:,} bytes of values{per}"
        lines.append(f"native memory: {held}")
    lines.append(f"file {cost.file_bytes:,} bytes = header {cost.header_bytes:,} + payload {cost.payload_bytes:,}")
    return lines
