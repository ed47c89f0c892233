"""What a teacher says of each position of a sequence, computed a part of the positions at a time.

With logits ``s`` of the student and ``t`` of the teacher at one position::

    soft term  = - sum_c softmax(t / T)_c * log softmax(s / T)_c
    label loss = - log softmax(t)_label            entropy = - sum_c softmax(t)_c * log softmax(t)_c

Tables of ``(positions, classes)`` are made for few positions at once, and for the gradient once more, so that a large
vocabulary costs no memory beyond that of the logits.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

AT_ONCE = 1 << 24
"""Numbers of a table of positions and classes that are made at once: 64 MiB in float32."""


def soft_terms(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, top: int | None = None, at_once: int = AT_ONCE
) -> Tensor:
    """Cross-entropy of each position of ``(..., classes)`` logits against the teacher's distribution: ``(...)``.

    Args:
        student, teacher: logits of one shape; the teacher gets no gradient.
        temperature: T > 0; there is no factor T**2.
        top: so many of the teacher's likeliest classes keep their probability, all others together are one class.
        at_once: numbers of a table that is made at once.

    Examples:
        >>> from torch import tensor
        >>> student, teacher = tensor([[0.0, 0.0], [2.0, 0.0]]), tensor([[2.0, 0.0], [2.0, 0.0]])
        >>> [round(float(term), 3) for term in soft_terms(student, teacher)]  # ln 2, and the teacher's entropy
        [0.693, 0.365]
    """
    classes = student.shape[-1]
    some = top if top is not None and top < classes - 1 else None
    term = partial(_soft_term, temperature=temperature, top=some)
    return _in_parts(term, at_once, student.reshape(-1, classes), teacher.detach().reshape(-1, classes)).view(
        student.shape[:-1]
    )


def label_losses(logits: Tensor, labels: Tensor, at_once: int = AT_ONCE) -> Tensor:
    """``-log softmax(logits)`` of the label of each position: ``(...)`` of ``(..., classes)``.

    Examples:
        >>> from torch import tensor, zeros
        >>> label_losses(zeros(2, 4), tensor([0, 3]))  # ln 4
        tensor([1.3863, 1.3863])
    """
    flat = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    return _in_parts(_label_loss, at_once, *flat).view(labels.shape)


def entropies(logits: Tensor, at_once: int = AT_ONCE) -> Tensor:
    """Entropy of the distribution at each position, in nats: ``(...)`` of ``(..., classes)``.

    Examples:
        >>> from torch import tensor
        >>> entropies(tensor([[0.0, 0.0], [50.0, 0.0]])).round(decimals=3)
        tensor([0.6930, 0.0000])
    """
    return _in_parts(_entropy, at_once, logits.reshape(-1, logits.shape[-1])).view(logits.shape[:-1])


def _in_parts(term: Callable[..., Tensor], at_once: int, logits: Tensor, *others: Tensor) -> Tensor:
    """A number for each row; of each part of the rows only the logits are kept for the gradient."""
    rows = max(1, at_once // logits.shape[-1])
    if len(logits) <= rows:
        return term(logits, *others)
    parts = zip(*(torch.split(each, rows) for each in (logits, *others)), strict=True)
    if logits.requires_grad and torch.is_grad_enabled():
        return torch.cat([checkpoint(term, *part, use_reentrant=False, preserve_rng_state=False) for part in parts])
    return torch.cat([term(*part) for part in parts])


def _soft_term(student: Tensor, teacher: Tensor, temperature: float, top: int | None) -> Tensor:
    target = functional.softmax(teacher.float() / temperature, dim=-1)
    logs = functional.log_softmax(student.float() / temperature, dim=-1)
    if top is None:
        return -(target * logs).sum(-1)
    target, places = target.topk(top, dim=-1)
    likeliest = logs.gather(-1, places)
    others = logs.scatter(-1, places, -torch.inf).logsumexp(-1)
    return -(target * likeliest).sum(-1) - (1 - target.sum(-1)).clamp_min(0) * others


def _label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float(), labels, reduction="none")


def _entropy(logits: Tensor) -> Tensor:
    found: Tensor = torch.special.entr(functional.softmax(logits.float(), dim=-1)).sum(-1)
    return found
