"""Laws of the tree beam search, for the reference and the native one."""

import math
import os
from itertools import groupby, product
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fewbit.decode import Final, Partial, TreeBeam
from fewbit.native import beam
from fewbit.testing import check_decoder, splits
from fewbit.text import Alphabet

LETTERS = Alphabet(("a", "b", " "))
FRAME = 0.5
UNLIMITED = {"width": 1 << 20, "depth": 1000, "endpoint_seconds": 1e9}
SMALL = {"width": 5, "depth": 2, "prune_interval": 3, "endpoint_seconds": 2.0, "longest_seconds": 8.0}

logits = st.floats(-8, 8) | st.just(-math.inf)
few_frames = st.integers(0, 5).flatmap(lambda n: arrays(np.float64, (n, 4), elements=logits))
frames = st.integers(0, 60).flatmap(lambda n: arrays(np.float64, (n, 4), elements=st.floats(-6, 6)))
cuts = st.lists(st.integers(0, 60), max_size=5)


class Bigram:
    """ln P of a label after the one before it; what it says depends on the whole text, for the sake of the test."""

    alphabet = LETTERS

    def __init__(self, seed=0, weight=0.7):
        ln = np.log(np.random.default_rng(seed).dirichlet(np.ones(3), size=(7, 4)))
        self.ln = np.pad(weight * ln, ((0, 0), (0, 0), (1, 0))).astype(np.float32)

    def start(self):
        return (0, 0), self.ln[0, 0]

    def step(self, states, labels):
        after = [((3 * total + label) % 7, label) for (total, _), label in zip(states, labels, strict=True)]
        return after, np.stack([self.ln[state] for state in after])

    def native(self):
        return None


def decoder(kind, scorer=None, **options):
    """A decoder whose search is the reference, or the native one."""
    made = TreeBeam(LETTERS, FRAME, scorer, **options)
    with patch.dict(os.environ, {"FEWBIT_TARGET": "reference"} if kind == "reference" else {}):
        assert type(made._search).__name__.lower().startswith(kind)
    return made


KINDS = ["reference", pytest.param("native", marks=pytest.mark.skipif(not beam.functions(), reason="no library"))]
few = settings(deadline=None, max_examples=30)
both = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _no_forced_target(monkeypatch):
    monkeypatch.delenv("FEWBIT_TARGET", raising=False)


def strings(scores, scorer, bonus):
    """Oracle: every string of labels with the logarithm of what all its paths have in sum."""
    ln = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True) if len(scores) else scores
    found = {}
    for path in product(range(4), repeat=len(ln)):
        string = tuple(k for k, _ in groupby(path) if k)
        found[string] = np.logaddexp(found.get(string, -np.inf), sum(ln[t, k] for t, k in enumerate(path)))
    for string in found:
        found[string] += bonus * len(string)
        if scorer is not None and string:
            state, row = scorer.start()
            for k in string:
                found[string] += row[k]
                (state,), (row,) = scorer.step([state], [k])
    return {LETTERS.decode(string): score for string, score in found.items() if score > -np.inf}


def check_all_strings(kind, scores, scorer, bonus):
    beam = decoder(kind, scorer, insertion_bonus=bonus, **UNLIMITED)
    _, state = beam.step(scores, beam.init_state())
    wanted = strings(scores, scorer, bonus)
    got = {best.text: best.score for best in beam.nbest(state, 10_000)}
    assert got.keys() == wanted.keys()
    assert all(abs(got[text] - wanted[text]) < 1e-9 for text in wanted)
    order = [best.score for best in beam.nbest(state, 10_000)]
    assert order == sorted(order, reverse=True)


@both
@few
@given(few_frames.filter(lambda x: (x > -np.inf).any(axis=1).all()), st.floats(-2, 2))
def test_an_unlimited_beam_sums_all_paths_of_every_string(kind, scores, bonus):
    check_all_strings(kind, scores, None, bonus)


@few
@given(few_frames.filter(lambda x: (x > -np.inf).any(axis=1).all()), st.floats(-2, 2), st.integers(0, 9))
def test_a_language_model_counts_once_for_each_label(scores, bonus, seed):
    check_all_strings("reference", scores, Bigram(seed), bonus)


@both
@few
@given(frames, cuts, st.booleans())
def test_any_split_gives_equal_events(kind, scores, cuts, model):
    scorer = Bigram() if model and kind == "reference" else None
    check_decoder(decoder(kind, scorer, insertion_bonus=0.5, **SMALL), scores, cuts)


