"""Imported first by every package of the torch side: one clear sentence where torch is not installed."""

from importlib.util import find_spec

from fewbit.errors import MissingExtraError

_missing = [name for name in ("torch", "accelerate", "tqdm") if find_spec(name) is None]
if _missing:
    raise MissingExtraError.for_extra(
        "train", f"training and compressing need {' and '.join(_missing)}", "running packed networks does not"
    )
