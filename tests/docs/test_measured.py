"""Figures in the docs are those of the studies, and a mark that names no figure is refused."""

import subprocess
import sys

import pytest

from fewbit.analysis import Table
from fewbit.errors import DataError
from scripts.write_measured import find_figure, find_table
from studies.evidence import Study
from tests.docs.documented import ROOT

ROWS = (("float", 1, "7.1"), ("ternary", 1, "7.2"), ("ternary", 2, "7.25"), (2, 3, "9.0"))
TABLE = Table("T", ("net", "threads", "%"), ROWS)
STUDY = Study("", "small", "Small", "", "no claim", ("One.",), "", "", (0,), (TABLE,))
FOUND = {"small": STUDY}


def test_figures_are_those_of_the_studies() -> None:
    command = [sys.executable, "-m", "scripts.write_measured", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_figure_is_found_by_the_cells_of_its_row() -> None:
    assert find_figure("small; float; %", FOUND) == "7.1"
    assert find_figure("small; ternary + threads=2; %", FOUND) == "7.25"
    assert find_figure("small; net=2; threads", FOUND) == "3"


def test_a_table_is_found_by_its_title() -> None:
    assert find_table("small; T", FOUND).splitlines()[:3] == [
        "| net | threads | % |",
        "| --- | ---: | ---: |",
        "| float | 1 | 7.1 |",
    ]
    with pytest.raises(DataError, match="0 tables of the study have this title"):
        find_table("small; U", FOUND)
    with pytest.raises(DataError, match="there is no study 'large'"):
        find_table("large; T", FOUND)


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("large; float; %", "there is no study 'large'; there are small"),
        ("small; ternary; %", "2 rows have these cells and this column; name cells that one row has"),
        ("small; float; error", "0 rows have these cells and this column"),
        ("small; float", "a mark has a study, the cells of a row and a column, with `;` between them"),
    ],
)
def test_a_mark_without_a_figure_is_refused(mark: str, said: str) -> None:
    with pytest.raises(DataError) as error:
        find_figure(mark, FOUND)
    assert said in str(error.value)
