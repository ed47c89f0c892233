"""How long networks are trained: as long as the time left allows, by what a step took in a trial of all kinds at once.

Every arm of a comparison gets the same epochs. Nothing here looks at an error.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean

from studies.gpu import letters, pictures, speech
from studies.gpu.rows import Row, of

SHARES = {"resnet20": 8.0, "hierarchical": 3.0, "an4": 3.0}
"""Of the processes; a group that is done leaves its part to the others."""
FILL = 0.85
"""Part of the time that is planned for: steps in a trial and later are not alike."""
OVERHEAD = {"resnet20": 15.0, "hierarchical": 15.0, "an4": 25.0}
"""Seconds of a job besides its steps: to start, to read data, to capture graphs, to measure."""
EPOCHS, SEEDS, ENOUGH = 150, (5, 4, 3), 60
"""Epochs wanted; seeds, of which there are fewer where more would leave less than ENOUGH epochs."""
ASSUMED = {"resnet20": 3.0, "hierarchical": 50.0, "an4": 12.0}
"""Seconds of an epoch where a trial failed."""


@dataclass(frozen=True)
class Budget:
    """Seeds and lengths of all trainings.

    epochs: of ResNet-20, float and again retrained. text_epochs: over the text; below 1, a share of it. speech_epochs:
    of each of two rounds in float; rounds of further training have their share of them.
    """

    seeds: dict[str, int]
    epochs: int
    text_epochs: float
    speech_epochs: int

    def row(self) -> Row:
        """As it is kept for a second call."""
        return {"job": "budget", "kind": "budget"} | asdict(self)


SMALL = Budget(dict.fromkeys(SHARES, 1), 2, 1, 1)


def from_row(row: Row) -> Budget:
    """The budget of an earlier call."""
    return Budget(row["seeds"], row["epochs"], row["text_epochs"], row["speech_epochs"])


def plan(trials: Sequence[Row], left: float, slots: int, groups: Collection[str] = tuple(SHARES)) -> Budget:
    """The longest trainings of which all are likely to end in `left` seconds on `slots` processes.

    Args:
        trials: rows of the trial.
        left: seconds.
        slots: processes at once.
        groups: that are to be trained; they share the slots.
    """
    whole = sum(SHARES[group] for group in groups)
    given = {group: slots * share / whole for group, share in SHARES.items()}

    def longest(group: str, units: Mapping[str, float], seeds: int, chain: float | None = None) -> float:
        chain = max(units.values()) if chain is None else chain
        return size(list(units.values()), seeds, given[group], left, OVERHEAD[group], chain)

    epoch = {arm: cost(trials, "resnet20", arm) for arm in pictures.NAMES}
    units = {arm: 0.0 if arm.startswith("direct") else seconds for arm, seconds in epoch.items()}
    chain = epoch["float"] + max(units.values())
    found = {seeds: int(min(EPOCHS, longest("resnet20", units, seeds, chain))) for seeds in SEEDS}
    seeds = next((seeds for seeds in SEEDS if found[seeds] >= ENOUGH), SEEDS[-1])
    text = {arm: cost(trials, "hierarchical", arm) for arm in letters.NAMES}
    spoken = {arm: cost(trials, "an4", arm) for arm in speech.NAMES}
    waits = max(*(spoken[arm] for arm in speech.WIDTHS), spoken["ordinary"] + max(spoken[arm] for arm in speech.TAUGHT))
    text_epochs = min(letters.EPOCHS, longest("hierarchical", text, 3))
    return Budget(
        {"resnet20": seeds, "hierarchical": 3, "an4": 3},
        max(2, found[seeds]),
        int(text_epochs) if text_epochs >= 1 else max(0.05, round(text_epochs, 2)),
        max(1, int(min(speech.EPOCHS, longest("an4", spoken, 3, waits)))),
    )


def size(units: Sequence[float], seeds: int, slots: float, left: float, overhead: float, chain: float) -> float:
    """Units of training that all jobs of a group can have.

    Args:
        units: seconds of one unit for each job of a seed.
        seeds: how often these jobs are there.
        slots: that run side by side.
        left: seconds.
        overhead: seconds of a job besides.
        chain: seconds of one unit for the jobs that must wait for each other.
    """
    by_slots = (FILL * slots * left / seeds - overhead * len(units)) / sum(units)
    by_chain = (FILL * left - 2 * overhead) / chain
    return max(0.0, min(by_slots, by_chain))


def cost(trials: Sequence[Row], group: str, arm: str) -> float:
    """Seconds of an epoch or pass of an arm, or of one that costs as much."""
    rows = of(trials, kind="trial", group=group, part=pictures.ALIKE.get(arm, arm))
    found = [row["seconds"] * row["updates"] for row in rows]
    return mean(found) if found else ASSUMED[group]
