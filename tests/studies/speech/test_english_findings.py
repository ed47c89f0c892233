"""What trainings of the recogniser of English allow to say, on made-up rows."""

import pytest

from fewbit.analysis import Table
from fewbit.errors import DataError
from fewbit.streams import KINDS
from recipes.english import CONTROL, FLOAT, TERNARY
from studies.evidence import Study, read_study
from studies.speech import english, english_findings
from studies.speech.english_findings import SENTENCES, STREAM, comparisons, from_tables, study

EPOCHS = {FLOAT: 120, CONTROL: 180, TERNARY: 180}
MACHINE = "A machine"


def rows(errors, own=True, seeds=3):
    """Words wrong of each network; a little more in a stream and by seed, less for the control."""
    return [
        {
            "seed": seed,
            "bytes": 1000 + seed,
            "network": name,
            "epochs": EPOCHS[name],
            "own_search": own or name == TERNARY,
        }
        | {"where": where, "lm": kind, "wer": error + noise, "cer": error / 2}
        for seed in range(seeds)
        for name, error in errors.items()
        for where in (SENTENCES, STREAM)
        for kind in KINDS
        for noise in ((where == STREAM) + 0.1 * seed * (1 + (name == TERNARY)),)
    ]


def test_with_a_control_all_pairs_are_tested_together_at_their_epochs():
    made = study(rows({FLOAT: 12.0, CONTROL: 8.0, TERNARY: 10.0}))
    pairs = {(one.difference.arm, one.difference.base): one for one in made.comparisons}
    ternary, control, short = (f"{name} ({EPOCHS[name]} epochs)" for name in (TERNARY, CONTROL, FLOAT))
    assert list(pairs) == [(ternary, control), (ternary, short), (control, short)]
    assert [one.outcome for one in pairs.values()] == ["worse", "better", "better"]
    assert pairs[ternary, control].mean == pytest.approx(2.1)
    assert all(one.held >= one.p for one in pairs.values())
    assert made.findings[1:] == tuple(f"{one.sentence}." for one in made.comparisons)
    assert made.findings[0].startswith("Ternary, 1,001 bytes, mean of 3 trainings: 10.2 ± 0.2 % of the words wrong")
    assert made.setting.endswith("for each network of its own.")
    assert made.seeds == (0, 1, 2)


def test_all_rows_are_kept_and_the_study_is_made_again_from_them(tmp_path):
    given = rows({FLOAT: 12.0, CONTROL: 8.0, TERNARY: 10.0})
    made = study(given)
    made.save(tmp_path)
    assert read_study(tmp_path / "english.json").rows == {"rates": given}
    english.main(["--results", str(tmp_path)])
    assert read_study(tmp_path / "english.json") == made
    assert [row[:4] for row in made.tables[0].rows[:2]] == [(FLOAT, 120, SENTENCES, kind) for kind in KINDS[:2]]


def test_a_pair_without_a_seed_in_common_is_not_made_up():
    few = rows({FLOAT: 12.0, TERNARY: 10.0}) + [row for row in rows({CONTROL: 8.0}) if row["seed"] == 0]
    [first, *_] = comparisons(few)
    assert first.difference.seeds == (0,)
    assert first.outcome == "tie"


@pytest.mark.parametrize(("own", "control"), [(True, False), (False, False), (False, True)])
def test_without_a_control_or_an_own_search_nothing_is_called_better(own, control):
    errors = {FLOAT: 12.0, TERNARY: 10.0} | ({CONTROL: 8.0} if control else {})
    made = study(rows(errors, own=own))
    assert made.comparisons == ()
    said = made.findings[-1]
    assert "-1.9 ± 0.1 points, mean of 3 trainings. It was not tested" in said
    assert "the ternary network had 180 epochs and the float network 120" in said
    assert ("tuned for the ternary one" in said) is not own
    assert ("trained on as long was not measured" in said) is not control
    assert not any(word in " ".join(made.findings) for word in ("better", "worse", "equal", "beyond chance"))


def test_ternary_networks_alone_are_compared_to_nothing():
    made = study(rows({TERNARY: 10.0}, seeds=1))
    assert len(made.findings) == 1
    assert "mean of 1 training: 10.0 %" in made.findings[0]


def older(findings):
    kept = tuple(
        (name, where, kind, wer, "5.0 ± 0.1")
        for name, wer in ((FLOAT, "12.0 ± 0.3"), (TERNARY, "10.0 ± 0.4"))
        for where in (SENTENCES, STREAM)
        for kind in KINDS
    )
    table = Table("Error rates", ("network", "", "language model", "WER %", "CER %"), kept)
    return Study("", "english", "E", "", "no claim", findings, "", "", (0, 1, 2), (table,), machine=MACHINE)


def test_trainings_that_are_gone_are_told_with_the_figures_of_their_file(tmp_path, monkeypatch):
    made = from_tables(older(("Ternary, 450,116 bytes: x.", "Ternary minus float, with both: -2.1 ± 0.5 points.")))
    assert "450,116 bytes, mean of 3 trainings: 10.0 ± 0.4 % of the words" in made.findings[0]
    assert "-2.1 ± 0.5 points, mean of 3 trainings. It was not tested" in made.findings[1]
    assert "trained on as long was not measured" in made.findings[1]
    assert made.tables[0].rows[0] == (FLOAT, 120, SENTENCES, "none", "12.0 ± 0.3", "5.0 ± 0.1")
    assert made.tables[0].rows[-1][:2] == (TERNARY, 180)
    monkeypatch.setattr(english_findings.EnglishRecipe, "epochs_of", lambda recipe, name: 7)
    assert from_tables(made) == made
    made.save(tmp_path)
    english.main(["--results", str(tmp_path)])
    assert read_study(tmp_path / "english.json") == made


def test_a_file_without_the_figures_is_refused():
    with pytest.raises(DataError, match="no finding has"):
        from_tables(older(("Nothing.",)))
