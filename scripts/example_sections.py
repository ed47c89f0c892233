"""Show the part ``Example:`` of a docstring as code: an extension of griffe, which knows the plural only."""

import re
from typing import Any

from griffe import Extension, Object

TITLE = re.compile(r"^Example:$", re.MULTILINE)


class ExampleSections(Extension):
    """Titles of examples in the plural, for the site."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called for everything that griffe has read."""
        if obj.docstring is not None:
            obj.docstring.value = TITLE.sub("Examples:", obj.docstring.value)
