"""Run tests on the packages below the working folder, and say which failed; a script for a process of its own.

Exit codes are those of pytest, and `ELSEWHERE` where a package would be imported from another folder: an installed one
would hide the mutant, which would then survive every test.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ELSEWHERE = 97
FAILED = "failed: "


class Failures:
    """A plugin that remembers the tests that failed, and files that could not be imported."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings  # before pytest is set up, it may not be imported

        # The first example that fails will do; a smaller one would take a minute to find.
        settings.register_profile("mutants", database=None, phases=[Phase.explicit, Phase.generate])
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.names.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.names.append(report.nodeid)


def main(arguments: list[str]) -> int:
    """Run the tests that the arguments of pytest name; the exit code."""
    # An editable installation may look packages up by itself, before the folders of the path.
    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("_editable")]
    root = Path.cwd().resolve()
    for package in (root / "src").glob("*/__init__.py"):
        found = find_spec(package.parent.name)
        origin = Path(found.origin or "") if found else Path()
        if not origin.is_file() or root not in origin.resolve().parents:
            print(f"{package.parent.name} is imported from {origin}, not from {root}")
            return ELSEWHERE
    failures = Failures()
    code = int(pytest.main(arguments, plugins=[failures]))
    for name in failures.names:
        print(f"{FAILED}{name}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
