"""Several decoders on the same scores hear what each would hear alone."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.decode import Framewise, GreedyCTC, Label, ParallelDecoders
from fewbit.testing import splits
from fewbit.text import Alphabet

GREEDY = GreedyCTC(Alphabet(("a", "b", "c")), 0.02, silence=0.1)
FRAMES = Framewise(("blank", "a", "b", "c"), 0.02)
SCORES = np.random.default_rng(0).normal(0, 2, (120, 4))


def listen(decoder, *pieces):
    events, state = [], decoder.init_state()
    for piece in pieces:
        new, state = decoder.step(piece, state)
        events += new
    return events + decoder.finish(state)


def of_kind(events, labels):
    return [event for event in events if isinstance(event, Label) == labels]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(SCORES)), max_size=6))
def test_each_hears_what_it_hears_alone_however_the_scores_are_cut(cuts) -> None:
    events = listen(ParallelDecoders(0.02, text=GREEDY, frames=FRAMES), *(SCORES[p] for p in splits(len(SCORES), cuts)))
    assert of_kind(events, False) == listen(GREEDY, SCORES)
    assert of_kind(events, True) == listen(FRAMES, SCORES)


def test_a_decoder_that_joins_later_has_the_times_of_the_stream() -> None:
    decoders = ParallelDecoders(0.02, text=GREEDY)
    state = decoders.init_state()
    first, state = decoders.step(SCORES[:50], state)
    decoders.decoders = decoders.decoders | {"frames": FRAMES}
    second, state = decoders.step(SCORES[50:], state)
    events = first + second + decoders.finish(state)
    assert of_kind(events, False) == listen(GREEDY, SCORES)
    alone = listen(FRAMES, SCORES[50:])
    found = of_kind(events, True)
    assert [(e.name, e.prob) for e in found] == [(e.name, e.prob) for e in alone]
    assert np.allclose([(e.start - 1, e.end - 1) for e in found], [(e.start, e.end) for e in alone], atol=1e-4)


def test_a_decoder_that_leaves_is_forgotten() -> None:
    decoders = ParallelDecoders(0.02, text=GREEDY, frames=FRAMES)
    _, state = decoders.step(SCORES[:50], decoders.init_state())
    decoders.decoders = {"text": GREEDY}
    events, state = decoders.step(SCORES[50:], state)
    assert of_kind(events + decoders.finish(state), True) == []
