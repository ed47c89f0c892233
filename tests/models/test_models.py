"""Ready-made networks."""

import pytest

from fewbit.errors import ArgumentError
from fewbit.models import CharLM


def test_an_unknown_cell_is_refused():
    with pytest.raises(ArgumentError, match=r"^CharLM: cell='rnn', wanted one of \['lstm', 'gru', 'sru', 'qrnn'\]"):
        CharLM(5, 6, cell="rnn")
