"""The probability, frame by frame, that the text so far ends in a word: sums over all CTC paths.

The nodes of all words lie in flat arrays. A word has an opening node, its letters and, if the alphabet has a space, a
closing node. Each node has the probability of the paths whose last frame is its label, and of those in blanks after it.
Given the sound, frames are independent of each other, so all sums below are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewbit.text import BLANK

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of a list of words.

    Args:
        label: class of each node, ``(nodes,)``; the opening ones have -1.
        opening, last, final: places of the opening nodes, the last letters, and the nodes in which words end.
        changed: 1 where a label differs from that of the node before, ``(nodes - 1,)``.
        space: class of the space, or ``None`` if words have no boundaries.
    """

    label: Integers
    opening: Integers
    last: Integers
    final: Integers
    changed: Floats
    space: int | None

    @staticmethod
    def build(words: Sequence[tuple[int, ...]], space: int | None) -> "Nodes":
        """The nodes of words, each a tuple of classes."""
        closing = () if space is None else (space,)
        spelled = [(-1, *word, *closing) for word in words]
        ends = np.cumsum([len(word) for word in spelled], dtype=np.int64)
        label = np.array([node for word in spelled for node in word], np.int64)
        opening = ends - np.array([len(word) for word in spelled], np.int64)
        return Nodes(label, opening, ends - 1 - len(closing), ends - 1, (np.diff(label) != 0).astype(np.float64), space)


@dataclass(frozen=True, eq=False)
class Paths:
    """The probabilities after some frames; never changed in place.

    Args:
        label, blank: probability of each node in its label and in blanks after it, ``(nodes,)``.
        label_span, blank_span: first frame and frame after the last letter of the word on the heaviest of these paths,
            ``(2, nodes)``.
        silent: probability that a word was followed by silence, ``(words,)``.
        ended: probabilities of the last letters in the last frames, as many as make a silence, oldest first.
        quiet: blank and space in as many frames, ``(frames, 2)``.
        edge: probability of a boundary, and of a boundary followed by blanks.
        frame: frames seen.
    """

    label: Floats
    blank: Floats
    label_span: Integers
    blank_span: Integers
    silent: Floats
    ended: Floats
    quiet: Floats
    edge: tuple[float, float]
    frame: int

    @staticmethod
    def start(nodes: Nodes, silence: int) -> "Paths":
        """The state before the first frame. The start of a stream is a boundary; a silence has `silence` frames."""
        size, words = len(nodes.label), len(nodes.last)
        blank = np.zeros(size)
        blank[nodes.opening] = 1.0
        span = np.zeros((2, size), np.int64)
        before = np.tile([1.0, 0.0], (silence, 1))
        return Paths(
            np.zeros(size), blank, span, span, np.zeros(words), np.zeros((silence, words)), before, (0.0, 1.0), 0
        )


@dataclass(frozen=True, eq=False)
class Heard:
    """For each frame and word: the probability that the text ends in it, and first frame and end, ``(2, ...)``."""

    probability: Floats
    span: Integers


