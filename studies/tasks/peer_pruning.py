"""Importances of groups of channels by Torch-Pruning, which studies compare with; it is no dependency of the package.

References:
    Fang et al. 2023 (arXiv 2301.12900), https://github.com/VainF/Torch-Pruning.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from fewbit.batches import call_of
from fewbit.inference import inference_mode
from fewbit.prune import Elements, Masks
from fewbit.prune.elements import pruned_count
from fewbit.train import Objective

PEERS = {"GroupMagnitude": "group magnitude", "GroupTaylor": "group Taylor"}
"""Its third one, of squared gradients, is left out: in 1.6.1 `accumulate_grad` keeps the last example only."""


@dataclass(frozen=True)
class PeerImportance:
    """Prune the channels that an importance of Torch-Pruning says are least, as many of each layer as ours would be.

    Args:
        kind: one of `PEERS`.
        batches: what gradients are taken on.
        objective: the loss.
    """

    kind: str
    batches: Iterable[Any]
    objective: Objective

    def __call__(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> Masks:
        peer: Any = import_module("torch_pruning")
        copy = deepcopy(model)
        measure = getattr(peer.importance, f"{self.kind}Importance")()
        example = self._learn(copy)
        graph = peer.DependencyGraph().build_dependency(copy, example_inputs=example)
        masks: Masks = {}
        for each in elements:
            layer = copy.get_submodule(each.name)
            group = graph.get_pruning_group(layer, peer.prune_conv_out_channels, list(range(each.size)))
            values: Tensor = measure(group)
            mask = torch.ones(each.size, dtype=torch.bool)
            mask[values.argsort(stable=True)[: pruned_count(each, ratio)]] = False
            masks[each.name] = mask
        return masks

    def _learn(self, model: nn.Module) -> Tensor:
        """Leave the gradients of the loss in the network; a batch of one."""
        model.zero_grad()
        example = None
        with inference_mode(model, no_grad=False), torch.enable_grad():
            for batch in self.batches:
                (example, *_), _ = call_of(model, batch)
                self.objective(model, batch, 1.0).backward()  # type: ignore[no-untyped-call]
        assert isinstance(example, Tensor)
        return example[:1].clone()
