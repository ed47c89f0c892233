"""Word and character error rates: edits between hypothesis and reference, per unit of the reference."""

from collections.abc import Hashable, Iterable, Sequence


def edit_distance(reference: Sequence[Hashable], heard: Sequence[Hashable]) -> int:
    """Fewest substitutions, deletions and insertions between two sequences (Levenshtein).

    Examples:
        >>> edit_distance("kitten", "sitting")
        3
    """
    row = list(range(len(heard) + 1))
    for i, said in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (said != other))
    return row[-1]


def wer(references: Iterable[str], heard: Iterable[str]) -> float:
    """Word error rate of a corpus: all edits divided by all reference words. 0.0 is perfect; above 1.0 is possible.

    Examples:
        >>> wer(["one two three four"], ["one too three four"])
        0.25
    """
    return _rate([(r.split(), h.split()) for r, h in zip(references, heard, strict=True)])


def cer(references: Iterable[str], heard: Iterable[str]) -> float:
    """Character error rate of a corpus, including spaces.

    Examples:
        >>> cer(["four"], ["for"])
        0.25
    """
    return _rate(list(zip(references, heard, strict=True)))


def _rate(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> float:
    edits = sum(edit_distance(reference, heard) for reference, heard in pairs)
    units = sum(len(reference) for reference, _ in pairs)
    return edits / units if units else float(edits > 0)
