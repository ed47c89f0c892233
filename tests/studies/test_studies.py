"""Studies: their files, the page made of them, and how long they took."""

import math
from dataclasses import replace

import pytest
import torch

from fewbit.analysis import Table
from fewbit.errors import DataError, FileFormatError
from studies.evidence import (
    Setting,
    Study,
    paired_tests,
    read_study,
    section,
    spread,
    summarize_verdicts,
    write_results,
)
from studies.evidence.paired_tests import by_seed
from studies.evidence.topics import TOPICS
from studies.registry import STUDIES, reproduce
from studies.tasks import named_task, perceptron_task
from studies.tasks.named import Images

ROWS = [{"seed": seed, "arm": arm, "test": test} for seed in range(3) for arm, test in (("new", 1.0), ("old", None))]
PAIRS = by_seed(("new", {0: 1.0, 1: 1.2, 2: 0.9}), ("old", {0: 3.1, 1: 3.2, 2: 3.0}), unit="points", digits=1)
STUDY = Study(
    number="03",
    name="compression-ratio",
    title="Effective compression ratio",
    claim="Fewer bits are better.",
    verdict="holds in part",
    findings=("One thing.", "Another."),
    setting="On toy data.",
    command="python -m studies 03",
    seeds=(0, 1, 2),
    tables=(Table("Curve", ("bits", "error (%)", "bytes"), (("2", "1.0 ± 0.1", 1234), ("8", "0.9 ± 0.1", None))),),
    pictures=(("03-compression-ratio.png", "The curve"),),
    seconds=12.0,
)


def test_saved_equals_loaded(tmp_path):
    path = STUDY.save(tmp_path / "deep")
    assert path.name == "03-compression-ratio.json"
    assert read_study(path) == STUDY


def test_rows_and_comparisons_are_kept_as_numbers(tmp_path):
    comparisons = tuple(paired_tests.tested([PAIRS, by_seed(("new", {}), ("other", 0.0))]))
    study = replace(STUDY, rows={"toy": ROWS, "none": []}, comparisons=comparisons)
    path = study.save(tmp_path)
    back = read_study(path)
    assert back == study
    assert back.comparisons[0].difference.values == PAIRS.values
    assert back.comparisons[0].sentence == comparisons[0].sentence
    lines = path.read_text().splitlines()
    assert sum(line.strip().rstrip(",") == '{"seed": 2, "arm": "old", "test": null}' for line in lines) == 1


def test_the_page_shows_each_test():
    page = section(
        replace(STUDY, comparisons=tuple(paired_tests.tested([PAIRS, by_seed(("new", {}), ("other", 0.0))])))
    )
    assert "Paired t-tests of arm less base by seed, below 0 where the arm is better:" in page
    assert "| new | old | -2.1 ± 0.1 points | 3 | -2.2 to -1.9 | 0.0002" in page
    assert "| new | other |  | 0 |  |  |  | not measured |" in page
    assert "Paired t-tests" not in section(STUDY)


@pytest.mark.parametrize("text", ["", "{}", '{"number": "01"}', "[1]"])
def test_what_is_no_study_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"x\.json: no study"):
        read_study(tmp_path / "x.json")


def test_the_pages_show_everything(tmp_path):
    STUDY.save(tmp_path)
    assert "0, 1, 2; 12 s" not in section(STUDY)  # its rows were there already
    assert "0, 1, 2; 1,200 s on" in section(replace(STUDY, seconds=1200))
    replace(STUDY, number="", name="resnet20", title="ResNet-20", claim="", verdict="no claim").save(tmp_path)
    overview, retraining, sizes = write_results(tmp_path)
    assert [path.name for path in (overview, retraining, sizes)] == ["index.md", "retraining.md", "bits-and-sizes.md"]
    for part in (
        "## 03 Effective",
        "**Result:** holds in part.",
        "| 2 | 1.0 ± 0.1 | 1,234 |",
        "(03-compression-ratio.png)",
        "0, 1, 2",
    ):
        assert part in sizes.read_text()
    link = "[03 Effective compression ratio](bits-and-sizes.md#03-effective-compression-ratio)"
    assert f"| {link} | Fewer bits are better. | holds in part |" in overview.read_text()
    assert "| [ResNet-20](retraining.md#resnet-20) | One thing. | no claim |" in overview.read_text()
    counts = "1 claim was measured: 0 hold, 1 holds in part, 0 are undecided, 0 do not hold."
    assert summarize_verdicts([read_study(path) for path in tmp_path.glob("*.json")]) == (
        f"{counts} Of these verdicts, 1 is older than the rule and rests on no test."
    )
    assert summarize_verdicts([replace(STUDY, rows={"toy": ROWS})]) == counts


def test_a_study_of_no_topic_is_refused(tmp_path):
    replace(STUDY, name="other").save(tmp_path)
    with pytest.raises(DataError, match=r"study '03-other' belongs to no topic; add its name 'other' to a topic in"):
        write_results(tmp_path)


def test_a_study_belongs_to_one_topic():
    names = [name for topic in TOPICS for name in topic.studies]
    assert len(set(names)) == len(names)


def test_reproduce_keeps_the_study_and_adds_up_its_time(tmp_path, monkeypatch):
    ran = []

    def run(setting):
        ran.append(setting)
        if len(ran) == 1:
            raise KeyboardInterrupt
        return STUDY

    monkeypatch.setattr("studies.methods.digits.run", run)
    setting = Setting(tmp_path / "out", tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        reproduce("digits", setting)
    (tmp_path / "cache" / "seconds.json").write_text('{"digits": 100.0}')
    assert 100 <= reproduce("digits", setting).seconds < 110
    assert read_study(tmp_path / "out" / "03-compression-ratio.json").title == STUDY.title


def test_every_study_of_the_list_is_there():
    for module in STUDIES.values():
        assert callable(__import__(f"studies.methods.{module}", fromlist=["run"]).run)


def test_a_run_without_figures_ends_the_study_and_says_why(tmp_path):
    def trial(seed):
        if seed:
            raise DataError("no such picture")
        return {"test": 1.0}

    setting = Setting(tmp_path, tmp_path, progress=False)
    with pytest.raises(DataError, match="toy: 1 of 2 runs failed, the first with DataError: no such picture"):
        setting.sweep(trial, [{"seed": 0}, {"seed": 1}], "rows", "toy")
    assert setting.sweep(trial, [{"seed": 0}], "rows", "toy").open() == [{"seed": 0, "test": 1.0}]


def test_faults_are_said(tmp_path, monkeypatch):
    monkeypatch.delenv("FEWBIT_DATA", raising=False)
    setting = Setting(tmp_path, tmp_path)
    with pytest.raises(DataError, match="there is no study '33'; there are digits, 01"):
        reproduce("33", setting)
    with pytest.raises(DataError, match="this study needs the data set 'mnist'; give --data FOLDER or set FEWBIT_DATA"):
        named_task("perceptron", setting)
    with pytest.raises(DataError, match="there is no task 'x'"):
        named_task("x", setting)


def test_a_float_network_is_trained_once(tmp_path):
    images = Images(*[(torch.randn(40, 1, 4, 4), torch.arange(40) % 3)] * 3, classes=3)
    task = perceptron_task(images, size=5, epochs=1)
    setting = Setting(tmp_path, tmp_path)
    first, second = setting.network(task, 0), setting.network(replace(task, epochs=1), 0)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert len(list((tmp_path / "float").iterdir())) == 1
    assert math.isfinite(task.score(first))


def test_spread():
    assert (spread([]), spread([1.234]), spread([1.0, 3.0], 1)) == ("", "1.23", "2.0 ± 1.4")