def follow(nodes: Nodes, paths: Paths, probs: Floats) -> tuple[Heard, Paths]:
    """What ``probs (frames, classes)`` make of the words, and what is known after them.

    With ``y`` the probabilities of a frame, for a node with label ``c`` after one with label ``b``:

        label(t) = y(c) * (label(t-1) + blank_before(t-1) + [c != b] * label_before(t-1))
        blank(t) = y(blank) * (label(t-1) + blank(t-1))

    The opening node is the boundary that all words share: a space, or a silence, or the start of the stream. A word is
    heard in its closing space, or in silence after its last letter. Without a space a word may begin anywhere, and is
    heard from its last letter on until a silence has passed, so that it can be heard again.
    """
    frames, words = len(probs), len(nodes.last)
    heard = Heard(np.zeros((frames, words)), np.zeros((2, frames, words), np.int64))
    label, blank, label_span, blank_span = paths.label, paths.blank, paths.label_span, paths.blank_span
    silent, ended, (edge, edge_blank) = paths.silent, paths.ended, paths.edge
    silence = len(paths.quiet)
    space_probs = probs[:, nodes.space] if nodes.space is not None else np.zeros(frames)
    quiet = np.concatenate([paths.quiet, np.stack([probs[:, BLANK], space_probs], axis=1)])
    all_blank = np.ones(frames)  # of the last `silence` frames
    for back in range(1, silence + 1):
        all_blank *= quiet[back : back + frames, 0]
    fresh_silence = np.maximum(1 - quiet[:frames].sum(axis=1), 0.0) * all_blank  # a letter, then nothing but blanks
    y_labels = probs[:, nodes.label]
    ended = np.concatenate([ended, np.zeros((frames, words))])
    for i in range(frames):
        y, y_blank = y_labels[i], float(probs[i, BLANK])
        stay, after_blank, after_label = label[1:], blank[:-1], label[:-1] * nodes.changed
        best, span = stay, label_span[:, 1:]
        span = np.where(after_blank > best, blank_span[:, :-1], span)
        span = np.where(after_label > np.maximum(best, after_blank), label_span[:, :-1], span)
        new_blank = y_blank * (label + blank)
        blank_span = np.where(label > blank, label_span, blank_span)
        new_label = np.empty_like(label)
        new_label[1:] = y[1:] * (stay + after_blank + after_label)
        label_span = np.concatenate([label_span[:, :1], span], axis=1)
        label_span[1, nodes.last] = paths.frame + i + 1
        label, blank = new_label, new_blank
        silent = y_blank * silent + ended[i] * all_blank[i]
        ended[silence + i] = label[nodes.last]
        if nodes.space is not None:
            edge, edge_blank = float(space_probs[i]), y_blank * (edge + edge_blank) + float(fresh_silence[i])
            label[nodes.opening], blank[nodes.opening] = edge, edge_blank
        else:  # any path that is not in the first letter may go to it
            label[nodes.opening], blank[nodes.opening] = 0.0, 1 - label[nodes.opening + 1]
        label_span[0, nodes.opening] = blank_span[0, nodes.opening] = paths.frame + i + 1
        _hear(heard, i, nodes, label, blank, silent, label_span, blank_span)
    state = Paths(
        label,
        blank,
        label_span,
        blank_span,
        silent,
        ended[frames:],
        quiet[frames:],
        (edge, edge_blank),
        paths.frame + frames,
    )
    return heard, state


def _hear(
    heard: Heard,
    frame: int,
    nodes: Nodes,
    label: Floats,
    blank: Floats,
    silent: Floats,
    label_span: Integers,
    blank_span: Integers,
) -> None:
    in_label, in_blank = label[nodes.final], blank[nodes.final]
    span = np.where(in_label > in_blank, label_span[:, nodes.final], blank_span[:, nodes.final])
    if nodes.space is None:
        heard.probability[frame] = np.maximum(in_label + in_blank - silent, 0.0)
    else:
        heard.probability[frame] = in_label + in_blank + silent
        span = np.where(silent > in_label + in_blank, blank_span[:, nodes.last], span)
    heard.span[:, frame] = span


def at_the_end(nodes: Nodes, paths: Paths) -> Heard:
    """The probability of the words if the stream ends here: its end is a boundary."""
    heard = Heard(np.zeros((1, len(nodes.last))), np.zeros((2, 1, len(nodes.last)), np.int64))
    _hear(heard, 0, nodes, paths.label, paths.blank, paths.silent, paths.label_span, paths.blank_span)
    if nodes.space is None:
        return heard
    in_label, in_blank = paths.label[nodes.last], paths.blank[nodes.last]
    closed = paths.label[nodes.final] + paths.blank[nodes.final]
    span = np.where(in_label > in_blank, paths.label_span[:, nodes.last], paths.blank_span[:, nodes.last])
    span = np.where(closed > in_label + in_blank, heard.span[:, 0], span)
    return Heard((in_label + in_blank + closed)[None], span[:, None])


def regroup(old: Nodes, paths: Paths, new: Nodes, origin: Sequence[int]) -> Paths:
    """The state for another list: word ``i`` continues word ``origin[i]`` of the old list, or is new if that is -1."""
    fresh = Paths.start(new, len(paths.quiet))
    label, blank, silent, ended = fresh.label, fresh.blank, fresh.silent, fresh.ended
    label_span, blank_span = fresh.label_span.copy(), fresh.blank_span.copy()  # so far both are one array
    edge, edge_blank = paths.edge
    label[new.opening], blank[new.opening] = edge, edge_blank
    label_span[:, new.opening] = blank_span[:, new.opening] = paths.frame
    for i, j in enumerate(origin):
        if j < 0:
            continue
        to = slice(new.opening[i], new.final[i] + 1)
        of = slice(old.opening[j], old.final[j] + 1)
        label[to], blank[to] = paths.label[of], paths.blank[of]
        label_span[:, to], blank_span[:, to] = paths.label_span[:, of], paths.blank_span[:, of]
        silent[i], ended[:, i] = paths.silent[j], paths.ended[:, j]
    return Paths(label, blank, label_span, blank_span, silent, ended, paths.quiet, paths.edge, paths.frame)
