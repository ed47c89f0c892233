"""Mutants: each named one still fits its file, and a run on a tiny package tells killed from survived."""

import ast
import doctest
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import scripts.mutants.mutant
from scripts.mutants import native_faults, python_faults, report
from scripts.mutants.__main__ import chosen, main
from scripts.mutants.mutant import Mutant, StaleMutantError
from scripts.mutants.named import NAMED
from scripts.mutants.native_faults import native_mutants
from scripts.mutants.python_faults import python_mutants
from scripts.mutants.report import faults, line_of, summary
from scripts.mutants.which_tests import native_files, python_files
from scripts.mutants.workshop import Trial, Workshop
from tests.docs.documented import ROOT

SOURCE = '''"""Ages."""


def is_adult(age: int) -> bool:
    """Whether somebody is of age."""
    return age >= 18


def double(x: int) -> int:
    """Twice as much."""
    return x + x
'''
TESTS = """
from tiny.ages import double, is_adult


def test_ages():
    assert is_adult(30)
    assert not is_adult(3)


def test_double():
    assert double(2) == 4


def test_nothing():
    raise AssertionError
"""
GOOD = ("tests/test_ages.py::test_ages", "tests/test_ages.py::test_double")


def mutant(before, after, *tests, name="m", why=""):
    return Mutant(name, "src/tiny/ages.py", before, after, tests or GOOD, why)


@pytest.fixture
def workshop(tmp_path):
    root = tmp_path / "root"
    files = {"src/tiny/__init__.py": "", "src/tiny/ages.py": SOURCE, "tests/test_ages.py": TESTS}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Workshop(root, tmp_path / "copy", files=list(files))


@pytest.mark.parametrize("named", NAMED, ids=lambda named: named.name)
def test_a_named_mutant_still_fits_its_file(named):
    text = (ROOT / named.path).read_text(encoding="utf-8")
    changed = named.apply(text)
    assert changed != text
    if named.path.endswith(".py"):
        ast.parse(changed)
    assert named.why
    assert named.tests
    for test in named.tests:
        assert (ROOT / test.partition("::")[0]).exists()


@pytest.mark.parametrize("module", [scripts.mutants.mutant, python_faults, native_faults, report])
def test_examples_are_true(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_names_are_unique():
    assert [name for name, count in Counter(named.name for named in NAMED).items() if count > 1] == []


def test_a_run_tells_killed_from_survived_and_leaves_the_source_alone(workshop, tmp_path):
    killed = workshop.try_out(mutant("x + x", "x - x"))
    survived = workshop.try_out(mutant("age >= 18", "age > 18"))
    stale = workshop.try_out(mutant("age == 18", "age > 18"))
    assert (killed.outcome, killed.by) == ("killed", GOOD[1])
    assert (survived.outcome, stale.outcome) == ("survived", "did not apply")
    assert "its text is 0 times in src/tiny/ages.py, wanted once; renew the entry" in stale.by
    assert (tmp_path / "root" / "src/tiny/ages.py").read_text() == SOURCE
    assert (tmp_path / "copy" / "src/tiny/ages.py").read_text() == SOURCE


def test_a_file_that_cannot_be_imported_any_more_is_killed(workshop):
    trial = workshop.try_out(mutant("def double", "def triple", GOOD[0]))
    assert (trial.outcome, trial.by) == ("killed", "tests/test_ages.py")


def test_tests_that_are_not_there_or_fail_anyhow_judge_nothing(workshop):
    missing = workshop.try_out(mutant("x + x", "x - x", "tests/test_years.py"))
    assert missing.outcome == "not judged"
    failing = workshop.try_out(mutant("x + x", "x - x", "tests/test_ages.py::test_nothing"))
    good = workshop.try_out(mutant("x + x", "x - x"))
    confirmed = workshop.confirm([failing, good])
    assert [trial.outcome for trial in confirmed] == ["not judged", "killed"]
    assert "fails without the mutant too" in confirmed[0].by


def test_a_process_that_dies_is_killed_by_it_only_if_it_lives_without_the_mutant(workshop):
    died = workshop.try_out(mutant("return x + x", "__import__('os').abort()"))
    assert (died.outcome, died.by) == ("killed", "signal 6")
    (workshop.folder / "conftest.py").write_text("import os\nos.abort()\n")
    assert workshop.try_out(mutant("return x + x", "return x")).outcome == "not judged"


def test_tests_that_cannot_start_judge_nothing(workshop):
    (workshop.folder / "conftest.py").write_text("raise ImportError\n")
    assert workshop.try_out(mutant("return x + x", "return x")).outcome == "not judged"


@pytest.mark.parametrize(("without", "outcome"), [(0, "timed out"), (None, "not judged")])
def test_an_endless_mutant_is_stopped_and_judged_by_what_its_tests_take_without_it(
    workshop, without, outcome, monkeypatch
):
    texts = []

    def run(command, **about):
        assert about["timeout"] == workshop.seconds / (3 if texts else 1)
        texts.append((workshop.folder / "src/tiny/ages.py").read_text())
        if len(texts) == 1 or without is None:
            raise subprocess.TimeoutExpired(command, about["timeout"])
        return subprocess.CompletedProcess(command, without, "", "")

    monkeypatch.setattr("scripts.mutants.workshop.subprocess.run", run)
    endless = mutant("return x + x", "while True:\n        pass")
    assert workshop.try_out(endless).outcome == outcome
    assert texts == [endless.apply(SOURCE), SOURCE]


def test_a_package_that_is_found_elsewhere_judges_nothing(workshop):
    (workshop.folder / "src" / "sys").mkdir()
    (workshop.folder / "src" / "sys" / "__init__.py").write_text("")
    trial = workshop.try_out(mutant("x + x", "x - x"))
    assert trial.outcome == "not judged"
    assert "sys is imported from built-in, not from " in trial.by


def test_only_named_mutants_and_texts_that_do_not_apply_are_faults():
    rule, named = mutant("a", "b"), mutant("a", "b", why="it matters")
    trials = [Trial(one, outcome, "", 1.0) for one in (rule, named) for outcome in ("killed", "survived", "timed out")]
    trials += [Trial(rule, "did not apply", "", 1.0), Trial(named, "not judged", "", 1.0)]
    assert faults(trials) == [trials[4], trials[6], trials[7]]
    told = summary(trials, 2)
    assert told[:2] == [
        "8 mutants: 1 did not apply, 2 killed, 1 not judged, 2 survived, 2 timed out",
        "2 were not tried: the time was over",
    ]
    assert line_of(trials[4]) + "\n    it matters" in told


def test_text_that_is_there_twice_is_refused():
    with pytest.raises(StaleMutantError, match=r"its text is 2 times in src/tiny/ages\.py"):
        mutant("x", "y").apply("x + x")


def test_python_mutants_change_meaning_only_and_always_parse():
    for path, tests in list(python_files(ROOT).items())[::7]:
        text = (ROOT / path).read_text(encoding="utf-8")
        for found in python_mutants(path, text, tests):
            changed = found.apply(text)
            assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))


