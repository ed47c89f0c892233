"""How far the outputs of two networks agree, example by example; of the two, one is the reference.

Every example has its own arrays: the decisions of all examples count alike, one for each place of the axes before the
last (a row of class scores or a vector), or one for each number where a probability of yes is given.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.networks.network import Output

Rows = NDArray[np.float64]
"""``(decisions, classes)`` or ``(vectors, numbers)``."""

NEAR = 0.2
"""A decision is a near-tie where the reference's best two scores differ by no more than this (natural logarithms)."""
FLOOR = 1e-3
"""Probabilities are kept so far from 0 and 1: a Program has a smallest step, and the logarithm of 0 is infinite."""


@dataclass(frozen=True)
class Top:
    """Equal decisions: of all, and of those that are no near-ties (``None`` if there are none)."""

    decisions: int
    near_ties: int
    same: float
    same_clear: float | None


def rows_of(outputs: Sequence[NDArray[Any]], kind: Output) -> Rows:
    """All decisions of all examples below one another; a probability becomes scores of no (0) and yes (its logit)."""
    if kind != "probability":
        return np.concatenate([np.asarray(y, np.float64).reshape(-1, y.shape[-1]) for y in outputs])
    yes = np.clip(np.concatenate([np.asarray(y, np.float64).ravel() for y in outputs]), FLOOR, 1 - FLOOR)
    return np.stack([np.zeros_like(yes), np.log(yes) - np.log1p(-yes)], 1)


def log_softmax(scores: Rows) -> Rows:
    """Logarithms of the probabilities of the classes."""
    shifted = scores - scores.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


def divergence(reference: Rows, other: Rows) -> float:
    """Mean KL(reference || other) of a decision, in nats."""
    p, q = log_softmax(reference), log_softmax(other)
    return float(np.mean((np.exp(p) * (p - q)).sum(1)))


def cross_entropy(scores: Rows, labels: NDArray[np.int64]) -> float:
    """Mean of ``-log p(label)``, in nats."""
    return float(-np.mean(log_softmax(scores)[np.arange(len(labels)), labels]))


def same_top(reference: Rows, other: Rows, near: float = NEAR) -> Top:
    """How often both take the same class, near-ties of the reference apart."""
    ordered = np.sort(reference, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > near
    same = reference.argmax(1) == other.argmax(1)
    return Top(len(same), int((~clear).sum()), float(same.mean()), float(same[clear].mean()) if clear.any() else None)


def cosine_distance(reference: Rows, other: Rows) -> float:
    """Mean of ``1 - cos``; a vector of zeros is at right angles to all others, and equal to another of zeros."""
    lengths = np.linalg.norm(reference, axis=1) * np.linalg.norm(other, axis=1)
    cosines = (reference * other).sum(1) / np.where(lengths > 0, lengths, 1)
    both = ~reference.any(1) & ~other.any(1)
    return max(0.0, float(np.mean(1 - np.where(both, 1, cosines))))


def errors(reference: Rows, other: Rows) -> dict[str, float]:
    """Largest and mean absolute difference, in standard deviations of all numbers of the reference."""
    spread, differences = float(reference.std()), np.abs(reference - other)
    return {"largest_error": float(differences.max()) / spread, "mean_error": float(differences.mean()) / spread}


def agreement(
    reference: Rows,
    other: Rows,
    kind: Output,
    labels: NDArray[np.int64] | None = None,
) -> dict[str, float | None]:
    """All numbers for a pair of networks; `cross_entropy_difference` is that of `other` minus that of the reference."""
    if reference.shape != other.shape:
        raise ValueError(f"outputs of other shapes: {reference.shape} and {other.shape}")
    found: dict[str, float | None] = dict(errors(reference, other))
    if kind == "embedding":
        return {"cosine_distance": cosine_distance(reference, other), **found}
    found = {"kl": divergence(reference, other), **found, **asdict(same_top(reference, other))}
    if labels is not None:
        found["cross_entropy_difference"] = cross_entropy(other, labels) - cross_entropy(reference, labels)
    return found
