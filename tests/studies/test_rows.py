"""Choices are made on development data, before test figures are seen: nothing else is possible."""

import pytest

from fewbit.errors import DataError
from studies.evidence import SealedRows, Setting, of
from studies.evidence.rows import is_test

ROWS = [
    {"seed": seed, "arm": arm, "lr": lr, "dev": dev, "test": test, "test, direct": test, "test of the teacher": test}
    for seed in range(2)
    for arm, lr, dev, test in (("new", 1, 3.0, 0.0), ("new", 2, 1.0, 9.0), ("old", 1, 1.0, 5.0), ("old", 2, 2.0, 1.0))
]


def test_development_data_choose_whatever_the_test_figures_are():
    for rows in (ROWS, [row | {"test": -row["test"]} for row in ROWS]):
        runs = SealedRows(rows, "toy")
        assert runs.choose("lr", arm="new") == 2
        assert runs.choose("lr", arm="old") == 1
        assert runs.choose("arm", lr=2) == "new"


def test_rows_before_they_are_opened_have_no_figure_of_test_data():
    runs = SealedRows(ROWS, "toy")
    assert [set(row) for row in runs.dev] == [{"seed", "arm", "lr", "dev"}] * len(ROWS)
    assert not hasattr(runs, "__iter__")
    assert not hasattr(runs, "__getitem__")


@pytest.mark.parametrize("key", ["test", "ternary test", "test, requantized", "direct_test", "test int3"])
def test_a_figure_of_test_data_is_known_by_the_word(key):
    assert SealedRows([{key: 1.0, "dev": 2.0}], "toy").dev == [{"dev": 2.0}]
    assert not is_test("latest")
    assert not is_test("tests_of_nothing")


def test_a_choice_on_test_figures_is_impossible():
    runs = SealedRows(ROWS, "toy")
    with pytest.raises(KeyError, match="test"):
        min(runs.dev, key=lambda row: row["test"])
    runs.open()
    with pytest.raises(DataError, match="toy: lr is to be chosen after the test figures were seen; choose before"):
        runs.choose("lr", arm="new")


def test_test_figures_are_handed_out_once():
    runs = SealedRows(ROWS, "toy")
    assert runs.open(lambda row: row["lr"] == 2) == of(ROWS, lr=2)
    with pytest.raises(DataError, match="toy: the test figures were handed out already; open the rows once"):
        runs.open()


def test_what_no_row_has_cannot_be_chosen():
    with pytest.raises(DataError, match=r"toy: no row has \{'arm': 'x'\}, so there is no lr to choose"):
        SealedRows(ROWS, "toy").choose("lr", arm="x")


def test_a_sweep_gives_sealed_rows(tmp_path):
    setting = Setting(tmp_path, tmp_path, progress=False)
    runs = setting.sweep(lambda seed: {"dev": 1.0, "test": 2.0}, [{"seed": 0}], "rows", "toy")
    assert runs.dev == [{"seed": 0, "dev": 1.0}]
    assert runs.open() == [{"seed": 0, "dev": 1.0, "test": 2.0}]
