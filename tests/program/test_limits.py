"""Both languages state the same limits."""

import re
from pathlib import Path

from fewbit.program import limits

HEADER = Path(__file__).parents[2] / "csrc" / "limits.h"


def test_the_native_library_has_the_limits_of_python():
    stated = re.findall(r"constexpr \w+ kMax(\w+) = ([^;]+);", HEADER.read_text())
    native = {"MAX" + re.sub("([A-Z])", r"_\1", name).upper(): eval(value) for name, value in stated}
    ours = {name: getattr(limits, name, None) for name in native}
    assert native == ours
    assert {"MAX_FRAME_SIZE", "MAX_BIAS", "MAX_SHIFT"} <= native.keys()
