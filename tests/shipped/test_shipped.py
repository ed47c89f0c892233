"""Networks of the package by name."""

import pytest

from fewbit.errors import ArgumentError
from fewbit.passes import Recipe
from fewbit.program import load
from fewbit.shipped import find, pretrained
from scripts.write_measured import CARDS, RESULTS, pages
from studies.evidence import read_study
from studies.speech.english_shipped import fingerprints


def test_a_folder_of_the_same_name_does_not_hide_a_network(tmp_path, monkeypatch) -> None:
    (tmp_path / "an4").mkdir()  # what `python -m recipes english` leaves
    monkeypatch.chdir(tmp_path)
    assert find("an4") == pretrained("an4")


def test_a_file_is_taken_whatever_its_name(tmp_path) -> None:
    path = tmp_path / "digits"
    path.write_bytes(b"")
    assert find(path) == path


def test_an_unknown_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ArgumentError, match=r"there are .*digits"):
        find("nobody")


@pytest.mark.parametrize("name", ["digits", "an4", "commands"])
def test_a_shipped_network_tells_its_recipe(name):
    recipe = Recipe.from_dict(load(pretrained(name)).recipe)
    assert [step["kind"] for step in recipe.steps][:2] == ["Quantize", "Finetune"]
    assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_the_recogniser_is_the_one_that_was_measured_and_its_card_quotes_it():
    again = "python -m studies.speech.english_shipped --results docs/results"
    measured = read_study(RESULTS / "english-shipped.json").rows["files"]
    assert measured == fingerprints(pretrained("an4").parent), f"measure it anew: {again}"
    card = CARDS / "an4.md"
    assert pages()[card] == card.read_text(encoding="utf-8")
