"""A mutant: one place of one file, written otherwise."""

from dataclasses import dataclass


class StaleMutantError(ValueError):
    """The text that a mutant replaces is not in its file, or not once; the table has to be renewed."""


@dataclass(frozen=True)
class Mutant:
    """A replacement of text in a file, and the tests that are meant to notice it.

    Args:
        name: for ``--only`` and the report.
        path: of the file, from the root of the repository.
        before, after: the text that is replaced, and by what.
        tests: pytest targets, in the order in which they are run.
        why: what would be wrong; empty for mutants made by rule.
        place: offset of `before` in characters; ``None`` where the text is in the file exactly once.

    Examples:
        >>> Mutant("flip", "a.py", "x < 1", "x <= 1", ("tests",)).apply("return x < 1")
        'return x <= 1'
    """

    name: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]
    why: str = ""
    place: int | None = None

    def apply(self, text: str) -> str:
        """The text of the file with the fault in it.

        Raises:
            StaleMutantError: `before` is not where it was.
        """
        if self.place is None:
            count = text.count(self.before)
            if count != 1:
                raise StaleMutantError(
                    f"{self.name}: its text is {count} times in {self.path}, wanted once; renew the entry"
                )
            return text.replace(self.before, self.after)
        end = self.place + len(self.before)
        if text[self.place : end] != self.before:
            raise StaleMutantError(f"{self.name}: {self.path} changed at character {self.place}")
        return text[: self.place] + self.after + text[end:]

    @property
    def told(self) -> str:
        """The change on one line."""
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{before[:70]} -> {after[:70] or 'nothing'}"

    @property
    def is_native(self) -> bool:
        """Whether the library has to be built for it."""
        return self.path.startswith("csrc/")
