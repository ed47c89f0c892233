"""Tables on a terminal."""

from typing import Any

import pytest

from fewbit.cli import output

COLUMNS = ("network", "error (%)", "size")
ROWS = (("a name of the widest column", 12.34, 1), ("short", None, 12345))


@pytest.mark.parametrize(("width", "wrapped"), [(51, False), (50, True), (10, True)])
def test_a_heading_wraps_before_a_table_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, width: int, wrapped: bool
) -> None:
    monkeypatch.setattr(output.console, "width", width)
    output.print_table("t", COLUMNS, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert any("error (%)" in line for line in lines) != wrapped
    least = 1 + (27 + 3) + (5 + 3) + (5 + 3)  # no cell is cut, and no word of a heading
    assert max(len(line.rstrip()) for line in lines) <= max(width, least)
    assert any("a name of the widest column" in line and "12.34" in line for line in lines)
    assert any("12345" in line for line in lines)


def test_a_heading_takes_the_room_that_is_there(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(output.console, "width", 40)
    output.print_table("t", ("network", "word error rate of some data (%)"), (("one name", 12.5),))
    lines = capsys.readouterr().out.splitlines()
    assert any("word error rate of some" in line for line in lines)
    assert max(len(line.rstrip()) for line in lines) <= 40
