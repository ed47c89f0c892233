"""Recipes as TOML files: the passes of a compression in order, as plain values that can be stored and run again.

    [[pass]]
    kind = "Quantize"
    weights = { "head" = "int8", "*" = "ternary+adaptive" }
    activations = "int8"

    [[pass]]
    kind = "Finetune"
    epochs = 32
    objective = { kind = "LogitKD", temperature = 2.0, weight = { from = 1.0, to = 0.0 } }

What cannot be written in a file (batches, the objective of the task, the float network as the teacher) is given when
the passes are made. A file is checked whole when it is read, so that no fault shows after hours of training.
"""

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fewbit.errors import DataError, FewbitError
from fewbit.passes.recipe import Pass
from fewbit.passes.recipe_kinds import PASS_KEYS, TRAININGS, Given, make_passes, try_optimizer
from fewbit.prune import MaskScore
from fewbit.settings import kinded, refuse
from fewbit.train import CrossEntropy, Objective


@dataclass(frozen=True)
class Recipe:
    """Passes as plain values, in order; made by `read_recipe` or `from_dict`, which check them.

    Examples:
        >>> recipe = Recipe.from_dict({"passes": [{"kind": "Quantize", "weights": "ternary"}]})
        >>> print(recipe.to_toml(), end="")
        [[pass]]
        kind = "Quantize"
        weights = "ternary"
        >>> [type(step).__name__ for step in recipe.passes(batches=[], objective=CrossEntropy())]
        ['Quantize']
    """

    steps: tuple[dict[str, Any], ...]

    @classmethod
    def from_dict(cls, values: dict[str, Any], name: str = "recipe") -> "Recipe":
        """The recipe that `to_dict` gave, or one written by hand as ``{"passes": [{"kind": "Quantize", ...}]}``.

        Args:
            values: keys other than "passes" are ignored; a packed file holds its record beside them.
            name: name in error messages, such as that of the file.

        Raises:
            DataError: a key, a kind or a value is not one of a recipe; the message names the pass and the key.
        """
        steps = values.get("passes")
        if not isinstance(steps, list | tuple) or not steps:
            refuse(f"{name}: passes", steps, "one pass at least: [[pass]] with a kind and its settings")
        return cls(tuple(_checked(step, f"{name}: pass {number}") for number, step in enumerate(steps, 1)))

    def passes(
        self,
        *,
        batches: Iterable[Any],
        objective: Objective,
        teacher: nn.Module | None = None,
        calibration: Iterable[Any] | None = None,
        score: MaskScore | None = None,
        seed: int = 0,
        checkpoint: str | Path | None = None,
        progress: bool = True,
    ) -> list[Pass]:
        """The passes, ready for `fewbit.passes.compress`.

        Args:
            batches: to train on.
            objective: the hard objective of the task, used where the recipe names none.
            teacher: the float network, for LogitKD.
            calibration: batches from which the steps of signals are chosen; default `batches`. The first shows pruning
                the shapes of the network.
            score: judges masks in searches (`fewbit.prune.ClassificationScore`), on development data, never test data.
            seed: of all randomness; each pass has its own.
            checkpoint: to resume from and to save to: a file for Finetune, a folder for SQWA. The second training of a
                recipe has ``-2`` in the name, and so on.
            progress: whether progress bars are shown.

        Raises:
            DataError: the recipe has LogitKD, and there is no teacher; or a search of masks, and there is no score.
        """
        made: list[Pass] = []
        signals = batches if calibration is None else calibration
        trainings = 0
        for place, step in enumerate(self.steps):
            file = None
            if checkpoint is not None and step["kind"] in TRAININGS:
                trainings += 1
                file = Path(checkpoint)
                file = file if trainings == 1 else file.with_stem(f"{file.stem}-{trainings}")
            given = Given(batches, objective, teacher, signals, score, seed + place, file, progress)
            made += make_passes(step, given)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; patterns become lists of pairs, so that sorting keys cannot change their order."""
        return {"passes": [_plain(step) for step in self.steps]}

    def to_toml(self) -> str:
        """The text of a file that `read_recipe` reads as this recipe."""
        return "\n".join(
            "[[pass]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in step.items()) for step in self.steps
        )


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe file.

    Raises:
        DataError: the file is not there, is not TOML, or is no recipe; the message names the pass and the key.

    Examples:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp(), "recipe.toml")
        >>> _ = path.write_text('[[pass]]\\nkind = "Finetune"\\nepochs = 3\\n')
        >>> read_recipe(path).steps
        ({'kind': 'Finetune', 'epochs': 3},)
    """
    try:
        values = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: cannot be read as TOML: {error}") from error
    unknown = sorted(set(values) - {"pass"})
    if unknown or not isinstance(values.get("pass"), list):
        raise DataError(
            f"{path}: saw {unknown or sorted(values) or 'nothing'}; wanted tables [[pass]] and nothing else"
        )
    return Recipe.from_dict({"passes": values["pass"]}, str(path))


def _checked(step: Any, where: str) -> dict[str, Any]:
    """One checked pass; it is also made once, because some errors are found by its class only."""
    kind = step.get("kind") if isinstance(step, dict) else None
    where = f"{where} ({kind})" if isinstance(kind, str) else where
    checked: dict[str, Any] = kinded(PASS_KEYS)(step, where)
    if kind == "Quantize" and not checked.keys() & {"weights", "activations"}:
        raise DataError(f"{where}: there is nothing to quantize; wanted weights, activations or both")
    try:
        for made in make_passes(checked, Given([], CrossEntropy(), nn.Identity(), [], _no_score, 0, None, False)):
            try_optimizer(getattr(made, "optimizer", None))
    except (FewbitError, ValueError) as error:
        raise DataError(f"{where}: {error}") from error
    return checked


def _no_score(model: nn.Module) -> float:
    """In the place of a score, where passes are made only to find faults."""
    return 0.0


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _toml(value: Any) -> str:
    """A value in TOML, tables in one line; an objective or optimizer without settings is its name."""
    match value:
        case {"kind": kind} if len(value) == 1:
            return _toml(kind)
        case dict() | ((str(), _), *_) if value:  # patterns; lists of pairs of numbers are lists
            return "{ " + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in dict(value).items()) + " }"
        case tuple():
            return "[" + ", ".join(_toml(item) for item in value) + "]"
        case str():  # JSON escapes all that TOML wants escaped, but for one
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
