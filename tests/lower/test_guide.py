"""The table of operators in the guide is that of the rules."""

import operator
import re
from pathlib import Path

from fewbit.lower import network  # noqa: F401  (it enters the rules)
from fewbit.lower.remedies import REMEDIES
from fewbit.lower.rules import RULES

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "pack-your-own-model.md"
INSIDE = {"prelu_kernel"}
"""What prelu is in some versions of torch."""


def test_the_guide_lists_the_operators_that_have_a_rule():
    section = GUIDE.read_text().partition("## Operators\n")[2]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    known = set()
    for target in RULES:
        if target is operator.getitem:
            continue
        space, _, name = target.overloadpacket._qualified_op_name.partition("::")
        if space == "aten":
            known.add(name.strip("_"))
    assert len(listed) == len(set(listed))
    assert set(listed) == known - INSIDE


def test_what_has_a_remedy_has_no_rule():
    assert not set(REMEDIES) & set(RULES)
