"""Mutants of C++ files by rule: each changes one operator."""

import re

from scripts.mutants.mutant import Mutant

OTHERWISE = {
    " < ": " <= ",
    " <= ": " < ",
    " > ": " >= ",
    " >= ": " > ",
    " == ": " != ",
    " != ": " == ",
    " && ": " || ",
    " || ": " && ",
    " + ": " - ",
    " - ": " + ",
    " << ": " >> ",
    " >> ": " << ",
}
"""With spaces on both sides, as the house writes operators; brackets of templates have none."""
_OPERATOR = re.compile("|".join(re.escape(text) for text in sorted(OTHERWISE, key=len, reverse=True)))
_SILENT = re.compile(r'^\s*#.*?$|//[^\n]*|/\*[\s\S]*?\*/|"(?:\\.|[^"\\\n])*"', re.MULTILINE)
_SPEAKS = re.compile(r"\b(?:throw|static_assert|template)\b|operator")


def native_mutants(path: str, text: str, tests: tuple[str, ...]) -> list[Mutant]:
    """All mutants of a file, in the order of their places; comments, text and lines that throw are left out.

    Examples:
        >>> found = native_mutants("csrc/a.cpp", "int f(int x) { return x < 1 ? x + 1 : 0; }  // x > 1\\n", ("tests",))
        >>> [mutant.told for mutant in found]
        ['< -> <=', '+ -> -']
    """
    code = _SILENT.sub(lambda silent: re.sub(r"[^\n]", "_", silent[0]), text)
    found = []
    for operator in _OPERATOR.finditer(code):
        line = code.count("\n", 0, operator.start()) + 1
        if not _SPEAKS.search(code.split("\n")[line - 1]):
            name = f"{path}:{line}:{operator.start()}"
            found.append(Mutant(name, path, operator[0], OTHERWISE[operator[0]], tests, place=operator.start()))
    return found
