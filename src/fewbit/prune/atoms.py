"""Atoms: the smallest parts of a network that are removed together, as sets that grow while its graph is read.

Each output channel of a layer starts as an atom of its own. Where the graph ties two of them, by a sum, a product or a
shared weight, they become one. An atom that cannot be removed is *fixed*, with the reason.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

NOBODY, FIXED = 0, 1
"""The atom of constants, which bind nothing, and the one of all that is given, such as the input of a network."""

Labels = Tensor
"""Atoms in the shape of a tensor, as float64, so that every operator that moves numbers moves them too."""


class Atoms:
    """A union-find structure over atoms.

    Examples:
        >>> atoms = Atoms()
        >>> a, b, c = atoms.fresh(3).long().tolist()
        >>> atoms.join(a, b)
        >>> atoms.fix(b, "it is a result")
        >>> atoms.reason(a), atoms.reason(c)
        ('it is a result', None)
    """

    def __init__(self) -> None:
        self._parent = [NOBODY, FIXED]
        self._reason: dict[int, str] = {FIXED: "it is tied to the input of the network"}

    def fresh(self, count: int) -> Labels:
        """New atoms, ``(count,)``."""
        first = len(self._parent)
        self._parent += range(first, first + count)
        return torch.arange(first, first + count, dtype=torch.float64)

    def find(self, atom: int) -> int:
        """The one atom that stands for all that are joined with `atom`."""
        root = atom
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[atom] != root:
            self._parent[atom], atom = root, self._parent[atom]
        return root

    def join(self, a: int, b: int) -> None:
        """Make two atoms one; if one of them is fixed, both are."""
        if NOBODY in (a, b):
            return
        first, second = sorted((self.find(a), self.find(b)))
        if first == second:
            return
        self._parent[second] = first
        reason = self._reason.pop(second, None)
        if reason is not None:
            self._reason.setdefault(first, reason)

    def join_all(self, a: Labels, b: Labels) -> None:
        """Join the atoms of two tensors of one shape, number by number."""
        differ = (a != b) & (a != NOBODY) & (b != NOBODY)
        if differ.any():
            for x, y in set(zip(a[differ].long().tolist(), b[differ].long().tolist(), strict=True)):
                self.join(x, y)

    def fix(self, atom: int, reason: str) -> None:
        """Say that an atom cannot be removed; the first reason is kept."""
        if atom != NOBODY:
            self._reason.setdefault(self.find(atom), reason)

    def fix_all(self, labels: Labels | Iterable[int], reason: str) -> None:
        """`fix` for all atoms of a tensor."""
        atoms = torch.unique(labels.long()).tolist() if isinstance(labels, Tensor) else labels
        for atom in atoms:
            self.fix(atom, reason)

    def reason(self, atom: int) -> str | None:
        """Why an atom cannot be removed, or ``None`` if it can."""
        return self._reason.get(self.find(atom))

    def merge(self, labels: Labels, dim: int) -> Labels:
        """The one atom of each index along `dim`, ``(size,)``: what lies at one index is removed together."""
        lines = labels.movedim(dim, 0)[..., None].flatten(1)
        largest = lines.amax(1) if lines.shape[1] else lines.new_zeros(len(lines))
        self.join_all(lines, largest[:, None].expand_as(lines))
        return largest
