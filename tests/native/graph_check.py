"""The comparison of native runs of a graph with the reference."""

import numpy as np

from fewbit.native import targets
from fewbit.program import Reference
from fewbit.program.graph import make_graph
from fewbit.program.native_run import Native, fits
from tests.native.graph_draft import Draft

FRAMES = (0, 1, 2, 5, 17, 33)


def features(draft: Draft, frames: int) -> np.ndarray:
    """Random features, and symbols where those are read."""
    x = draft.rng.normal(size=(frames, draft.features)).astype(np.float32)
    x[draft.rng.random(x.shape) < 0.05] = 1e30
    for first, (places, rows) in draft.symbols.items():
        x[:, first : first + places] = draft.rng.integers(0, rows, (frames, places))
    return x


def check(draft: Draft) -> bool:
    """Native runs of a graph give the integers of the reference, in one piece and in several, on every target."""
    graph = make_graph(draft.ops)
    if not fits(draft.ops):
        return False
    rng, frames = draft.rng, draft.choose(FRAMES)
    x, ends = features(draft, frames), draft.chance(0.5)
    wanted, _ = (reference := Reference(draft.ops)).step(x, reference.init_state(), ends)
    states = []
    for target in targets():
        native = Native(draft.ops, target, draft.number(1, 2), draft.choose((1, 2, 3, 16, 64)))
        assert native.value_bytes > 0
        got, state = native.step(x, native.init_state(), ends)
        assert np.array_equal(got, wanted), (target, graph.ops)
        states.append(state)
        if graph.whole is None:
            cuts = np.sort(rng.integers(0, frames + 1, draft.number(0, 5)))
            pieces, state = np.split(x, cuts), native.init_state()
            parts = []
            for i, piece in enumerate(pieces):
                part, state = native.step(piece, state, ends and i + 1 == len(pieces))
                parts.append(part)
            assert np.array_equal(np.concatenate(parts), wanted), (target, graph.ops, cuts)
            states.append(state)
        if ends:
            assert np.array_equal(state, native.init_state())
    assert all(np.array_equal(state, states[0]) for state in states), graph.ops
    return True
