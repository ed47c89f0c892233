"""A copy of the source in which mutants are tried one after the other."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.mutants import isolated_tests
from scripts.mutants.mutant import Mutant, StaleMutantError

Outcome = Literal["killed", "survived", "timed out", "did not apply", "not judged"]
SLOWER = 3
"""A mutant timed out if its tests take so many times longer with it: other jobs of the machine do not explain that."""
BUILD_SECONDS = 900.0
"""For the library, which is built whole at first and then file by file."""
OPTIONS = ("-q", "-x", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:randomly", "-m", "not slow")


@dataclass(frozen=True)
class Trial:
    """What came of a mutant.

    Args:
        mutant: which.
        outcome: ``not judged`` where the tests could not decide: there are none, or they fail without the mutant too.
        by: the test that failed first, or a remark.
        seconds: that it took.
    """

    mutant: Mutant
    outcome: Outcome
    by: str
    seconds: float


class Workshop:
    """A copy of a source tree in a folder, with a library of its own for mutants of native code.

    Args:
        root: of the source tree, which is never written to.
        folder: for the copy.
        files: paths from `root`; default those that git knows or does not ignore.
        library: the native library for mutants of Python files.
        seconds: limit of the tests of a mutant.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        *,
        files: Sequence[str] | None = None,
        library: Path | None = None,
        seconds: float = 300.0,
    ) -> None:
        self.folder, self.library, self.seconds = folder.resolve(), library, seconds
        self.built: Path | None = None
        for name in _listed(root) if files is None else files:
            if (root / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, self.folder / name)

    def try_out(self, mutant: Mutant) -> Trial:
        """Put the fault in, run its tests, take it out again."""
        start, path = time.perf_counter(), self.folder / mutant.path
        if mutant.is_native and self.built is None and not self._build():
            return Trial(mutant, "not judged", "the library cannot be built", time.perf_counter() - start)
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        try:
            path.write_text(mutant.apply(text), encoding="utf-8")
            outcome, by = self._judge(mutant, text)
        except StaleMutantError as error:
            outcome, by = "did not apply", str(error)
        finally:
            if path.is_file():
                path.write_text(text, encoding="utf-8")
        return Trial(mutant, outcome, by, time.perf_counter() - start)

    def confirm(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials, where those whose test fails without a mutant too are ``not judged``."""
        named = [trial for trial in trials if trial.outcome == "killed" and trial.by.startswith("tests/")]
        suspects: set[str] = set()
        for native in (False, True):
            tests = sorted({trial.by for trial in named if trial.mutant.is_native == native})
            if tests:
                suspects |= self._failing(tests, native, self.seconds + 30 * len(tests))
        return [
            Trial(trial.mutant, "not judged", f"fails without the mutant too: {trial.by}", trial.seconds)
            if trial in named and trial.by in suspects
            else trial
            for trial in trials
        ]

    def _failing(self, tests: Sequence[str], native: bool, seconds: float) -> set[str]:
        """Those of the tests that fail as the source is now; all of them where that is not known."""
        if native and not self._build():
            return set(tests)
        try:
            code, failed, _ = self._run(tests, native, seconds, "--maxfail=0")
        except subprocess.TimeoutExpired:
            return set(tests)
        return set(failed) if failed or code == 0 else set(tests)

    def _judge(self, mutant: Mutant, original: str) -> tuple[Outcome, str]:
        if mutant.is_native and not self._build():
            return "killed", "the compiler"
        try:
            code, failed, told = self._run(mutant.tests, mutant.is_native, self.seconds)
        except subprocess.TimeoutExpired:
            if self._pass_without(mutant, original, self.seconds / SLOWER):
                return "timed out", f"more than {self.seconds:.0f} s"
            return "not judged", f"{self.seconds:.0f} s are less than {SLOWER} times what its tests take without it"
        if code == 0:
            return "survived", ", ".join(mutant.tests)
        if failed:
            return "killed", failed[0]
        if code < 0 and self._pass_without(mutant, original, self.seconds):
            return "killed", f"signal {-code}"
        return "not judged", f"no test failed, and the process ended with {code}: {told}"

    def _pass_without(self, mutant: Mutant, original: str, seconds: float) -> bool:
        """Whether the tests of a mutant pass without it in so many seconds."""
        (self.folder / mutant.path).write_text(original, encoding="utf-8")
        return not self._failing(mutant.tests, mutant.is_native, seconds)

    def _run(self, tests: Sequence[str], native: bool, seconds: float, *more: str) -> tuple[int, list[str], str]:
        """Exit code of pytest, which tests failed, and the end of what was said."""
        script = str(Path(isolated_tests.__file__))
        library = self.built if native else self.library
        paths = os.pathsep.join(map(str, (self.folder / "src", self.folder)))
        environment = os.environ | {
            "PYTHONPATH": paths,
            "PYTHONDONTWRITEBYTECODE": "1",  # a stale .pyc of the same size and second would hide a mutant
            "OMP_NUM_THREADS": "1",
            **({} if library is None else {"FEWBIT_LIBRARY": str(library)}),
        }
        command = [sys.executable, "-P", script, *OPTIONS, *more, "--hypothesis-seed=0", *tests]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        lines = done.stdout.splitlines()
        failed = [line.removeprefix(isolated_tests.FAILED) for line in lines if line.startswith(isolated_tests.FAILED)]
        return done.returncode, failed, " ".join([*lines, *done.stderr.splitlines()])[-200:]

    def _build(self) -> bool:
        """Build what changed; whether it worked. Plain code and few optimizations: a mutant is about meaning."""
        made = self.folder / "build" / "mutants"
        options = ("-DFEWBIT_PLAIN=ON", "-DCMAKE_BUILD_TYPE=Quick", "-DCMAKE_CXX_FLAGS=-O1")
        commands = [["cmake", "--build", str(made), "--parallel", "1", "--target", "fewbit_native"]]
        if self.built is None:
            commands.insert(0, ["cmake", "-S", str(self.folder), "-B", str(made), *options])
        for command in commands:
            try:
                done = subprocess.run(command, capture_output=True, timeout=BUILD_SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired):
                return False
            if done.returncode:
                return False
        self.built = made / "libfewbit_native.so"
        return True


def _listed(root: Path) -> list[str]:
    """Files that git knows or does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name]
