"""Text from packed language models whose classes are byte pairs: characters that are spread over tokens, and files."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fewbit.cli.main import main
from fewbit.errors import ArgumentError, DecodeError, LoweringError
from fewbit.formats import Int, PerRow
from fewbit.formats import pack as pack_codes
from fewbit.program import Program, load, ops
from fewbit.program.numerics import INT16, Rescale
from fewbit.streams import TextGenerator, alphabet_of
from fewbit.text import BytePairs
from fewbit.text.byte_pairs import LETTERS

SAID = "né 😀!"
BYTES = tuple(dict.fromkeys(LETTERS[byte] for byte in SAID.encode()))
START, END, PAIR, LAST = (len(BYTES) + i for i in range(4))
PAIRS = BytePairs(
    (*BYTES, "<start>", "<end>", BYTES[0] + BYTES[1], "<last>"),
    ((0, 1),),
    special={START, END, LAST},
    begin=START,
    ends={END, LAST},
)


def says(pairs: BytePairs, *chain: int) -> Program:
    """A network that gives each class of a chain after the one before it, and the first end after all others."""
    rows = np.zeros((pairs.classes, pairs.classes), np.int64)
    rows[:, END] = 1
    for before, after in pairwise(chain):
        rows[before, after] = 99
    table = ops.Matrix(*rows.shape, Int(8), "bits", PerRow(), pack_codes(rows, Int(8)))
    rescale = Rescale(np.array([100]), 0, *INT16)
    return Program((ops.Lookup("table", table, rescale),), alphabet=pairs.to_dict())


@pytest.fixture(scope="module")
def program() -> Program:
    return says(PAIRS, START, *PAIRS.encode(SAID), LAST)


def test_a_character_comes_when_its_last_byte_does(program) -> None:
    classes = PAIRS.encode(SAID)
    assert classes[0] == PAIR  # n and the first byte of é
    pieces = list(TextGenerator(program).generate(tokens=20, temperature=0))
    assert "".join(pieces) == SAID
    assert len(pieces) == len(classes)
    assert pieces[:3] == ["n", "é", " "]
    assert pieces[3:] == ["", "", "", "😀", "!"]


def test_a_prompt_is_read_in_pieces(program) -> None:
    writer = TextGenerator(program)
    assert "".join(writer.generate("né", tokens=20, temperature=0)) == " 😀!"
    assert "".join(writer.generate("né <end>", tokens=20, temperature=0)) == ""
    with pytest.raises(DecodeError, match=r"no piece for the bytes \[113\] of the text"):
        writer.generate("q", tokens=1)


def test_what_is_left_of_a_character_is_never_shown(program) -> None:
    assert "".join(TextGenerator(program).generate(tokens=5, temperature=0)) == "né "
    cut = says(PAIRS, START, *PAIRS.encode(SAID)[:5], LAST)
    assert "".join(TextGenerator(cut).generate(tokens=50, temperature=0)) == "né "


def test_a_text_needs_a_begin_or_a_prompt(program) -> None:
    writer = TextGenerator(replace(program, alphabet=replace(PAIRS, begin=None).to_dict()))
    with pytest.raises(ArgumentError, match="no class that begins a text; give a prompt"):
        writer.generate(tokens=3)
    assert "".join(writer.generate("né", tokens=20, temperature=0)) == " 😀!"


def test_the_file_writes_text_by_itself(program, tmp_path, capsys) -> None:
    path = program.save(tmp_path / "bytes.fewbit")
    assert load(path).to_bytes() == path.read_bytes()
    assert main(["generate", str(path), "--prompt", "n", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == "n\n"  # n alone is not the pair that the network knows
    assert main(["generate", str(path), "--temperature", "0"]) == 0
    assert capsys.readouterr().out == SAID + "\n"


def test_other_uses_say_what_they_need(program) -> None:
    with pytest.raises(DecodeError, match="classes are byte pairs, which are for generating text"):
        alphabet_of(program)
    with pytest.raises(LoweringError, match=f"there are {PAIRS.classes + 1} byte pairs, the network gives"):
        replace(program, alphabet=replace(PAIRS, pieces=(*PAIRS.pieces, "")).to_dict())
