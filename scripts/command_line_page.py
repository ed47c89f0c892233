"""Write the commands and their options into the site: a hook of mkdocs.

A page says where, by a line `<!-- commands: MODULE as NAME -->`; the module has the typer app, the name is what one
types. The site is built from the commands as they are, so the page cannot be out of date.
"""

import re
import subprocess
import sys
from typing import Any

PLACE = re.compile(r"^<!-- commands: (?P<module>[\w.]+) as (?P<name>.+) -->$", re.MULTILINE)
LIST_OF_COMMANDS = re.compile(r"^\*\*Commands\*\*:\n\n(?:\* .*\n)+\n", re.MULTILINE)  # typer cuts its lines short
HELP = re.compile(r"^\* `--help`: .*\n", re.MULTILINE)
NO_OPTIONS = re.compile(r"^\*\*Options\*\*:\n\n(?!\*)", re.MULTILINE)


def on_page_markdown(markdown: str, **page: Any) -> str:
    """Replace every mark on a page by a section for each command."""
    return PLACE.sub(lambda mark: describe(mark["module"], mark["name"]), markdown)


def describe(module: str, name: str) -> str:
    """The commands of a typer app as Markdown, from headings of the second level on."""
    command = [sys.executable, "-m", "typer", module, "utils", "docs", "--name", name]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for part in (LIST_OF_COMMANDS, HELP, NO_OPTIONS):
        text = part.sub("", text)
    return re.sub(r"^#", "##", text, flags=re.MULTILINE)
