"""Text as a recogniser spells it."""

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbit.data import LETTERS, english_books, to_letters, wikitext2_letters
from fewbit.errors import DataError


@given(st.text())
def test_letters_are_of_the_alphabet_and_stay_when_taken_again(text) -> None:
    letters = to_letters(text)
    assert LETTERS.decode(LETTERS.encode(letters)) == letters
    assert to_letters(letters) == letters
    assert "  " not in letters


def books(folder: Path, paragraphs: list[str]) -> Path:
    (folder / "books.txt.xz").write_bytes(lzma.compress("\n\n".join(paragraphs).encode()))
    return folder


def said(text, stream) -> list[str]:
    return "".join(text.symbols[i] for i in stream.tolist()).split("\n")[:-1]


def test_books_are_parted_by_blocks_of_paragraphs(tmp_path) -> None:
    names = ["".join(chr(ord("A") + int(digit)) for digit in f"{i:04d}") for i in range(2000)]
    text = english_books(books(tmp_path, [f"{name},\n'and' so!" for name in names]))
    parts = [said(text, stream) for stream in (text.train, text.dev, text.test)]
    wanted = [f"{name} AND SO" for name in names]
    assert parts[1] == wanted[950:1000]
    assert parts[2] == wanted[1950:]
    assert sorted(line for part in parts for line in part) == sorted(wanted)


def test_wikitext_loses_its_marks(tmp_path) -> None:
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt.xz").write_bytes(lzma.compress(b" = Title = \n \n the <unk> 's well @-@ known 7 \n"))
    text = wikitext2_letters(tmp_path)
    assert said(text, text.dev) == ["TITLE", "THE S WELL KNOWN"]


def test_text_without_words_and_missing_files_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match=r"books\.txt\.xz"):
        english_books(tmp_path)
    with pytest.raises(DataError, match="no words"):
        english_books(books(tmp_path, ["1", "2"]))
