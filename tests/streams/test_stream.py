"""Sessions: sound in, events out, whatever the chunks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.decode import Final, Framewise, Label
from fewbit.errors import ArgumentError, AudioError, DecodeError, LoweringError
from fewbit.features import LogMel, Resampler
from fewbit.program.numerics import Q10
from fewbit.streams import Session, run, stream
from fewbit.testing import splits

RATE = 8000


def noise(seconds=2.0, rate=RATE, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * rate)).astype(np.float32)


def listen(session, *chunks):
    events = [event for chunk in chunks for event in session.step(chunk)]
    return events + session.finish()


def test_the_network_has_much_to_say_about_noise(listener):
    # Without this the equalities below would compare little with little.
    events = listen(Session(listener), noise())
    assert len(events) > 20
    assert len({event.text for event in events}) > 20


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2 * RATE), max_size=8))
def test_any_split_gives_the_same_events(listener, cuts):
    sound = noise()
    pieces = [sound[piece] for piece in splits(len(sound), cuts)]
    assert listen(Session(listener), *pieces) == listen(Session(listener), sound)


def test_single_samples_give_the_same_events(listener):
    sound = noise(0.2)
    assert listen(Session(listener), *sound[:, None]) == listen(Session(listener), sound)


def test_sessions_on_one_program_do_not_hear_each_other(listener):
    sounds = [noise(seed=seed) for seed in (1, 2)]
    alone = [listen(Session(listener), sound) for sound in sounds]
    assert alone[0] != alone[1]
    sessions, together = [Session(listener), Session(listener)], [[], []]
    for start in range(0, 2 * RATE, 1000):
        for session, sound, events in zip(sessions, sounds, together, strict=True):
            events += session.step(sound[start : start + 1000])
    assert [events + session.finish() for session, events in zip(sessions, together, strict=True)] == alone


def test_a_session_runs_features_network_and_decoder_one_after_the_other(listener):
    sound = noise()
    frames = LogMel(mels=8, sample_rate=RATE)(np.concatenate([sound, np.zeros(RATE // 2, np.float32)]))
    scores, _ = listener.step(frames, listener.init_state())
    decoder = Framewise(("blank", "a", "b", "c"), 0.02)
    wanted, state = decoder.step(scores / Q10, decoder.init_state())
    assert listen(Session(listener, decoder), sound) == wanted + decoder.finish(state)


def test_times_count_the_stride_of_the_network(listener):
    events = listen(Session(listener, Framewise("_abc", 0.02)), noise())
    assert isinstance(events[-1], Label)
    assert events[-1].end == pytest.approx(2.5, abs=0.05)  # with the silence at the end
    assert Session(listener).decoder.frame_seconds == pytest.approx(0.02)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_other_rates_are_resampled(rate, listener):
    sound = noise(rate=rate)
    session = Session(listener, sample_rate=rate)
    events = listen(session, sound[:5000], sound[5000:])
    assert session.seconds == pytest.approx(2.0)
    assert events == listen(Session(listener), Resampler(rate, RATE).step(sound, last=True))
    assert events != listen(Session(listener), sound)


@pytest.mark.parametrize("rate", [RATE, 16_000])
@pytest.mark.parametrize("broken", [np.array([0.1, np.nan]), np.full(900, np.inf), np.zeros((5, 2))])
def test_a_refused_chunk_leaves_no_trace(rate, broken, listener):
    sound = noise(rate=rate)
    session = Session(listener, sample_rate=rate)
    events = session.step(sound[:3001])
    with pytest.raises(AudioError, match=r"samples are NaN, infinite|wanted one channel"):
        session.step(broken)
    assert events + listen(session, sound[3001:]) == listen(Session(listener, sample_rate=rate), sound)
    assert session.seconds == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ("features", r"packed without features; pack it with features=LogMel\(\.\.\.\) to listen"),
        ("alphabet", "packed without an alphabet; pack it with features and alphabet, or give"),
    ],
)
def test_a_network_that_does_not_say_what_it_hears_is_refused(part, fault, listener):
    with pytest.raises(DecodeError, match=fault):
        Session(replace(listener, **{part: None}))


def test_a_network_without_an_alphabet_listens_with_a_decoder(listener):
    session = Session(replace(listener, alphabet=None), Framewise("_abc", 0.02))
    assert listen(session, noise(0.5))


def test_a_front_end_that_does_not_fit_the_network_is_refused(listener):
    with pytest.raises(LoweringError, match=r"the features have 9 numbers a frame, the network takes 8"):
        replace(listener, features=LogMel(mels=9, sample_rate=RATE).to_dict())


def test_a_rate_must_be_positive(listener):
    with pytest.raises(ArgumentError, match="sample rates must be positive"):
        Session(listener, sample_rate=-8000)


def test_a_transcript_of_chunks_holds_all_events_in_order(listener):
    sound, seen = noise(), []
    heard = stream(listener, np.split(sound, 8), on_event=seen.append)
    assert heard.events == tuple(seen) == tuple(listen(Session(listener), sound))
    assert heard.text == " ".join(event.text for event in seen if isinstance(event, Final))
    assert heard.audio_seconds == 2.0
    assert heard.real_time_factor > 0
    assert heard.latency_ms > 0


def test_a_stream_without_chunks_has_no_text_and_no_length(listener):
    heard = stream(listener, [])
    assert (heard.audio_seconds, heard.real_time_factor, heard.latency_ms) == (0.0, 0.0, 0.0)
    assert heard.events == stream(listener, [np.zeros(0, np.float32)]).events


def test_frames_from_a_file_are_run_whole(listener, tmp_path):
    frames = LogMel(mels=8, sample_rate=RATE)(noise())
    np.save(tmp_path / "frames.npy", frames)
    scores = run(listener, tmp_path / "frames.npy")
    assert scores.shape == (len(frames) // 2, 4)
    assert np.array_equal(scores, listener(frames))
