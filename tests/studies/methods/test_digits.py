"""What the study of spoken digits says of made-up runs of the demo."""

from fewbit.demo.demonstration import Row
from studies.evidence import Setting, read_study
from studies.methods import digits
from studies.methods.digits import retraining_costs
from tests.studies.made_up import around

KNOWN, UNSEEN = around(0.02, 0, 0.01), around(0.0, 1, 0.01)


def run_of(seed):
    rows = (
        Row("float", 400, 480, 0.1, 0.2, 1.0, 0.01),
        Row("direct", 100, 180, 0.5, 0.6, 0.8, 0.01),
        Row("retrained", 100, 180, 0.1 + KNOWN[seed], 0.2 + UNSEEN[seed], 0.9, 0.01),
    )
    return {"rows": [vars(row) for row in rows], "seconds": 1.0, "seed": seed}


def test_retraining_is_compared_by_seed_for_both_kinds_of_speakers():
    mine, theirs = retraining_costs([run_of(seed) for seed in range(5)])
    assert (mine.outcome, theirs.outcome) == ("worse", "tie")
    assert round(mine.mean, 6) == 2.0
    assert "points of WER, known speakers" in mine.sentence


def test_the_study_keeps_every_run(monkeypatch, tmp_path):
    monkeypatch.setattr(digits, "_trial", lambda folder, seed: run_of(seed))
    study = digits.run(Setting(tmp_path, tmp_path, seeds=tuple(range(5)), progress=False))
    assert study.findings[0] == "Packed weights are 4.0 times smaller than float32."
    assert len(study.comparisons) == 2
    assert study.rows["spoken digits"] == [run_of(seed) for seed in range(5)]
    assert read_study(study.save(tmp_path)) == study
