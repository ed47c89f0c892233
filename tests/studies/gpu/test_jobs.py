"""The runner of jobs: none harms another, nothing is done twice, and the deadline holds."""

import time
from pathlib import Path

import pytest

from studies.gpu import rows
from studies.gpu.jobs import Job, caps, next_job, run_jobs


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs jobs of `chores`; what they told."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))

    def run(*jobs, seconds=60.0, slots=2, **more):
        deadline = time.monotonic() + seconds
        more = {"method": "spawn"} | more
        return run_jobs(jobs, tmp_path / "rows.jsonl", tmp_path / "logs", slots=slots, deadline=deadline, **more)

    return run


def told(tmp_path):
    return {row["job"]: row["value"] for row in rows.read(tmp_path / "rows.jsonl") if row["kind"] == "chore"}


def test_a_fault_harms_nobody_else_and_is_said(run, tmp_path):
    ended = run(
        Job("broken", "chores:fail"),
        Job("killed", "chores:die"),
        Job("one", "chores:tell_one", {"value": 1}),
        Job("after", "chores:tell_one", {"value": 2}, after="broken"),
    )
    assert told(tmp_path) == {"broken": "before the fault", "one": 1, "after": 2}
    assert set(ended.failed) == {"broken", "killed"}
    assert "this job is broken" in ended.failed["broken"]
    assert ended.failed["killed"].startswith("exit code 9")
    assert not ended.stopped
    assert not ended.waiting
    assert set(rows.done(rows.read(tmp_path / "rows.jsonl"))) == {"one", "after"}


def test_the_deadline_stops_what_runs_and_a_second_call_goes_on(run, tmp_path):
    begin = time.monotonic()
    jobs = Job("long", "chores:sleep", {"seconds": 60}), Job("next", "chores:tell_one", {"value": 1})
    ended = run(*jobs, seconds=5.0, slots=1)
    assert time.monotonic() - begin < 20
    assert (ended.stopped, ended.waiting, ended.failed) == (["long"], ["next"], {})
    shorter = Job("long", "chores:sleep", {"seconds": 0})
    run(shorter, jobs[1])
    assert told(tmp_path) == {"long": "awake", "next": 1}
    before = (tmp_path / "rows.jsonl").read_text()
    run(*jobs)  # all is done, so the long one does not run
    assert (tmp_path / "rows.jsonl").read_text() == before


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_get_variables_and_start_either_way(run, tmp_path, method):
    run(Job("see", "chores:see", {"variable": "WHERE"}), environment={"WHERE": "here"}, method=method, preload=["json"])
    assert told(tmp_path) == {"see": "here"}


def test_a_group_gets_its_share_and_what_others_leave():
    shares = {"a": 8.0, "b": 3.0, "c": 3.0}
    assert caps("a" * 40 + "b" * 9 + "c" * 9, shares, 14) == {"a": 8, "b": 3, "c": 3}
    assert caps("a" * 40 + "b" * 9, shares, 14) == {"a": 10, "b": 4}
    assert caps("a" * 40 + "b", shares, 14) == {"a": 13, "b": 1}
    assert caps("a" * 5, shares, 14) == {"a": 5}
    assert caps("aabbcc", shares, 1) == {"a": 1, "b": 1, "c": 1}
    assert caps("", shares, 14) == {}


def test_a_group_at_its_cap_waits_and_leaves_the_slot_to_another():
    jobs = [Job(str(n), "chores:die", group=group) for n, group in enumerate("aab")]
    assert next_job(jobs, [], {"a": 1, "b": 1}).group == "a"
    assert next_job(jobs, ["a"], {"a": 1, "b": 1}).group == "b"
    assert next_job(jobs, ["a", "b"], {"a": 1, "b": 1}) is None


def test_rows_outlive_a_torn_line_and_the_last_of_a_part_counts(tmp_path):
    path = tmp_path / "rows.jsonl"
    rows.append(path, {"job": "a", "kind": "time", "part": "x", "value": 1})
    rows.append(path, {"job": "a", "kind": "time", "part": "y", "value": 2})
    rows.append(path, {"job": "a", "kind": "time", "part": "x", "value": 3})
    with path.open("a") as file:
        file.write('{"job": "a", "ki\n')
    rows.append(path, {"job": "a", "kind": rows.DONE, "seconds": 1.5})
    assert [row["value"] for row in rows.of(rows.read(path), kind="time")] == [3, 2]
    assert rows.done(rows.read(path)) == {"a": 1.5}
