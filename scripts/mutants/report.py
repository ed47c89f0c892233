"""What a run of mutants tells."""

from collections import Counter
from collections.abc import Sequence

from scripts.mutants.workshop import Trial


def line_of(trial: Trial) -> str:
    """A row of the table: outcome, seconds, name, change, and which test decided.

    Examples:
        >>> from scripts.mutants.mutant import Mutant
        >>> line_of(Trial(Mutant("flip", "a.py", "x < 1", "x <= 1", ("tests",)), "survived", "tests", 2.0))
        'survived         2 s  flip  [x < 1 -> x <= 1]  tests'
    """
    return f"{trial.outcome:13}{trial.seconds:5.0f} s  {trial.mutant.name}  [{trial.mutant.told}]  {trial.by}"


def summary(trials: Sequence[Trial], untried: int) -> list[str]:
    """The counts, then all that survived or could not be tried, with the reason why a named one matters."""
    counts = Counter(trial.outcome for trial in trials)
    told = [f"{len(trials)} mutants: " + ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))]
    if untried:
        told.append(f"{untried} were not tried: the time was over")
    left = [trial for trial in trials if trial.outcome not in ("killed", "timed out")]
    return told + [line_of(trial) + (f"\n    {trial.mutant.why}" if trial.mutant.why else "") for trial in left]


def faults(trials: Sequence[Trial]) -> list[Trial]:
    """Trials of named mutants that no test noticed, and those of all that did not apply."""
    return [
        trial
        for trial in trials
        if trial.outcome == "did not apply" or (trial.mutant.why and trial.outcome in ("survived", "not judged"))
    ]
