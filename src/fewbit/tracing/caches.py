"""Key/value caches of `transformers`: a traced network gives none, because what packs it keeps its own state."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def without_caches(model: nn.Module) -> Iterator[None]:
    """Inside the block, the networks of `transformers` in `model` return no cache; afterwards as before.

    A cache is an object of a class of its own among the results, which no graph of tensors can hold.

    Examples:
        >>> from types import SimpleNamespace
        >>> network = nn.Linear(2, 1)
        >>> network.config = SimpleNamespace(use_cache=True)
        >>> with without_caches(network):
        ...     network.config.use_cache
        False
        >>> network.config.use_cache
        True
    """
    settings = [getattr(module, "config", None) for module in model.modules()]
    caching = [each for each in settings if getattr(each, "use_cache", False) is True]
    try:
        for each in caching:
            each.use_cache = False  # type: ignore[union-attr]
        yield
    finally:
        for each in caching:
            each.use_cache = True  # type: ignore[union-attr]
