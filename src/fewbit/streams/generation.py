"""Text from a packed language model: each symbol that is drawn is the next frame of the stream."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fewbit.errors import ArgumentError
from fewbit.program import Program
from fewbit.program.numerics import Integers
from fewbit.program.ops import Lookup
from fewbit.streams.sampling import Sampling
from fewbit.text import Vocabulary, read_vocabulary

BLOCK = 64
"""Symbols of a prompt that are read at once, so that a long one takes no more memory than a short one."""


class TextGenerator:
    """Writes text, symbol by symbol, with a network that reads symbols and scores the next one.

    With an `Alphabet`, class 0, which has no text of its own, stands between texts: it is read before the prompt, as by
    `fewbit.decode.NetworkScorer`, and where it is drawn, the text ends. Train on texts with class 0 before each. With
    `BytePairs`, the classes of the published tokenizer do so, if it has them.

    The object holds no text. Any number of texts, and of generators, share a Program.

    Args:
        program: packed with an alphabet or byte pairs, such as a `fewbit.models.Decoder` with a window or a
            `fewbit.models.CharLM`. Its frames are symbols, or one-hot vectors of them; a frame gives a score for each
            class.

    Raises:
        ArgumentError: the network has no alphabet, is no network of symbols, or does not give one row of scores for
            each symbol at once.
        DecodeError: the network needs its whole input.

    Examples:
        >>> from dataclasses import replace
        >>> from fewbit.speed import random_network
        >>> from fewbit.text import Alphabet
        >>> letters = Alphabet(("a", "b"))
        >>> network = replace(random_network("lstm", hidden=3, layers=1), alphabet=letters.to_dict())
        >>> text = "".join(TextGenerator(network).generate("ab", tokens=20, seed=1))
        >>> len(text) <= 20, set(text) <= {"a", "b"}
        (True, True)
    """

    def __init__(self, program: Program) -> None:
        self.program, self.alphabet = program, _vocabulary(program)
        self._one_hot = _one_hot(program, self.alphabet.classes)
        begin, state = self.alphabet.begin, program.init_state()
        self._start = (None, state) if begin is None else self._read([begin], state)

    def generate(
        self, prompt: str = "", *, tokens: int, temperature: float = 1.0, top_p: float = 1.0, seed: int = 0
    ) -> Iterator[str]:
        """Read `prompt` at once, and return the text that follows, a token at a time, until it ends.

        With a joiner between tokens, each piece brings the one before it: the prompt and all pieces are the text. Of
        byte pairs, a piece is empty while the last bytes are not a character yet.

        Args:
            prompt: in symbols of the alphabet; empty for a text from its beginning.
            tokens: how many follow at most.
            temperature: 0 always takes the likeliest token; below 1 favours likely ones, above 1 rare ones.
            top_p: only the smallest set of tokens whose probability, at this temperature, reaches it is drawn from.
            seed: the same seed gives the same text, with every executor on every machine.

        Raises:
            ArgumentError: a number is out of range, or the prompt is empty and no class begins a text.
            DecodeError: the alphabet lacks a symbol of the prompt. From the iterator: the text outgrows the table of
                positions of a network that has one.

        Examples:
            >>> from dataclasses import replace
            >>> from fewbit.speed import random_network
            >>> from fewbit.text import Alphabet
            >>> network = replace(random_network("lstm", hidden=3, layers=1), alphabet=Alphabet(("a", "b")).to_dict())
            >>> writer = TextGenerator(network)
            >>> "".join(writer.generate("a", tokens=9, seed=1)) == "".join(writer.generate("a", tokens=9, seed=1))
            True
        """
        sampling = Sampling(temperature, top_p)
        if not isinstance(tokens, int) or tokens < 1:
            raise ArgumentError(f"tokens={tokens!r}, wanted how many are to follow, at least 1")
        if not isinstance(seed, int) or seed < 0:
            raise ArgumentError(f"seed={seed!r}, wanted an integer from 0 on")
        symbols = self.alphabet.encode(prompt)
        scores, state = self._read(symbols, self._start[1]) if symbols else self._start
        if scores is None:
            raise ArgumentError("the network's vocabulary has no class that begins a text; give a prompt")
        spell = self.alphabet.writer(prompt if symbols else "")
        return self._follow(scores, state, tokens, sampling, np.random.PCG64(seed), spell)

    def _follow(
        self,
        scores: Integers,
        state: Any,
        tokens: int,
        sampling: Sampling,
        random: np.random.PCG64,
        spell: Callable[[int], str],
    ) -> Iterator[str]:
        unit = float(1 << self.program.fraction_bits)
        for left in range(tokens - 1, -1, -1):
            # What Generator.random() computes; only the raw stream of a bit generator is promised never to change.
            chance = (int(random.random_raw()) >> 11) * 2.0**-53
            drawn = sampling.choose(scores, unit, chance)
            if drawn in self.alphabet.ends:
                return
            yield spell(drawn)
            if left:
                scores, state = self._read([drawn], state)

    def _read(self, symbols: Sequence[int], state: Any) -> tuple[Integers, Any]:
        """Scores ``(classes,)`` after the last of the symbols, and the state."""
        for first in range(0, len(symbols), BLOCK):
            scores, state = self.program.step(self._frames(symbols[first : first + BLOCK]), state)
        return scores[-1], state

    def _frames(self, symbols: Sequence[int]) -> Any:
        if not self._one_hot:
            return np.array(symbols, np.float32)[:, None]
        frames = np.zeros((len(symbols), self.program.inputs), np.float32)
        frames[np.arange(len(symbols)), symbols] = 1
        return frames


def _vocabulary(program: Program) -> Vocabulary:
    if program.alphabet is None:
        raise ArgumentError(
            "the network was packed without an alphabet, so its symbols have no text; "
            "pack it with alphabet=Alphabet(...), whose tokens are its classes from 1 on, or with BytePairs"
        )
    return read_vocabulary(program.alphabet)


def _one_hot(program: Program, classes: int) -> bool:
    """Whether the frames of a network of symbols are one-hot vectors, not the numbers of the symbols.

    Raises:
        ArgumentError: it is no network that reads a symbol a frame, and scores the same symbols.
    """
    if program.features is not None:
        raise ArgumentError("the network hears sound (it was packed with features); text needs one that reads symbols")
    sources = [op for op in program.ops if op.source]
    tables = [op for op in sources if isinstance(op, Lookup)]
    numbers = len(tables) == len(sources) and all(op.table.rows == classes for op in tables) and program.inputs == 1
    one_hot = not tables and program.inputs == classes
    ports = () if program.signature is None else program.signature.outputs
    if not (numbers or one_hot) or program.outputs != classes or len(ports) > 1:
        raise ArgumentError(
            f"the network is no language model over its alphabet: wanted {classes} scores (one for each class) "
            f"for a symbol or a one-hot vector of {classes}, got {program.outputs} scores in "
            f"{max(len(ports), 1)} result(s) for {_frame(program, tables)}"
        )
    if program.stride != 1 or program.lookahead:
        raise ArgumentError(
            f"the network gives its scores for {program.stride} symbols at a time, {program.lookahead} symbols late; "
            "the next symbol needs them at once, so a language model has neither strides nor a look ahead"
        )
    return one_hot


def _frame(program: Program, tables: Sequence[Lookup]) -> str:
    rows = ", ".join(str(op.table.rows) for op in tables)
    return f"{program.inputs} symbol(s) of {rows}" if tables else f"{program.inputs} features"
