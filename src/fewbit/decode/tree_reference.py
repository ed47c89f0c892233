"""The slow tree beam search, which defines what the fast one (`csrc/beam.cpp`) computes.

Both compute the same sums and products of doubles in the same order. Probabilities are stored as they are, not as
logarithms. After each frame all are multiplied by the power of two that brings the best string to 1..2. That causes no
rounding, and the exponents are summed separately.
"""

import math
from ast import literal_eval
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit.decode.scorer import Scorer
from fewbit.decode.tree_search import Changed, Ended, Ranked, SearchEvent, SearchOptions, TokenSpan
from fewbit.errors import DecodeError

TINY = 1e-280
"""Relative to the best string of the frame before; smaller probabilities count as 0."""
BLANK_HOLDS = 0.99
"""Share of the best string's probability, for an endpoint."""


@dataclass(slots=True)
class Node:
    """A string of labels: those from the root to here. Ancestors of an active string may be inactive."""

    label: int
    parent: int
    depth: int
    active: bool = False
    p_nonblank: float = 0.0  # probability that the frame is in the label
    p_blank: float = 0.0  # ... or in the blank after it
    start: int = 0  # the frame in which most probability entered
    last: int = 0  # the last frame that held the label
    entry: float = 0.0  # the most that entered in one frame
    prob: float = 0.0
    children: dict[int, int] = field(default_factory=dict)
    memory: Any = None  # the scorer's state
    weights: list[float] = field(default_factory=list)  # of every next label: e ** (scorer + insertion_bonus)

    @property
    def total(self) -> float:
        """Probability of the string."""
        return self.p_nonblank + self.p_blank


@dataclass
class Tree:
    """State of a stream. Nodes have serial numbers; older nodes have smaller ones."""

    nodes: dict[int, Node]
    active: list[int] = field(default_factory=lambda: [0])
    spans: list[TokenSpan] = field(default_factory=list)  # labels of the utterance up to the root
    root: int = 0
    best: int = 0
    frame: int = 0
    serial: int = 1
    exponent: int = 0
    held: int = -1
    held_frames: int = 0
    shown: tuple[int, int] = (0, 0)

    def copy(self) -> "Tree":
        """A copy that may be changed; memories and weights are shared, as they never change."""
        nodes = {i: replace(node, children=dict(node.children)) for i, node in self.nodes.items()}
        return replace(self, nodes=nodes, active=list(self.active), spans=list(self.spans))


@dataclass(frozen=True)
class Candidate:
    """A string that may be active after the frame; `serial` is what it has or would get."""

    serial: int
    parent: int
    label: int
    p_nonblank: float
    p_blank: float
    incoming: float


