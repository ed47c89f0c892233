"""Files are complete or not there."""

import pytest

from fewbit.atomic_file import replacing, write_atomically


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file"
    with replacing(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_atomically(tmp_path / "file", "old")
    with pytest.raises(TypeError), replacing(path) as part, part.open("w") as file:
        file.writelines(["ne", 3])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", ["Käse\n", "Käse\n".encode()])
def test_text_is_utf_8_with_its_own_line_ends(tmp_path, content):
    assert write_atomically(str(tmp_path / "file"), content).read_bytes() == b"K\xc3\xa4se\n"
