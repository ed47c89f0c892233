"""The contract of every language model in a beam search."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fewbit.text import Alphabet

LogProbs = NDArray[np.float32]


class Scorer(Protocol):
    """Gives the probability of each label after a text. A state, which is immutable, stands for a text.

    Log-probabilities are natural, already weighted, in class order; class 0 (the blank) is 0.

    Examples:
        >>> from fewbit.decode import CharNgram
        >>> from fewbit.text import kneser_ney
        >>> scorer: Scorer = CharNgram(kneser_ney(["abab"], order=2), Alphabet(("a", "b")))
        >>> state, ln = scorer.start()
        >>> len(ln)  # the blank, a, b
        3
    """

    @property
    def alphabet(self) -> Alphabet:
        """Meaning of the classes; must be that of the network."""
        ...

    def start(self) -> tuple[Any, LogProbs]:
        """State at the start of a text, and log-probabilities ``(classes,)`` of its first label."""
        ...

    def step(self, states: Sequence[Any], labels: Sequence[int]) -> tuple[list[Any], LogProbs]:
        """States of texts that grow by one label each, and log-probabilities ``(texts, classes)`` of the next one."""
        ...

    def native(self) -> Any:
        """Handle of the same model in the native library (``fewbit_scorer*``), or ``None`` if it has none there."""
        ...