class ReferenceSearch:
    """Tree beam search in plain Python; see `TreeBeam`."""

    def __init__(self, options: SearchOptions, scorer: Scorer | None) -> None:
        self.options, self.scorer = options, scorer

    def start(self) -> Tree:
        """State at the start of a stream."""
        root = Node(0, -1, 0, active=True, p_blank=1.0)
        if self.scorer is None:
            root.weights = [math.exp(self.options.insertion_bonus)] * self.options.classes
        else:
            root.memory, ln = self.scorer.start()
            root.weights = self._weights(ln)
        return Tree({0: root})

    def step(self, state: Tree, scores: NDArray[np.float64]) -> tuple[list[SearchEvent], Tree]:
        """Events of ``scores (frames, classes)`` before the softmax, and the new state."""
        tree, events = state.copy(), list[SearchEvent]()
        for y in map(_softmax, scores.tolist()):
            self._commit(tree, y, self._select(self._candidates(tree, y)))
            tree.frame += 1
            self._after_frame(tree, events)
        return events, tree

    def finish(self, state: Tree) -> list[SearchEvent]:
        """Remaining events at the end of the stream."""
        events: list[SearchEvent] = []
        self._finish(state.copy(), events)
        return events

    def best(self, state: Tree, count: int) -> list[Ranked]:
        """The most probable strings, best first."""
        order = sorted(state.active, key=lambda i: (-state.nodes[i].total, i))[:count]
        committed = [span.label for span in state.spans]
        ranked = []
        for i in order:
            score = state.exponent * math.log(2.0) + math.log(state.nodes[i].total)
            ranked.append(Ranked(score, committed + [state.nodes[j].label for j in path(state, i)]))
        return ranked

    def nodes(self, state: Tree) -> int:
        """Number of strings in memory."""
        return len(state.nodes)

    def save(self, state: Tree) -> bytes:
        """The state as text; the scorer's own states must be numbers, text, tuples or arrays."""
        nodes = {i: [_plain(getattr(node, name)) for name in Node.__slots__] for i, node in state.nodes.items()}
        rest = {name: value for name, value in vars(state).items() if name not in ("nodes", "spans")}
        spans = [tuple(vars(span).values()) for span in state.spans]
        return repr((tuple(asdict(self.options).values()), nodes, spans, rest)).encode()

    def restore(self, saved: bytes) -> Tree:
        """The saved state."""
        try:
            options, nodes, spans, rest = literal_eval(saved.decode())
            tree = Tree({i: Node(*map(_rich, node)) for i, node in nodes.items()}, **rest)
            tree.spans = [TokenSpan(*span) for span in spans]
        except (ValueError, SyntaxError, TypeError) as error:
            raise DecodeError("the saved state is damaged, or of the native search") from error
        if options != tuple(asdict(self.options).values()):
            raise DecodeError("the saved state is of a beam with other options")
        return tree

    def _candidates(self, tree: Tree, y: list[float]) -> list[Candidate]:
        """First the active strings, unchanged, then those with one more label."""
        nodes, options, found = tree.nodes, self.options, list[Candidate]()
        for i in tree.active:
            node = nodes[i]
            p_nonblank = node.p_nonblank * y[node.label] if node.label else 0.0
            incoming = 0.0
            if node.parent >= 0 and nodes[node.parent].active:
                incoming = _incoming(nodes[node.parent], node.label, y)
                p_nonblank += incoming
            found.append(Candidate(i, node.parent, node.label, p_nonblank, node.total * y[0], incoming))
        deepest = nodes[tree.root].depth + 2 * options.depth + 2 * options.prune_interval
        labels = [k for k in range(1, options.classes) if y[k] >= options.floor]
        labels.sort(key=lambda k: -y[k])
        serial = tree.serial
        for i in tree.active if y[0] <= options.blank_skip else []:
            node = nodes[i]
            for k in labels if node.depth < deepest else []:
                child = node.children.get(k)
                if child is not None and nodes[child].active:
                    continue  # already counted above
                incoming = _incoming(node, k, y)
                if incoming >= TINY:
                    found.append(Candidate(serial if child is None else child, i, k, incoming, 0.0, incoming))
                    serial += child is None
        return [candidate for candidate in found if candidate.p_nonblank + candidate.p_blank >= TINY]

    def _select(self, candidates: list[Candidate]) -> list[Candidate]:
        if not candidates:
            raise DecodeError("the language model leaves no string possible")
        kept = sorted(candidates, key=lambda c: (-(c.p_nonblank + c.p_blank), c.serial))[: self.options.width]
        serials = {candidate.serial for candidate in kept}
        return [candidate for candidate in candidates if candidate.serial in serials]

    def _commit(self, tree: Tree, y: list[float], kept: list[Candidate]) -> None:
        before, tree.active, fresh = tree.active, [], list[int]()
        for candidate in kept:
            i = candidate.serial
            if i not in tree.nodes:
                i, tree.serial = tree.serial, tree.serial + 1
                parent = tree.nodes[candidate.parent]
                parent.children[candidate.label] = i
                tree.nodes[i] = Node(candidate.label, candidate.parent, parent.depth + 1, weights=parent.weights)
                fresh.append(i)
            node = tree.nodes[i]
            if not node.active:
                node.entry = 0.0
            node.active, node.p_nonblank, node.p_blank = True, candidate.p_nonblank, candidate.p_blank
            if candidate.incoming > node.entry:
                node.entry, node.prob = candidate.incoming, y[node.label]
                node.start = node.last = tree.frame
            elif node.p_nonblank >= node.p_blank:
                node.last, node.prob = tree.frame, max(node.prob, y[node.label])
            tree.active.append(i)
        tree.best = min(tree.active, key=lambda i: (-tree.nodes[i].total, i))
        exponent = math.frexp(tree.nodes[tree.best].total)[1] - 1
        scale = math.ldexp(1.0, -exponent)
        tree.exponent += exponent
        for node in map(tree.nodes.__getitem__, tree.active):
            node.p_nonblank *= scale
            node.p_blank *= scale
            node.entry *= scale
        self._drop(tree, set(before) - set(tree.active))
        if self.scorer is not None and fresh:
            parents = [tree.nodes[tree.nodes[i].parent].memory for i in fresh]
            memories, ln = self.scorer.step(parents, [tree.nodes[i].label for i in fresh])
            for i, memory, row in zip(fresh, memories, ln, strict=True):
                tree.nodes[i].memory, tree.nodes[i].weights = memory, self._weights(row)

    def _weights(self, ln: NDArray[np.float32]) -> list[float]:
        return [math.exp(float(value) + self.options.insertion_bonus) for value in ln]

    def _drop(self, tree: Tree, dropped: set[int]) -> None:
        """Deactivate strings, and delete those without children, upwards."""
        for i in dropped:
            tree.nodes[i].active, tree.nodes[i].p_nonblank, tree.nodes[i].p_blank = False, 0.0, 0.0
        for i in dropped:
            while i != tree.root and i in tree.nodes and not tree.nodes[i].active and not tree.nodes[i].children:
                node = tree.nodes.pop(i)
                i = node.parent
                del tree.nodes[i].children[node.label]

    def _after_frame(self, tree: Tree, events: list[SearchEvent]) -> None:
        options, best = self.options, tree.nodes[tree.best]
        deep = best.depth - tree.nodes[tree.root].depth
        due = tree.frame % options.prune_interval == 0
        if deep > options.depth + options.prune_interval or (due and deep > options.depth):
            self._move_root(tree, path(tree, tree.best)[-options.depth - 1])
            self._cut_long(tree, events)
        holds = best.p_blank >= BLANK_HOLDS * best.total
        tree.held_frames = 0 if not holds else tree.held_frames + 1 if tree.held == tree.best else 1
        tree.held = tree.best
        if tree.held_frames >= options.endpoint and (tree.spans or tree.best != tree.root):
            self._finish(tree, events)
        elif tree.frame % options.show_interval == 0 and tree.shown != (tree.best, tree.root):
            tree.shown = tree.best, tree.root
            labels = [span.label for span in tree.spans] + [tree.nodes[i].label for i in path(tree, tree.best)]
            events.append(Changed(tree.frame, len(tree.spans), np.array(labels, np.int64)))

    def _move_root(self, tree: Tree, root: int) -> None:
        """Commit the labels up to `root`, and delete all strings that do not descend from it."""
        if root == tree.root:
            return
        line = path(tree, root)
        for node in map(tree.nodes.__getitem__, line):
            tree.spans.append(TokenSpan(node.label, node.start, node.last, node.prob))
        kept = [i for i in tree.active if i == root or root in path(tree, i)]
        self._drop(tree, set(tree.active) - set(kept))
        for i in [tree.root, *line[:-1]]:
            del tree.nodes[i]
        tree.nodes[root].parent, tree.root, tree.active = -1, root, kept

    def _finish(self, tree: Tree, events: list[SearchEvent]) -> None:
        self._move_root(tree, tree.best)
        if tree.spans:
            events.append(Ended(tree.frame, tree.spans))
            tree.spans = []
            tree.shown = tree.best, tree.root

    def _cut_long(self, tree: Tree, events: list[SearchEvent]) -> None:
        """Cut a long utterance at its last committed space, so that memory stays bounded."""
        if not tree.spans or tree.frame - tree.spans[0].start < self.options.longest:
            return
        spaces = [i for i, span in enumerate(tree.spans) if i > 0 and span.label == self.options.space]
        cut, rest = (spaces[-1], spaces[-1] + 1) if spaces else (len(tree.spans), len(tree.spans))
        events.append(Ended(tree.frame, tree.spans[:cut]))
        tree.spans = tree.spans[rest:]
        tree.shown = -1, -1


def path(tree: Tree, i: int) -> list[int]:
    """Nodes from the root (exclusive) to `i`."""
    found = []
    while i != tree.root:
        found.append(i)
        i = tree.nodes[i].parent
    return found[::-1]


def _softmax(x: list[float]) -> list[float]:
    """Softmax that adds in order, unlike `sum` in some versions of Python."""
    most, total = max(x), 0.0
    e = [math.exp(value - most) for value in x]
    for value in e:
        total += value
    return [value / total for value in e]


def _incoming(parent: Node, label: int, y: list[float]) -> float:
    """Probability that a string passes to the string with one more label; a repeated label needs a blank between."""
    return (parent.p_blank if parent.label == label else parent.total) * (parent.weights[label] * y[label])


def _plain(value: Any) -> Any:
    """A value whose `repr` can be parsed."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "type": value.dtype.str}
    if isinstance(value, tuple | list):
        return type(value)(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _rich(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], value["type"])
    return type(value)(map(_rich, value)) if isinstance(value, tuple | list) else value
