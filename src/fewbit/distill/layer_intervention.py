"""Layer intervention: teacher intervention for networks of any layers, recurrent ones above all.

At the start of a training, the output of upper layers is replaced by the teacher's before the next layer reads it, so
that each of these learns from a clean input; the state of a recurrent layer stays the student's own::

    L = soft + sum_l MSE(h_l)        h_l: what layer l of the student gives, before it is replaced

It begins with the upper half of the layers, and the lowest one among them is left to itself first.

References:
    Kim, Shim, Park, Sung, Choi 2023 (arXiv 2302.11812), of which this is the form without attention.
"""

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from fewbit.batches import first_tensor
from fewbit.distill.logits import LogitKD
from fewbit.distill.signal_hooks import Place, inner_signals
from fewbit.distill.teacher_intervention import CLOSE, SoftLoss
from fewbit.errors import ArgumentError
from fewbit.inference import inference_mode
from fewbit.nn import Layer
from fewbit.settings import listed, number, text
from fewbit.train import HardLoss, outputs_of


class LayerIntervention:
    """Distillation of what layers give, with the teacher's outputs in place of the student's at first.

    The student is changed only while its loss is computed.

    Args:
        teacher: a network like the student; it runs in eval mode without gradient and stays as it is.
        share: of the training that has intervention; 0 is the same loss without.
        weight: of the squared differences of layers.
        layers: patterns of names of layers; default all recurrent ones (of `fewbit.nn` and `torch.nn`).
        soft: loss of the scores; default ``LogitKD(teacher, temperature=1, weight=1, hard=hard)``.
        hard: for that default, it says which positions count; default `CrossEntropy`.

    Raises:
        ArgumentError: a setting is out of range, or, when used, the teacher has no such layers or the student others.

    Examples:
        >>> from fewbit.models import CharLM
        >>> teacher, student = CharLM(9, 8, layers=3), CharLM(9, 8, layers=3)
        >>> objective = LayerIntervention(teacher, share=0.5)
        >>> [objective.replaced(progress) for progress in (0.0, 0.25, 0.5)]
        [('rnn1', 'rnn2'), ('rnn2',), ()]
        >>> x = torch.randint(0, 9, (4, 13))
        >>> objective(student, (x[:, :-1], x[:, 1:]), progress=0.0).requires_grad
        True
    """

    def __init__(
        self,
        teacher: nn.Module,
        share: Annotated[float, number(0, 1)] = 0.04,
        weight: Annotated[float, number()] = 1.0,
        layers: Annotated[Sequence[str], listed(text)] = (),
        soft: SoftLoss | None = None,
        hard: HardLoss | None = None,
    ) -> None:
        if not 0 <= share <= 1 or weight < 0:
            raise ArgumentError(f"LayerIntervention: share={share}, weight={weight}; wanted 0..1, and at least 0")
        self.teacher, self.share, self.weight, self.layers = teacher, share, weight, tuple(layers)
        if soft is not None and not hasattr(soft, "compare"):
            raise ArgumentError(
                f"LayerIntervention: {type(soft).__name__} compares no scores; use LogitKD or TokenScaledKD"
            )
        self.soft: SoftLoss = soft if soft is not None else LogitKD(teacher, 1.0, 1.0, hard)

    @property
    def names(self) -> tuple[str, ...]:
        """The layers, in order."""
        return tuple(_layers(self.teacher, self.layers))

    def replaced(self, progress: float) -> tuple[str, ...]:
        """Names of the layers whose output is the teacher's at this progress: fewer and fewer of the upper half."""
        if progress + CLOSE >= self.share:
            return ()
        names = self.names
        half = (len(names) + 1) // 2
        many = math.ceil(half * (1 - progress / self.share) - CLOSE)
        return names[len(names) - many :]

    def __call__(self, model: nn.Module, batch: Any, progress: float) -> Tensor:
        teacher = self.teacher.to(first_tensor(batch).device)
        theirs, mine = (_layers(network, self.layers) for network in (teacher, model))
        if list(mine) != list(theirs):
            raise ArgumentError(
                f"LayerIntervention: the teacher has layers {', '.join(theirs)}, the student {', '.join(mine)}"
            )
        with inference_mode(teacher), inner_signals({name: Place(theirs[name]) for name in theirs}) as taught:
            target = outputs_of(teacher, batch)
        given = {name: taught[name] for name in self.replaced(progress)}
        with inner_signals({name: Place(mine[name]) for name in mine}, given) as own:
            scores = outputs_of(model, batch)
        terms = [nn.functional.mse_loss(own[name], taught[name]) for name in mine]
        return self.soft.compare(scores, target, batch, progress) + self.weight * torch.stack(terms).sum()


def _layers(model: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Module]:
    """Layers by name, in order: those with such names, or all recurrent ones that lie in no other."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        recurrent = isinstance(module, nn.RNNBase) or (isinstance(module, Layer) and module.recurrent)
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if any(fnmatchcase(name, pattern) for pattern in patterns) if patterns else recurrent and not inside:
            found[name] = module
    if not found:
        wanted = f"named like {', '.join(patterns)}" if patterns else "that is recurrent"
        raise ArgumentError(f"LayerIntervention: {type(model).__name__} has no layer {wanted}")
    return found