@pytest.mark.skipif(not beam.functions(), reason="no library")
@few
@given(
    frames,
    st.integers(1, 7),
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from([0.5, 2.0, 1e9]),
    st.sampled_from([1.0, 0.9, 0.3]),
    st.sampled_from([-math.inf, -1.5]),
)
def test_native_and_reference_are_equal(scores, width, depth, interval, endpoint, skip, floor):
    options = {"width": width, "depth": depth, "prune_interval": interval, "show_interval": interval}
    options |= {
        "endpoint_seconds": endpoint,
        "longest_seconds": 6.0,
        "blank_skip": skip,
        "label_floor": floor,
        "insertion_bonus": 0.3,
    }
    said = []
    for kind in ("reference", "native"):
        beam = decoder(kind, **options)
        events, state = beam.step(scores, beam.init_state())
        said.append((events, beam.finish(state), beam.nbest(state, 99), beam.nodes(state)))
    assert said[0] == said[1]


@both
@few
@given(frames, cuts, st.sampled_from([2.0, 1e9]))
def test_what_is_committed_never_changes(kind, scores, cuts, endpoint):
    beam = decoder(kind, **SMALL | {"endpoint_seconds": endpoint, "longest_seconds": 1e9})
    sure, events = "", check_decoder(beam, scores, cuts)
    for event in events:
        assert event.text.startswith(sure)
        sure = event.text[: event.stable] if isinstance(event, Partial) else ""
        assert event.text.strip() == event.text


def check_depths(kind, scores, depth, interval):
    """Active strings lie between the root and the bound below it, so their lengths differ by no more."""
    beam = decoder(kind, width=1 << 12, depth=depth, prune_interval=interval, endpoint_seconds=1e9)
    bound, state = 2 * depth + 2 * interval, beam.init_state()
    most = 0
    for frame in scores:
        _, state = beam.step(frame[None], state)
        lengths = [len(best.text) for best in beam.nbest(state, 1 << 12)]
        assert max(lengths) - min(lengths) <= bound
        most = max(most, max(lengths) - min(lengths))
    return most, bound


@both
@settings(deadline=None, max_examples=10)
@given(st.integers(0, 8).flatmap(lambda n: arrays(np.float64, (n, 3), elements=st.floats(-3, 3))))
def test_no_string_is_longer_than_the_bound(kind, scores):
    with patch(f"{__name__}.LETTERS", Alphabet(("a", "b"))):
        check_depths(kind, scores, 1, 1)


@both
@pytest.mark.parametrize(("depth", "interval"), [(1, 1), (1, 2), (2, 1)])
def test_the_bound_is_reached_where_the_best_string_stays_short(kind, depth, interval):
    """Blanks are likely, so the root stays; what is as deep as the bound gets no more labels."""
    scores = np.log([[0.8, 0.1, 0.1]] * 8)
    with patch(f"{__name__}.LETTERS", Alphabet(("a", "b"))):
        most, bound = check_depths(kind, scores, depth, interval)
    assert most == bound


@both
@few
@given(frames)
def test_a_cut_loses_nothing(kind, scores):
    def words(**longest):
        beam = decoder(kind, **SMALL | {"endpoint_seconds": 1e9} | longest)
        events, state = beam.step(scores, beam.init_state())
        finals = [event for event in events + beam.finish(state) if isinstance(event, Final)]
        return "".join(event.text for event in finals).replace(" ", ""), finals

    whole, _ = words(longest_seconds=1e9)
    cut, finals = words(longest_seconds=3.0)
    assert cut == whole
    for final in finals:
        starts = [label.start for label in final.labels]
        assert starts == sorted(starts)
        assert all(label.start <= label.end for label in final.labels)
        assert "".join(label.name for label in final.labels) == final.text


@both
@few
@given(frames, st.integers(0, 60))
def test_a_saved_state_goes_on_as_if_it_had_not_been(kind, scores, cut):
    scorer = Bigram() if kind == "reference" else None
    beam = decoder(kind, scorer, **SMALL)
    first, rest = splits(len(scores), [cut])[:2] if 0 < cut < len(scores) else (slice(0, cut), slice(cut, None))
    _, state = beam.step(scores[first], beam.init_state())
    saved = beam.save(state)
    again = decoder(kind, scorer, **SMALL).restore(saved)
    assert beam.step(scores[rest], state)[0] == beam.step(scores[rest], again)[0]
    assert beam.nbest(state) == beam.nbest(again)
    assert beam.save(again) == saved


@both
def test_memory_stays_bounded_on_an_endless_stream(kind):
    rng = np.random.default_rng(0)
    beam = decoder(kind, width=6, depth=3, prune_interval=2, endpoint_seconds=1e9, longest_seconds=20.0)
    state, most, sizes = beam.init_state(), 1 + 6 * 2 * (3 + 2), []
    for _ in range(40 if kind == "reference" else 200):
        _, state = beam.step(rng.normal(0, 3, (20, 4)), state)
        assert beam.nodes(state) <= most
        assert len(state.text) <= 20.0 / FRAME + 3 + 2 + 2
        sizes.append(len(beam.save(state)))
    assert max(sizes[len(sizes) // 2 :]) <= 1.2 * max(sizes[: len(sizes) // 2])
