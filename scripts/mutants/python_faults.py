"""Mutants of Python files by rule: each changes one expression or removes one statement of the syntax tree."""

import ast
from collections.abc import Callable, Iterator

from scripts.mutants.mutant import Mutant

FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
Places = Callable[[ast.AST], tuple[int, int]]


def python_mutants(path: str, text: str, tests: tuple[str, ...]) -> list[Mutant]:
    """All mutants of a file, in the order of their places.

    What only speaks is left out: annotations, decorators, docstrings, formatted text and the inside of errors.

    Examples:
        >>> found = python_mutants("a.py", "def less(a, b):\\n    return a < b and not a == 1\\n", ("tests",))
        >>> [mutant.after for mutant in found]
        ['(a < b or not a == 1)', '(a <= b)', '(a == 1)', '(a != 1)', '2']
    """
    place = _places(text)
    found = []
    for node, after in _faults(ast.parse(text)):
        start, end = place(node)
        if text[start:end] == after:
            continue
        name = f"{path}:{getattr(node, 'lineno', 0)}:{start}"
        found.append(Mutant(name, path, text[start:end], after, tests, place=start))
    return found


def _faults(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, str]]:
    """Nodes at and below `node`, and what stands in their place; `inside` of a function, class or module body."""
    yield from _replaced(node)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                continue
            if isinstance(child, ast.Raise):
                yield child, "pass"
            elif isinstance(child, ast.Expr):
                if isinstance(child.value, ast.Call):
                    yield child, "pass"
                    yield from _faults(child.value)
            else:
                yield from _faults(child)


def _replaced(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in FLIPPED:
            changed = ast.Compare(node.left, [FLIPPED[type(operator)]()], node.comparators)
            yield node, f"({ast.unparse(changed)})"
        case ast.BoolOp(op=operator):
            other = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield node, f"({ast.unparse(ast.BoolOp(other, node.values))})"
        case ast.BinOp(op=ast.Add() | ast.Sub() as operator) if not _speaks(node):
            swapped = ast.Sub() if isinstance(operator, ast.Add) else ast.Add()
            yield node, f"({ast.unparse(ast.BinOp(node.left, swapped, node.right))})"
        case ast.UnaryOp(op=ast.Not()):
            yield node, f"({ast.unparse(node.operand)})"
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            yield node, str(number + 1)
        case ast.AugAssign() | ast.Continue() | ast.Break():
            yield node, "pass"
        case _:
            return


def _speaks(node: ast.BinOp) -> bool:
    """Whether one side is text."""
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _places(text: str) -> Places:
    """Start and end of a node in characters; the tree counts bytes of a line."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def at(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    def place(node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, ast.expr | ast.stmt)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)

    return place