def test_each_kind_of_python_mutant():
    source = (
        "def f(a: int = 1) -> None:\n"
        '    """At 5 or more."""\n'
        "    a += 1\n"
        "    if not a < 2 or a - 3 == a:\n"
        '        raise ValueError(f"{a + 1}" + "7")\n'
        "    print(a)\n"
    )
    assert [found.after for found in python_mutants("a.py", source, ())] == [
        "2",
        "pass",
        "2",
        "(not a < 2 and a - 3 == a)",
        "(a < 2)",
        "(a <= 2)",
        "3",
        "(a - 3 != a)",
        "(a + 3)",
        "4",
        "pass",
        "pass",
    ]


def test_each_kind_of_native_mutant():
    source = (
        "#if A == B\n"
        "// x < y\n"
        "/* of x + 1\n   and y - 1 */\n"
        'throw_away("a < b");\n'
        "std::vector<int> v(n << 2, a && b);\n"
        'if (x >= 1) throw Error("x");\n'
        "y = x - 1;\n"
    )
    found = native_mutants("csrc/a.cpp", source, ())
    assert [one.told for one in found] == ["<< -> >>", "&& -> ||", "- -> +"]
    assert "n >> 2" in found[0].apply(source)


def test_a_seed_chooses_files_of_both_languages_and_every_choice_has_tests():
    first, again, other = (chosen(ROOT, seed, 22) for seed in (0, 0, 1))
    assert first == again != other
    assert len(first) == 22 == len({found.path for found in first})
    assert sum(found.is_native for found in first) == 7
    for found in first + other:
        assert found.apply((ROOT / found.path).read_text(encoding="utf-8"))


def test_every_file_that_carries_meaning_has_tests_that_are_there():
    files = python_files(ROOT) | native_files(ROOT)
    assert {"src/fewbit/quant/uniform.py", "studies/evidence/rows.py", "csrc/beam.cpp"} <= files.keys()
    for tests in files.values():
        assert all((ROOT / Path(test)).exists() for test in tests)
    assert python_files(ROOT)["src/fewbit/passes/sqwa.py"][0] == "tests/passes/test_sqwa.py"


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])
    assert f"no mutants ['nonsense']; there are {NAMED[0].name}" in capsys.readouterr().err
