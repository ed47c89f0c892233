"""The content of a picture of a packed network: its arrays and ops, with their texts."""

from dataclasses import dataclass

from fewbit.program import Program, cost
from fewbit.program.naming import cut, root_of, under
from fewbit.program.overview import overview
from fewbit.program.repeats import Repeat, find_repeats

LETTERS = 32
FOLD_FROM = 60
"""Networks of more ops than this show one of several equal blocks."""


@dataclass(frozen=True)
class Node:
    """An op, or with `kind` empty an array that goes in or comes out.

    about: a second line. gives: what a frame of its result is, in words; size and bits: in numbers. Bits of 0 are real
    numbers, which are not quantized yet.
    """

    name: str
    kind: str
    about: str
    gives: str
    size: int
    bits: int
    bytes: int
    reads: tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """Nodes in an order in which each reads nodes before it, and blocks ``(first, stop, text)`` that stand for many."""

    nodes: tuple[Node, ...]
    blocks: tuple[tuple[int, int, str], ...]
    summary: str

    @property
    def most_bytes(self) -> int:
        """Those of the largest op."""
        return max(node.bytes for node in self.nodes)


def network(program: Program, expand_blocks: bool = False) -> Network:
    """The nodes of a Program; `expand_blocks` keeps repeated blocks in full."""
    graph, counted, seen = program.graph, cost(program), overview(program)
    repeats = [] if expand_blocks or len(graph.ops) <= FOLD_FROM else find_repeats(graph, counted)
    root = root_of([op.name for op in graph.ops])
    nodes: list[Node] = []
    ports = program.signature.inputs if program.signature else None
    spans = [(port.first, port.first + port.size) for port in ports] if ports else [(0, program.inputs)]
    for side, (first, stop) in zip(seen.inputs, spans, strict=True):
        about = "goes in: symbols" if side.symbols else "goes in: real numbers"
        nodes.append(Node(cut(f"{side}".removesuffix(" of symbols"), LETTERS), "", about, "", stop - first, 0, 0, ()))
    place: dict[int, int] = {}
    blocks = []
    for i, (op, row) in enumerate(zip(graph.ops, counted.ops, strict=True)):
        if _shown(i, repeats) != i:
            continue
        place[i] = len(nodes)
        reads = tuple(place[_shown(other, repeats)] for other in graph.inputs[i])
        if op.source:
            start, end = op.first, op.first + op.reads  # type: ignore[attr-defined]
            reads = tuple(p for p, (first, stop) in enumerate(spans) if first < end and start < stop)
        repeat = next((one for one in repeats if one.first <= i < one.first + one.length), None)
        name = under(op.name, root)
        if repeat and op.name != repeat.name:
            name = under(op.name, repeat.name)
        rate = graph.timings[i].rate
        changed = rate != max((graph.timings[other].rate for other in graph.inputs[i]), default=1)
        gives = f"{row.size:,} × {row.result_bits} bit" + (f", 1 of {rate} frames" if changed else "")
        words = [op.kind, row.format.replace(" + ", ", ") if row.weights else "", f"{row.bytes:,} bytes"]
        about = " · ".join(word for word in words if word and word != "0 bytes")
        nodes.append(Node(cut(name, LETTERS), op.kind, about, gives, row.size, row.result_bits, row.bytes, reads))
        if repeat and i == repeat.first:
            text = f"{repeat.count} times: {under(repeat.name, root)} to {under(repeat.last_name, root)}"
            blocks.append((place[i], place[i] + repeat.length, cut(text, 48)))
    last = place[_shown(len(graph.ops) - 1, repeats)]
    nodes += [Node(cut(f"{side}", LETTERS), "", "comes out", "", 0, 0, 0, (last,)) for side in seen.outputs]
    each = " a frame" if seen.timed else ""
    runs = "whole input at once" if seen.whole else "stream" if seen.timed else "one input at once"
    summary = f"{counted.weights:,} weights · {counted.weight_bytes:,} bytes · {counted.macs:,.0f} MACs{each} · {runs}"
    return Network(tuple(nodes), tuple(blocks), summary)


def _shown(i: int, repeats: list[Repeat]) -> int:
    """The op that is shown for op `i`."""
    for repeat in repeats:
        if repeat.first <= i < repeat.stop:
            return repeat.first + (i - repeat.first) % repeat.length
    return i
