"""A handle frees its object once, whatever happens to it."""

import copy
import pickle
import subprocess
import sys
import weakref

import pytest

from fewbit.errors import TargetError
from fewbit.native import is_available
from fewbit.native.handle import Handle

pytestmark = pytest.mark.skipif(not is_available(), reason="without the native library")


class Needed:
    """Something that can be watched."""


def test_the_object_is_freed_once_and_what_it_needs_lives_as_long():
    freed, needed = [], Needed()
    watched = weakref.ref(needed)
    handle = Handle(7, lambda address: freed.append((address, watched() is not None)), needed)
    del needed
    handle.__del__()
    assert freed == [(7, True)]
    assert handle.address == 0
    del handle
    assert freed == [(7, True)]
    assert watched() is None


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickle.dumps])
def test_there_are_no_two_owners(again):
    freed = []
    handle = Handle(7, freed.append)
    with pytest.raises(TargetError, match="cannot be copied or pickled; copy what it was made from"):
        again(handle)
    assert freed == []


@pytest.mark.parametrize("refused", [None, 0])
def test_a_refusal_of_the_library_is_an_error(refused):
    with pytest.raises(TargetError, match="a beam of no width: "):
        Handle(refused, print, refusal="a beam of no width")


def test_a_handle_survives_the_end_of_the_interpreter():
    code = "import fewbit.native.handle as h, sys; sys.kept = h.Handle(7, lambda a: print('freed', a)); sys.me = [sys]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
