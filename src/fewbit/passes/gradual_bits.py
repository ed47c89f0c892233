"""Gradual quantization: the bits fall in stages, and each stage starts from the float masters of the previous one.

References:
    Shin, Boo, Sung 2017 (arXiv 1702.08171), section on gradual quantization. Boo, Sung 2017 (arXiv 1707.03684): the
    same for the non-zeros of sparse ternary codes.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from fewbit.errors import QuantizationError
from fewbit.formats import Format, SparseTernary
from fewbit.passes.finetune import Finetune
from fewbit.passes.quantize import Quantize
from fewbit.passes.recipe import Pass
from fewbit.quant import weight_quantizer
from fewbit.settings import listed, number, spec, text
from fewbit.train import PartOf


def gradual(
    specs: Annotated[Sequence[str], listed(spec(weight_quantizer), 1)],
    finetune: Finetune,
    shares: Annotated[Sequence[float] | None, listed(number(above=True), 1)] = None,
    keep: Annotated[Sequence[str], listed(text)] = (),
) -> list[Pass]:
    """Passes that quantize weights to each spec in turn and retrain after each.

    Args:
        specs: formats of weights with falling numbers of levels, such as ``["int8", "int4", "ternary"]``, or of
            patterns for each weight, such as ``["sparse8,8", "sparse8,4", "sparse8,2"]``.
        finetune: the retraining; its epochs are those of all stages, and its objective sees one progress over all
            stages. The learning rate and the optimizer start anew in each stage.
        shares: share of the epochs for each stage; default: half for the last stage, the rest divided equally.
        keep: as in `Quantize`.

    Raises:
        QuantizationError: levels do not fall, or there are fewer epochs than stages.

    Examples:
        >>> from fewbit.train import CrossEntropy
        >>> passes = gradual(["int8", "int4", "ternary"], Finetune([], CrossEntropy(), epochs=12))
        >>> tuple(step.epochs for step in passes if isinstance(step, Finetune))
        (3, 3, 6)
    """
    choices = [_choices(weight_quantizer(stage).format) for stage in specs]
    if not specs or any(b >= a for a, b in pairwise(choices)):
        raise QuantizationError(f"gradual: levels must fall from stage to stage, not {list(specs)}")
    epochs = _split(finetune.epochs, shares or [*[0.5 / max(1, len(specs) - 1)] * (len(specs) - 1), 0.5])
    if len(epochs) != len(specs) or min(epochs) < 1:
        raise QuantizationError(
            f"gradual: {len(specs)} stages, {finetune.epochs} epochs, shares {shares}; wanted a share and at least one "
            "epoch for each stage"
        )
    passes: list[Pass] = []
    done = 0
    for stage, count in zip(specs, epochs, strict=True):
        part = PartOf(finetune.objective, done / finetune.epochs, (done + count) / finetune.epochs)
        title, checkpoint = f"{finetune.title} {stage}", finetune.checkpoint
        if checkpoint is not None:
            name = stage.replace("/", "-").replace(":", "-")
            checkpoint = Path(checkpoint).with_stem(f"{Path(checkpoint).stem}-{name}")
        passes += [
            Quantize(weights=stage, keep=keep, replace=True),
            replace(finetune, objective=part, epochs=count, title=title, checkpoint=checkpoint),
        ]
        done += count
    return passes


def _choices(format: Format) -> float:
    """Levels that a weight can have, or for groups of n weights the n-th root of their patterns."""
    if isinstance(format, SparseTernary):
        return float(round(format.words ** (1 / format.n), 9))  # of all n, as many as ternary weights
    return len(format.levels())


def _split(epochs: int, shares: Sequence[float]) -> list[int]:
    """Whole epochs by share; the last stage gets the remainder."""
    whole = [max(1, int(epochs * share / sum(shares))) for share in shares[:-1]]
    return [*whole, epochs - sum(whole)]
