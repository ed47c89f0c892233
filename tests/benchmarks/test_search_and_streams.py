"""Errors of decoders, a race of made-up decoders, the table of a server, and what an installation holds."""

from argparse import Namespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import beam_search, serve
from benchmarks.beam_search import distance, race, word_errors
from benchmarks.torch_free import installed_mb
from studies.evidence import read_study

words = st.lists(st.sampled_from("abc"), max_size=6)


def edits(a, b):
    """Oracle: the edits by their recursion."""
    if not a or not b:
        return len(a) + len(b)
    return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))


@given(words, words)
def test_the_distance_is_the_least_number_of_edits(a, b):
    assert distance(a, b) == edits(a, b) == distance(b, a)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("one two three four", 0), ("one two four", 25), ("", 100), ("one one two three four four", 50), ("a b c d", 100)],
)
def test_word_errors_are_shares_of_what_was_said(text, wanted):
    assert word_errors("one two three four", text) == wanted


def decoder_row(name, lm, frames, wer, **more):
    found = {"decoder": name, "lm": lm, "width": 10, "frames_per_second": frames, "memory_mb": 5.0, "test_wer": wer}
    return found | {"novel_wer": 2 * wer, "test_unseen": 1.5, "novel_unseen": 9.5} | more


def test_a_race_keeps_the_quickest_of_all_rounds(monkeypatch):
    measured = iter(
        [
            {"frames_per_second": 10.0, "memory_mb": 7.0, "chunk_ms": 3.0},
            None,  # a round that failed changes nothing
            {"frames_per_second": 30.0, "memory_mb": 9.0, "chunk_ms": 1.0},
        ]
    )

    def one(name, what, *arguments):
        return {"settings": {}, "test_wer": 1.0} if what == "tuned" else next(measured)

    monkeypatch.setattr(beam_search, "one", one)
    (row,) = race(["fast-ctc-decode"], 10, 5, 3)
    assert (row["frames_per_second"], row["memory_mb"], row["chunk_ms"]) == (30.0, 7.0, 1.0)
    assert (row["decoder"], row["lm"], row["test_wer"]) == ("fast-ctc-decode", "none", 1.0)


def test_the_page_of_the_race_tells_ratios_to_every_peer(tmp_path):
    rows = [decoder_row("fewbit", lm, 1000.0, 8.0, chunk_ms=1.0) for lm in beam_search.KINDS]
    rows += [decoder_row("quick", "none", 4000.0, 9.0), decoder_row("slow", "none", 100.0, 7.0, chunk_ms=4.0)]
    beam_search.save(rows[::-1], 100, tmp_path)
    (path,) = tmp_path.glob("*.json")
    study = read_study(path)
    assert study.findings[0] == (
        "Language model none: 1,000 frames a second, 8.0 % of the words wrong, 16.0 % in the novel; "
        "0.2 times as fast as quick, which takes whole recordings only; 10.0 times as fast as slow."
    )
    assert study.findings[1].endswith("no other decoder supports this.")
    order = [tuple(row[:2]) for row in study.tables[0].rows]
    assert order[:3] == [("none", "fewbit"), ("none", "quick"), ("none", "slow")]
    assert [lm for lm, _ in order[2:]] == list(beam_search.KINDS)
    assert "no stream" in study.tables[0].rows[1]


def test_the_page_of_the_server_tells_what_was_lost(tmp_path):
    def load(streams, p99, lost):
        latency = {"p50": 1.0, "p95": 2.0, "p99": p99, "max": 2 * p99}
        about = {"streams": streams, "latency_ms": latency, "chunks": 100, "never_answered": lost}
        return about | {"broken_connections": lost // 2, "server_cores": 0.5, "server_memory_mb": 80.0}

    opened = {"connects": 1000, "memory_mb_before": 70.0, "memory_mb_after": 71.5, "streams_left": 0}
    one = {"model": "digits", "connects": opened, "loads": [load(1, 9.0, 0), load(50, 500.0, 4)]}
    arguments = Namespace(bound=200.0, seconds=15.0, chunk=0.1)
    serve.save([one | {"most_streams_within_bound": 1}], arguments, tmp_path)
    (path,) = tmp_path.glob("*.json")
    study = read_study(path)
    assert study.findings[0] == (
        "digits: 1 streams at once: p99 latency is below 200 ms; 4 of 200 chunks were lost, 2 connections broke. "
        "1,000 connections, a third dropped by the client: memory of 70.0 MB before, 71.5 MB after, 0 streams left."
    )
    assert list(study.tables[0].rows[1]) == ["digits", 50, "1.0", "2.0", "500.0", "1000.0", "0.50", "80"]


def test_the_size_of_an_installation_leaves_out_what_installs(tmp_path):
    sizes = {"numpy/core/a.so": 1_500_000, "single.py": 500_000, "pip/b.py": 9_000_000, "setuptools-1/c.py": 9_000_000}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert installed_mb(tmp_path) == 2.0
