"""How a command line of typer runs: an error of fewbit is one message and exit code 1, never a traceback."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer

from fewbit.cli.output import print_error
from fewbit.errors import FewbitError


def run_app(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code.

    Args:
        app: of the commands.
        arguments: default those of the process; with ``--debug`` an error shows its traceback.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    command: Callable[..., Any] = typer.main.get_command(app)
    try:
        result = command(args=[a for a in given if a != "--debug"], standalone_mode=False)
        return result if isinstance(result, int) else 0
    except FewbitError as error:
        if "--debug" in given:
            raise
        print_error(str(error), getattr(error, "__notes__", []))
        return 1
    except BrokenPipeError:
        return 0
    except OSError as error:
        if "--debug" in given:
            raise
        print_error(str(error))
        return 1
    except KeyboardInterrupt:
        print_error("interrupted; a command that keeps its runs resumes when it is called again")
        return 130
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # usage errors of the parser
            error.show()
            return int(error.exit_code)
        raise
