"""Files that are complete or not there: written beside their place and then renamed into it.

A process that is killed while it writes leaves the old file, or none, and never half of a new one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` at the end of the block; folders are made as needed.

    If the block raises, `path` stays as it was.

    Examples:
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> file = Path(mkdtemp()) / "new" / "letters.txt"
        >>> with replacing(file) as part:
        ...     _ = part.write_text("abc")
        >>> file.read_text(), part.exists()
        ('abc', False)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: str | Path, content: bytes | str) -> Path:
    """Write a file whole; text is UTF-8 with the line ends that it has.

    Examples:
        >>> from tempfile import mkdtemp
        >>> write_atomically(f"{mkdtemp()}/letters.txt", "abc").read_bytes()
        b'abc'
    """
    with replacing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
    return Path(path)
