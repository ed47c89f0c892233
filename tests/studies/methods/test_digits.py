"""What the study of spoken digits says of made-up runs of the demo."""

from studies.methods.digits import retraining_costs
from tests.studies.made_up import around


def test_retraining_is_compared_by_seed_for_both_kinds_of_speakers():
    known, unseen = around(0.02, 0, 0.01), around(0.0, 1, 0.01)
    rows = [
        {
            "seed": seed,
            "rows": [
                {"name": "float", "error_rate": 0.1, "error_rate_unseen": 0.2},
                {"name": "retrained", "error_rate": 0.1 + known[seed], "error_rate_unseen": 0.2 + unseen[seed]},
            ],
        }
        for seed in range(5)
    ]
    mine, theirs = retraining_costs(rows)
    assert (mine.outcome, theirs.outcome) == ("worse", "tie")
    assert round(mine.mean, 6) == 2.0
    assert "points of WER, known speakers" in mine.sentence
