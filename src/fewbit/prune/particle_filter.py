"""A particle filter over masks: many masks at once, the good ones multiplied, mixed and changed a little.

    w <- w exp(-(e - min e) / t),  t = max(std(e), 0.001);  resampled where 1 / sum w^2 < particles / 2

Random masks (`fewbit.prune.BestOfN`) do not learn from each other; particles do. The errors are measured without
training, and cost one evaluation per particle and round.

References:
    Anwar, Hwang, Sung 2015, "Structured pruning of deep convolutional neural networks" (arXiv 1512.08571). Weights,
    resampling and moves are ours where the paper's summary leaves them open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from torch import Tensor, nn

from fewbit.errors import ArgumentError
from fewbit.prune.arguments import check_arguments
from fewbit.prune.draws import Counts, counts_of, draw
from fewbit.prune.elements import Elements, Masks
from fewbit.prune.particle_file import Particles, load_particles, save_particles, search_of
from fewbit.prune.particle_moves import crossed, effective_size, reweighted, swapped, systematic
from fewbit.prune.score import MaskScore, Score
from fewbit.prune.search_result import Memory, SearchResult
from fewbit.settings import number, whole


@dataclass(frozen=True)
class ParticleFilter:
    """Prune by the best mask that a particle filter finds. A particle holds one mask of each of the elements.

    The first round judges the masks that `BestOfN` with the same seed tries first, and the rounds of a shorter search
    are the first ones of a longer one.

    Args:
        score: judges the network with a mask on, by development data: `ClassificationScore`, or a callable of your own.
        particles: masks in a round.
        rounds: how often all particles are judged and moved.
        crossover: probability that a particle is mixed with another one.
        mutation: probability for each element, or each pattern, that it is swapped; default 2 by the number of them.
        elite: the best particles of a round, which stay in the next one as they are.
        seed: the same seed gives the same masks.
        rescore: a second score, on other development data, by which the choice among the `keep` best is made.
        keep: how many masks `rescore` sees.
        checkpoint: a file that is written after each round; if it exists, the search goes on from it, and ends in the
            masks of a search that was never interrupted. The file knows the network and the settings, not the score.

    Raises:
        ArgumentError: a number is out of range, or all particles are elite.
        FileFormatError: the checkpoint is of another search.
        PruningError: every score is NaN.

    Examples:
        >>> from fewbit.prune import Owned
        >>> layer = nn.Linear(1, 20, bias=False)
        >>> rows = Elements("fc", "channels", 20, (Owned("", "weight", torch.arange(20)[:, None]),))
        >>> search = ParticleFilter(lambda model: float(model.weight.abs().sum()), particles=10, rounds=4)
        >>> result = search.search(layer, [rows], 0.5)
        >>> int(result.masks["fc"].sum()), len(result.log) == search.evaluations
        (10, True)
        >>> result.best_errors[-1] < result.best_errors[9]  # better than the best of the first, random round
        True

    References:
        Anwar, Hwang, Sung 2015 (arXiv 1512.08571).
    """

    score: MaskScore
    particles: Annotated[int, whole(2)] = 50
    rounds: Annotated[int, whole(1)] = 10
    crossover: Annotated[float, number(0, 1)] = 0.5
    mutation: Annotated[float | None, number(0, 1)] = None
    elite: Annotated[int, whole(0)] = 2
    seed: int = 0
    rescore: MaskScore | None = None
    keep: Annotated[int, whole(1)] = 5
    checkpoint: str | Path | None = None

    def __post_init__(self) -> None:
        check_arguments(self)
        if self.elite >= self.particles:
            raise ArgumentError(
                f"ParticleFilter: {self.elite} of {self.particles} particles are elite; wanted some that move"
            )

    @property
    def evaluations(self) -> int:
        """How many masks the whole search judges, without those that `rescore` sees."""
        return self.particles * self.rounds

    def __call__(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> Masks:
        return self.search(model, elements, ratio).masks

    def search(self, model: nn.Module, elements: Sequence[Elements], ratio: float) -> SearchResult:
        """The masks, and the scores of all that were tried."""
        counts = counts_of(elements, ratio)
        state = self._first(elements, counts)
        search: dict[str, object] = {}
        if self.checkpoint is not None:
            search = search_of(self, model, elements, ratio)
            if Path(self.checkpoint).is_file():
                state = load_particles(self.checkpoint, search, self.rounds)
        memory, generator = state.memory, state.generator
        while state.rounds < self.rounds:
            scores = [memory.evaluate(model, elements, state.mask(i), self.score) for i in range(self.particles)]
            masks, weights = self._moved(state, scores, counts, elements)
            state = Particles(masks, weights, generator, memory, state.rounds + 1)
            if self.checkpoint is not None:
                save_particles(self.checkpoint, search, state)
        return SearchResult(memory.best(model, elements, self.rescore), tuple(memory.log))

    def _first(self, elements: Sequence[Elements], counts: Counts) -> Particles:
        generator = torch.Generator().manual_seed(self.seed)
        drawn = [draw(elements, counts, generator) for _ in range(self.particles)]
        masks = {name: torch.stack([one[name] for one in drawn]) for name in counts}
        return Particles(masks, self._equal_weights(), generator, Memory(self.keep), rounds=0)

    def _equal_weights(self) -> Tensor:
        return torch.full((self.particles,), 1 / self.particles, dtype=torch.float64)

    def _moved(
        self, state: Particles, scores: Sequence[Score], counts: Counts, elements: Sequence[Elements]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The next masks and their weights; the elite comes first."""
        weights = reweighted(state.weights, scores)
        ranking = sorted(range(self.particles), key=lambda i: scores[i].rank)
        elite = torch.tensor(ranking[: self.elite], dtype=torch.long)
        if effective_size(weights) < self.particles / 2:
            chosen = torch.cat([elite, systematic(weights, self.particles - self.elite, state.generator)])
            weights = self._equal_weights()
        else:
            chosen = torch.cat([elite, torch.tensor(sorted(ranking[self.elite :]))])
            weights = weights[chosen]
        masks = {name: masks[chosen] for name, masks in state.masks.items()}
        patterns = {each.name: each.patterns for each in elements}
        masks = crossed(masks, weights, self.elite, self.crossover, counts, state.generator, patterns)
        size = sum(each.blocks for each in elements)
        rate = min(1.0, 2 / size) if self.mutation is None else self.mutation
        moved = {name: swapped(mask, self.elite, rate, state.generator, patterns[name]) for name, mask in masks.items()}
        return moved, weights
