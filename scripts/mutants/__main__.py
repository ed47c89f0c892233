"""Put fifty small faults into copies of the source and print those that no test notices.

python -m scripts.mutants [--only NAME ... | --by-rule] [--seed N] [--count N] [--seconds N] [--minutes N]

The exit code is 1 if a named mutant survives, cannot be judged, or no longer applies.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from fewbit.native.library import find_library
from scripts.mutants.mutant import Mutant
from scripts.mutants.named import NAMED
from scripts.mutants.native_faults import native_mutants
from scripts.mutants.python_faults import python_mutants
from scripts.mutants.report import faults, line_of, summary
from scripts.mutants.which_tests import native_files, python_files
from scripts.mutants.workshop import Workshop

ROOT = Path(__file__).parents[2]
NATIVE_SHARE = 3
"""One mutant by rule in so many is one of C++."""


def chosen(root: Path, seed: int, count: int) -> list[Mutant]:
    """Mutants by rule: `count` files drawn with `seed`, and one mutant of each."""
    draw = random.Random(seed)
    native = count // NATIVE_SHARE
    found = []
    for files, make, many in (
        (python_files(root), python_mutants, count - native),
        (native_files(root), native_mutants, native),
    ):
        made = _all(root, files, make)
        found += [draw.choice(made[name]) for name in draw.sample(sorted(made), min(many, len(made)))]
    return found


def _all(root: Path, files: Mapping[str, tuple[str, ...]], make: object) -> dict[str, list[Mutant]]:
    assert callable(make)
    made = {name: make(name, (root / name).read_text(encoding="utf-8"), tests) for name, tests in files.items()}
    return {name: mutants for name, mutants in made.items() if mutants}


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="named mutants, and none by rule")
    parser.add_argument("--by-rule", action="store_true", help="none that are named")
    parser.add_argument("--seed", type=int, default=0, help="of the mutants by rule")
    parser.add_argument("--count", type=int, default=22, help="of the mutants by rule")
    parser.add_argument("--seconds", type=float, default=300, help="limit of the tests of a mutant")
    parser.add_argument("--minutes", type=float, default=90, help="no mutant is begun after so many")
    given = parser.parse_args(arguments)
    if given.only:
        unknown = set(given.only) - {mutant.name for mutant in NAMED}
        if unknown:
            parser.error(f"no mutants {sorted(unknown)}; there are {', '.join(mutant.name for mutant in NAMED)}")
        mutants = [mutant for mutant in NAMED if mutant.name in given.only]
    else:
        mutants = [*([] if given.by_rule else NAMED), *chosen(ROOT, given.seed, given.count)]
    mutants.sort(key=lambda mutant: mutant.is_native)
    begin, trials = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(ROOT, Path(folder), library=find_library(), seconds=given.seconds)
        for mutant in mutants:
            if time.monotonic() - begin > 60 * given.minutes:
                break
            trials.append(workshop.try_out(mutant))
            print(line_of(trials[-1]), flush=True)
        trials = workshop.confirm(trials)
    print("\n".join(summary(trials, len(mutants) - len(trials))))
    return 1 if faults(trials) else 0


if __name__ == "__main__":
    sys.exit(main())
