"""The structure of a network: which channels and units belong together, and what cannot be pruned and why.

It is read from the graph that `fewbit.pack` uses, so that sums with shortcuts, joined tensors, flattening, depthwise
and grouped convolutions, norms and recurrent layers need no description by hand.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from fewbit.batches import Call, call_of
from fewbit.errors import LoweringError, PruningError
from fewbit.inference import inference_mode
from fewbit.prune import rules_attention, rules_elementwise, rules_layers, rules_products
from fewbit.prune.atoms import NOBODY
from fewbit.prune.elements import Elements, Owned
from fewbit.prune.walk import Fold, Walk

_RULES = (rules_attention, rules_elementwise, rules_layers, rules_products)
"""They enter themselves into the table when they are imported."""


@dataclass(frozen=True)
class Group:
    """Channels, units or heads that are pruned by one mask.

    elements: what a mask is chosen for. cuts: for each parameter or buffer and each dimension of it that gets smaller,
    the element of each index, or -1. members: the layers, in words. home: path of the module in which heads meet.

    Examples:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
        >>> group = structure_of(net, torch.zeros(1, 4)).groups["0"]
        >>> group.members, {path: list(dims) for path, dims in group.cuts.items()}
        (('0 out', '2 in'), {'0.weight': [0], '0.bias': [0], '2.weight': [1]})
    """

    elements: Elements
    cuts: Mapping[str, Mapping[int, Tensor]]
    members: tuple[str, ...]
    home: str | None = None

    @property
    def name(self) -> str:
        """Path of the layer that makes the channels."""
        return self.elements.name

    def __str__(self) -> str:
        return f"{self.name}: {self.elements.size} {self.elements.kind}, each goes with {', '.join(self.members)}"


@dataclass(frozen=True)
class Structure:
    """What can be pruned in a network, and what cannot.

    groups: by name. refused: layers whose outputs all stay, with the reason. folds: products that need a constant in
    their bias when what they read is pruned. results: which of the tensors that the network gives are no states.

    Examples:
        >>> import torch
        >>> found = structure_of(nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 2)), torch.zeros(1, 4))
        >>> len(found.groups), found.refused["0"]
        (0, '1 (LayerNorm) takes the mean over channels')
    """

    groups: Mapping[str, Group]
    refused: Mapping[str, str]
    folds: tuple[tuple[Fold, Mapping[int, tuple[str, int]]], ...] = ()
    results: tuple[int, ...] = (0,)

    @property
    def elements(self) -> list[Elements]:
        """Of all groups."""
        return [group.elements for group in self.groups.values()]

    def __str__(self) -> str:
        lines = [str(group) for group in self.groups.values()]
        return "\n".join([*lines, *(f"{name}: kept, {reason}" for name, reason in self.refused.items())])


def structure_of(model: nn.Module, example: Any) -> Structure:
    """Find what belongs together in a network.

    Args:
        model: any network that `torch.export` can follow; recurrent layers of torch and of fewbit are known.
        example: a batch as the network takes it (`fewbit.batches`), of which one row is looked at.

    Raises:
        PruningError: the network cannot be traced.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
        >>> print(structure_of(net, torch.zeros(1, 4)))
        0: 6 channels, each goes with 0 out, 2 in
        2: kept, it is a result of the network
    """
    call = _one_row(call_of(model, example))
    try:
        with inference_mode(model, no_grad=False):
            walk = Walk(model, call)
    except LoweringError as error:
        raise PruningError(f"the structure of the network cannot be read: {error}") from error
    return _Reader(walk).structure()


def _one_row(call: Call) -> Call:
    leaves = [leaf for leaf in _pytree.tree_leaves(call) if isinstance(leaf, Tensor)]
    rows = {leaf.shape[0] for leaf in leaves if leaf.dim()}
    if len(rows) != 1:
        return call
    return _pytree.tree_map(lambda leaf: leaf[:1] if isinstance(leaf, Tensor) and leaf.dim() else leaf, call)  # type: ignore[no-any-return]


def _module_of(path: str) -> str:
    """The module that a parameter belongs to, behind parametrizations."""
    return path.partition(".parametrizations.")[0] if ".parametrizations." in path else path.rpartition(".")[0]


class _Reader:
    """Groups of atoms from what a walk has found."""

    def __init__(self, walk: Walk) -> None:
        self.walk, self.atoms = walk, walk.atoms
        self.lines: list[tuple[str, str, int, Tensor]] = []
        for path in walk.crossed:
            for entries in (walk.made[path], walk.read[path]):
                self.atoms.fix_all(entries, f"its weight is that of {_module_of(path)} too")
        for table, marked in (("made", walk.made), ("read", walk.read)):
            for path, flat in marked.items():
                if (flat != NOBODY).any():
                    self._find_line(table, path, self._roots(flat))
        # Only now, when all atoms are joined.
        self.heads = {self.atoms.find(atom): where for atom, where in walk.heads.items()}

    def structure(self) -> Structure:
        """All groups, and the layers that have none."""
        parts: dict[int, dict[tuple[str, str, int], list[int]]] = defaultdict(dict)
        for table, path, dim, roots in self.lines:
            for index, root in enumerate(roots.tolist()):
                if root != NOBODY and self.atoms.reason(root) is None:
                    parts[root].setdefault((table, path, dim), []).append(index)
        alike: dict[Any, list[int]] = defaultdict(list)
        for root, where in parts.items():
            if any(table == "made" for table, _, _ in where):
                alike[tuple((key, len(index)) for key, index in where.items())].append(root)
        groups: dict[str, Group] = {}
        element: dict[int, tuple[str, int]] = {}
        for members in alike.values():
            group = self._group(members, parts, set(groups))
            groups[group.name] = group
            element |= {root: (group.name, place) for place, root in enumerate(members)}
        folds = []
        for fold in self.walk.folds:
            read = {i: self.atoms.find(int(atom)) for i, atom in enumerate(fold.atoms.tolist())}
            folds.append((fold, {i: element[root] for i, root in read.items() if root in element}))
        return Structure(groups, self._refused(element), tuple(folds), tuple(self.walk.results))

    def _roots(self, flat: Tensor) -> Tensor:
        atoms, place = torch.unique(flat.long(), return_inverse=True)
        return torch.tensor([self.atoms.find(atom) for atom in atoms.tolist()])[place]

    def _find_line(self, table: str, path: str, roots: Tensor) -> None:
        """The dimension of a parameter along which its atoms lie, one to an index."""
        shaped = roots.view(self.walk.tensors[path].shape)
        best: tuple[int, int, Tensor] | None = None
        for dim in range(shaped.dim()):
            lines = shaped.movedim(dim, 0)[..., None].flatten(1)
            whole = torch.where((lines == lines[:, :1]).all(1), lines[:, 0], NOBODY)
            count = len(torch.unique(whole[whole != NOBODY]))
            if best is None or count > best[0]:
                best = count, dim, whole
        if best is None:
            return
        _, dim, whole = best
        covered = whole.view(*[1] * dim, -1, *[1] * (shaped.dim() - dim - 1)).expand(shaped.shape)
        self.atoms.fix_all(shaped[covered != shaped].double(), f"{path} has its numbers in no whole row or column")
        self.lines.append((table, path, dim, whole))

    def _group(self, roots: list[int], parts: Mapping[int, Any], taken: set[str]) -> Group:
        cuts: dict[str, dict[int, Tensor]] = {}
        made: dict[str, Tensor] = {}
        words: dict[str, list[str]] = {}
        for table, path, dim in parts[roots[0]]:
            words.setdefault(_module_of(path), [])
            if self.walk.tensors[path].dim() > 1:
                count = len(parts[roots[0]][table, path, dim])
                side = ("out" if table == "made" else "in") + (f" x{count}" if count > 1 else "")
                words[_module_of(path)] += [side] if side not in words[_module_of(path)] else []
            tensor = self.walk.tensors[path]
            index = cuts.setdefault(path, {}).setdefault(dim, torch.full((tensor.shape[dim],), -1))
            for place, root in enumerate(roots):
                index[parts[root][table, path, dim]] = place
            if table == "made" and isinstance(tensor, nn.Parameter):
                made[path] = index.view(*[1] * dim, -1, *[1] * (tensor.dim() - dim - 1)).expand(tensor.shape)
        owned = tuple(Owned(*home_of(path), owners) for path, owners in made.items())
        weights = [path for path in made if self.walk.tensors[path].dim() > 1 and "weight" in path]
        home = self.heads.get(roots[0])
        first = _module_of((weights or list(made))[0]) if home is None else home
        name, count = first or "the network", 2
        while name in taken:
            name, count = f"{first}#{count}", count + 1
        kind = "units" if any(self._is_recurrent(_module_of(path)) for path in made) else "channels"
        kind = kind if home is None else "heads"
        members = tuple(f"{layer or 'the network'} {' and '.join(sides)}".strip() for layer, sides in words.items())
        return Group(Elements(name, kind, len(roots), owned), cuts, members, home)

    def _is_recurrent(self, path: str) -> bool:
        """Whether a layer, or the one around it, works on what earlier frames left behind."""
        around = [self.walk.model.get_submodule(each) for each in (path, path.rpartition(".")[0])]
        return any(getattr(module, "recurrent", False) or isinstance(module, nn.RNNBase) for module in around)

    def _refused(self, element: Mapping[int, Any]) -> dict[str, str]:
        """Layers whose outputs are all fixed."""
        found: dict[str, str] = {}
        for table, path, _, roots in self.lines:
            module = _module_of(path)
            if table == "made" and self.walk.tensors[path].dim() > 1 and not any(r in element for r in roots.tolist()):
                reasons = [self.atoms.reason(root) for root in roots.tolist() if root != NOBODY]
                reason = next((each for each in reasons if each), None)
                if reason:
                    found.setdefault(module or "the network", reason)
        return found


def home_of(path: str) -> tuple[str, str]:
    """Module and own name of a parameter by its path."""
    module, parametrized, rest = path.partition(".parametrizations.")
    if parametrized:
        return module, rest.rpartition(".")[0]
    if path.startswith("parametrizations."):
        return "", path.split(".")[1]
    module, _, name = path.rpartition(".")
    return module, name
