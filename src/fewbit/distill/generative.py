"""Generative knowledge transfer: networks write the text that another one learns from, and label every symbol of it.

    x_t ~ mean_j P_j(. | x_<t)   or   x_t ~ P_student(. | x_<t)
    q_t = mean_j P_j(. | x_<t)   of J teachers

Text is drawn for every batch and never stored; real text is not needed.

References:
    Shin, Hwang, Sung 2016, "Generative knowledge transfer for neural language models" (arXiv 1608.04077).
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fewbit.distill.language_model import Model, device_of, probabilities
from fewbit.distill.soft_labels import TextBatch
from fewbit.distill.text_variety import degeneration_reason
from fewbit.errors import ArgumentError, DataError
from fewbit.inference import inference_mode
from fewbit.train import Schedule, TruncatedBPTT, constant


def guided(progress: float) -> float:
    """Share of streams that the teachers write: all at first, none after a tenth; an untrained student writes noise.

    Examples:
        >>> guided(0.0), guided(0.05), guided(0.5)
        (1.0, 0.5, 0.0)
    """
    return max(0.0, 1 - 10 * progress)


class GeneratedText:
    """Batches of text that networks write, with the teachers' distributions as labels: each a `TextBatch`.

    For a student that carries its state from batch to batch::

        fit(TruncatedBPTT(student), GeneratedText(teacher), SoftLabels(), epochs=1)

    All streams begin with class 0 (the end of a paragraph) and no memory, and begin again after `restart` steps, at
    the end of a batch, and with every epoch. A stopped training therefore resumes from `generator` alone, which `fit`
    keeps in its checkpoint. The same seed gives the same text.

    Args:
        teachers: a network ``(x, state) -> (scores, state)`` such as a `fewbit.models.CharLM`, or several of the
            same classes, whose probabilities are averaged. They run in eval mode without gradient.
        student: a network, alone or in its `fewbit.train.TruncatedBPTT`, that writes the text with its current weights,
            while the teachers only label it. The teachers then cannot spell out strings that they have memorised.
        streams, steps: symbols of a batch.
        count: batches per epoch.
        restart: steps after which the streams begin again.
        warmup: first steps of a stream that have no label.
        temperature: of sampling; below 1 the text loses variety and soon repeats itself. Labels do not depend on it.
        hard: weight of the symbol actually drawn in its label; 1 is plain training on generated text.
        mix: with a `student`, the share of streams that the teachers write, a number or a function of the progress
            through an epoch; the streams are drawn for each batch.
        one_each: whether each stream is written by one teacher, drawn when it begins, instead of by their mean.
        symbols: of the classes of each teacher; if given, they must be the same for all.
        seed: of all random draws.

    Raises:
        ArgumentError: there is no teacher, teachers differ in their symbols or classes, or a number is out of range.

    Examples:
        >>> from fewbit.models import CharLM
        >>> text = GeneratedText(CharLM(classes=5, hidden=4), streams=2, steps=8, count=10)
        >>> batch = next(iter(text))
        >>> batch.inputs.shape, batch.labels.shape, batch.begins
        (torch.Size([2, 8]), torch.Size([2, 8, 5]), True)
    """

    def __init__(
        self,
        teachers: Model | Sequence[Model],
        *,
        student: Model | None = None,
        streams: int = 64,
        steps: int = 64,
        count: int = 1000,
        restart: int = 2000,
        warmup: int = 0,
        temperature: float = 1.0,
        hard: float = 0.0,
        mix: float | Schedule = guided,
        one_each: bool = False,
        symbols: Sequence[Sequence[str]] = (),
        seed: int = 0,
    ) -> None:
        self.teachers = list(teachers) if isinstance(teachers, Sequence) else [teachers]
        if not self.teachers:
            raise ArgumentError("GeneratedText: there is no teacher; give one network or several")
        if min(streams, steps, count, restart) < 1 or not 0 <= warmup < restart:
            raise ArgumentError(
                f"GeneratedText: streams={streams}, steps={steps}, count={count}, restart={restart}, warmup={warmup}; "
                "wanted at least 1 of each, and a warm-up from 0 to below restart"
            )
        if temperature <= 0 or not 0 <= hard <= 1:
            raise ArgumentError(f"GeneratedText: temperature={temperature}, hard={hard}; wanted above 0, and 0..1")
        _demand_same_symbols(symbols)
        self.student = student.model if isinstance(student, TruncatedBPTT) else student
        self.streams, self.steps, self.count, self.restart, self.warmup = streams, steps, count, restart, warmup
        self.temperature, self.hard, self.one_each = temperature, hard, one_each
        self.mix: Schedule = mix if callable(mix) else constant(float(mix))
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[TextBatch]:
        """One epoch, of new streams."""
        stream = self._begin()
        for i in range(self.count):
            if stream.done >= self.restart:
                stream.check()
                stream = self._begin()
            yield self._batch(stream, i / self.count)
        stream.check()

    def _begin(self) -> "StreamState":
        device = device_of(self.teachers[0], torch.device("cpu"))
        writers = None
        if self.one_each:
            writers = torch.randint(len(self.teachers), (self.streams,), generator=self.generator).to(device)
        start = torch.zeros(self.streams, dtype=torch.long, device=device)
        return StreamState(start, [None] * len(self.teachers), writers)

    def _batch(self, stream: "StreamState", progress: float) -> TextBatch:
        taught = self._taught(progress).to(stream.last.device)
        with inference_mode(*self.teachers, self.student):
            x, q = self._write(stream, taught)
            if q is None:  # the student wrote it all, so the teachers can read it all at once
                q = self._labels(stream, x).mean(0)
        if self.hard:
            drawn = torch.cat([x[:, 1:], stream.last[:, None]], 1)
            q = (1 - self.hard) * q + self.hard * functional.one_hot(drawn, q.shape[-1])
        q[:, : max(self.warmup - stream.done, 0)] = 0
        begins = not stream.done
        stream.done += self.steps
        stream.text.append(x.cpu())
        return TextBatch(x, q, begins)

    def _write(self, stream: "StreamState", taught: Tensor) -> tuple[Tensor, Tensor | None]:
        """The next symbols ``(streams, steps)``, and their labels if the teachers read them one by one."""
        read, labels = [], []
        any_taught = bool(taught.any())
        for _ in range(self.steps):
            x = stream.last[:, None]
            read.append(x)
            chances = None
            if any_taught:
                each = self._labels(stream, x)
                labels.append(each.mean(0))
                chances = labels[-1] if stream.writers is None else each[stream.writers, torch.arange(self.streams)]
            if self.student is not None:
                own, stream.student = self._expected("the student", self.student, x, stream.student, stream)
                chances = own if chances is None else torch.where(taught[:, None, None], chances, own)
            assert chances is not None
            stream.last = self._draw(chances[:, 0])
        return torch.cat(read, 1), torch.cat(labels, 1) if labels else None

    def _labels(self, stream: "StreamState", x: Tensor) -> Tensor:
        """What each teacher expects after each symbol: (teachers, streams, steps, classes)."""
        found: list[Tensor] = []
        for i, teacher in enumerate(self.teachers):
            q, stream.teachers[i] = self._expected(f"teacher {i}", teacher, x, stream.teachers[i], stream)
            found.append(q)
        return torch.stack(found)

    def _expected(self, who: str, model: Model, x: Tensor, state: Any, stream: "StreamState") -> tuple[Tensor, Any]:
        q, state = probabilities(model, x, state)
        stream.classes = stream.classes or q.shape[-1]
        if q.shape[-1] != stream.classes:
            raise ArgumentError(
                f"GeneratedText: {who} has {q.shape[-1]} classes and another network {stream.classes}; all need the "
                "same symbols in the same order"
            )
        return q, state

    def _taught(self, progress: float) -> Tensor:
        """Which streams the teachers write now."""
        if self.student is None:
            return torch.ones(self.streams, dtype=torch.bool)
        share = self.mix(progress)
        if not 0 <= share <= 1:
            raise ArgumentError(f"GeneratedText: mix must lie in 0..1, not {share} at progress {progress:.3f}")
        if share in (0, 1):  # nothing to draw: then the text does not depend on how it is cut into batches
            return torch.full((self.streams,), bool(share))
        return torch.rand(self.streams, generator=self.generator) < share

    def _draw(self, chances: Tensor) -> Tensor:
        """A class for each row of ``(streams, classes)``, from one random number each."""
        sums = (chances.double() ** (1 / self.temperature)).cumsum(-1)
        if not bool((sums[:, -1] > 0).all()):
            raise DataError("GeneratedText: a network gives no finite probabilities to draw from; is it trained?")
        u = torch.rand(len(sums), 1, dtype=torch.float64, generator=self.generator).to(sums.device)
        return (sums <= u * sums[:, -1:]).sum(-1).clamp_max(sums.shape[1] - 1)


@dataclass
class StreamState:
    """State of streams that began together: the last symbol of each, the states of the networks, and who writes."""

    last: Tensor
    teachers: list[Any]
    writers: Tensor | None
    student: Any = None
    done: int = 0
    classes: int = 0
    text: list[Tensor] = field(default_factory=list)

    def check(self) -> None:
        """Warn if the text has degenerated."""
        found = degeneration_reason(torch.cat(self.text, 1), self.classes)
        if found:
            warnings.warn(f"GeneratedText: {found}; look at the text and its temperature", RuntimeWarning, stacklevel=3)


def _demand_same_symbols(symbols: Sequence[Sequence[str]]) -> None:
    for i, mine in enumerate(symbols):
        first = symbols[0]
        if list(mine) != list(first):
            pairs = zip_longest(mine, first)
            place, (its, wanted) = next((k, pair) for k, pair in enumerate(pairs) if pair[0] != pair[1])
            raise ArgumentError(
                f"GeneratedText: class {place} is {its!r} for teacher {i} and {wanted!r} for teacher 0; teachers need "
                "the same symbols in the same order"
            )
