"""A packed network as the language model of a beam search."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fewbit.decode.scorer import LogProbs
from fewbit.errors import ArgumentError
from fewbit.native import beam
from fewbit.native.handle import Handle
from fewbit.program import Program
from fewbit.program.native_run import Native
from fewbit.program.numerics import Q10
from fewbit.text import Alphabet, read_alphabet


@dataclass(frozen=True, eq=False)
class NetworkScorer:
    """``weight * ln P(label | text)`` by a character language model, for example a packed chain of LSTM layers.

    The input of a label is a one-hot vector; class 0 starts a text. The output for class 0 is ignored: the softmax runs
    over the labels.

    Args:
        program: a network packed with an alphabet, with as many inputs as classes.
        weight: the alpha of the search.

    Raises:
        ArgumentError: the network has no alphabet, or its outputs are not its inputs, frame by frame.


    Examples:
        >>> from dataclasses import replace
        >>> from fewbit.speed import random_network
        >>> letters = Alphabet(("a", "b"))
        >>> network = replace(random_network("lstm", hidden=3, layers=1), alphabet=letters.to_dict())
        >>> state, ln = NetworkScorer(network).start()
        >>> round(float(np.exp(ln[1:]).sum()), 3)
        1.0
    """

    program: Program
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.program.alphabet is None:
            raise ArgumentError(
                "the language model was packed without an alphabet; pack it with alphabet=Alphabet(...)"
            )
        if self.program.inputs != self.program.outputs or self.program.stride != 1:
            raise ArgumentError(
                f"a language model takes as many classes as it scores, one frame for each, not {self.program.inputs} "
                f"for {self.program.outputs} with a stride of {self.program.stride}"
            )

    @cached_property
    def alphabet(self) -> Alphabet:
        """Meaning of the classes."""
        return read_alphabet(self.program.alphabet or {})

    def start(self) -> tuple[Any, LogProbs]:
        """State at the start of a text, and log-probabilities ``(classes,)`` of its first label."""
        (state,), ln = self.step([self.program.init_state()], [0])
        return state, ln[0]

    def step(self, states: Sequence[Any], labels: Sequence[int]) -> tuple[list[Any], LogProbs]:
        """States of texts that grow by one label each, and log-probabilities ``(texts, classes)`` of the next one."""
        inputs = np.eye(self.program.inputs, dtype=np.float32)
        after, rows = [], []
        for state, label in zip(states, labels, strict=True):
            scores, grown = self.program.step(inputs[label : label + 1], state)
            after.append(grown)
            rows.append(scores[0, 1:])
        logits = np.array(rows).reshape(len(rows), -1) / Q10
        logits -= logits.max(axis=1, keepdims=True)
        ln = self.weight * (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
        return after, np.pad(ln, ((0, 0), (1, 0))).astype(np.float32)

    def native(self) -> int | None:
        """Handle of the same model in the native library, or ``None`` where the Program runs on its reference."""
        return None if self._native is None else self._native.address

    @cached_property
    def _native(self) -> Handle | None:
        executor, functions = self.program.executor, beam.functions()
        if not isinstance(executor, Native) or not functions:
            return None
        made = functions["network_scorer_new"](executor.address, self.weight)
        return Handle(made, functions["scorer_free"], executor)
