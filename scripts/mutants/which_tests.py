"""Which files carry meaning, and which tests are meant to notice a fault in each."""

from pathlib import Path

ROOMS: dict[str, tuple[str, ...]] = {
    "src/fewbit/formats": ("tests/formats", "tests/laws/test_quantizers.py"),
    "src/fewbit/quant": ("tests/laws/test_quantizers.py", "tests/quant"),
    "src/fewbit/distill": ("tests/laws/test_objectives.py", "tests/distill"),
    "src/fewbit/train": ("tests/laws/test_objectives.py", "tests/train"),
    "src/fewbit/passes": ("tests/laws/test_passes.py", "tests/passes"),
    "src/fewbit/decode": ("tests/decode", "tests/laws/test_beam.py"),
    "src/fewbit/lower": ("tests/lower", "tests/laws/test_programs.py"),
    "src/fewbit/program": ("tests/program", "tests/laws/test_programs.py", "tests/laws/test_costs.py", "tests/golden"),
    "studies/evidence": ("tests/studies",),
}
"""Folders of Python files, and their tests; a file with a test of its own name has that first."""
NATIVE: dict[str, tuple[str, ...]] = {
    "csrc/beam": ("tests/decode/test_tree_beam.py", "tests/laws/test_beam.py"),
    "csrc/ngram": ("tests/decode/test_ngram_scorer.py",),
    "csrc/word": ("tests/decode/test_ngram_scorer.py",),
    "csrc/network_scorer": ("tests/decode/test_tree_beam.py",),
    "csrc/online_ctc": ("tests/train/test_online_ctc.py",),
    "csrc/training": ("tests/nn",),
    "csrc/": ("tests/native", "tests/laws/test_native.py", "tests/laws/test_graphs.py"),
}
"""Beginnings of the names of C++ files, and their tests; the first that fits."""
NOT_BUILT = ("csrc/target_a", "csrc/target_neon", "csrc/target_dotprod", "csrc/tests/")
"""Code of other processors and of the test program, which the plain library does not hold."""


def python_files(root: Path) -> dict[str, tuple[str, ...]]:
    """Python files that carry meaning, from `root`, and their tests."""
    found = {}
    for room, tests in ROOMS.items():
        for path in sorted((root / room).rglob("*.py")):
            if path.name != "__init__.py":
                found[path.relative_to(root).as_posix()] = (*own_tests(root, room, path.stem), *tests)
    return found


def native_files(root: Path) -> dict[str, tuple[str, ...]]:
    """C++ files that carry meaning, from `root`, and their tests."""
    found = {}
    for path in sorted((root / "csrc").glob("*.cpp")) + sorted((root / "csrc").glob("*.h")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(NOT_BUILT):
            found[name] = next(tests for start, tests in NATIVE.items() if name.startswith(start))
    return found


def own_tests(root: Path, room: str, stem: str) -> tuple[str, ...]:
    """The test file that mirrors a source file, where there is one."""
    mirror = f"tests/{room.removeprefix('src/fewbit/').partition('/')[0]}/test_{stem}.py"
    return (mirror,) if (root / mirror).is_file() else ()
