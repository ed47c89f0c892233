"""Lists of specs on the command line; the comma and the equals sign of sparse ternary specs separate nothing."""

import re

_COMMA = re.compile(r"(?<!sparse\d)(?<!sparse\d\d),")
_EXACT = re.compile(r"(?:(.*)=)?(sparse\d+=\d.*)")


def split_specs(text: str) -> list[str]:
    """Parts between commas, stripped.

    Examples:
        >>> split_specs("int4, sparse8,2,ternary")
        ['int4', 'sparse8,2', 'ternary']
    """
    return [part.strip() for part in _COMMA.split(text)]


def pattern_and_spec(part: str) -> tuple[str | None, str]:
    """``PATTERN=SPEC`` in its two halves; the first is ``None`` where there is a spec alone.

    Examples:
        >>> pattern_and_spec("2.*=sparse4=3"), pattern_and_spec("sparse4=3"), pattern_and_spec("head=int8")
        (('2.*', 'sparse4=3'), (None, 'sparse4=3'), ('head', 'int8'))
    """
    if match := _EXACT.fullmatch(part.strip()):
        return match[1], match[2]
    pattern, given, spec = part.rpartition("=")
    return (pattern.strip() if given else None), spec.strip()
