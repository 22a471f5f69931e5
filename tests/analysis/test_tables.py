"""Tables as text and files: what is in them, and what is never overwritten."""

import csv
import io
import json
import math
import re

import pytest

from foraging_snn.analysis.comparisons import Comparison, Test
from foraging_snn.analysis.results import ExperimentResults, Results, TestRow
from foraging_snn.analysis.statistics import compare_paired, compare_unpaired
from foraging_snn.analysis.tables import (
    CSV_COLUMNS,
    FORMATS,
    TableError,
    caption,
    cells_of_comparison,
    cells_of_test,
    csv_text,
    json_text,
    markdown,
    write_files,
)
from foraging_snn.protocols import PublishedValue

PAPER = PublishedValue(0.52, 0.02), PublishedValue(0.69, 0.03)
ROWS = TestRow("T2", 1, (0.50, 0.51, 0.55), PAPER[0]), TestRow("T2", 2, (0.80, math.nan, 0.82), PAPER[1])
FORGOTTEN = Comparison("forgetting", 1, Test("sequential", "T2"), Test("sequential", "T1"), compare_paired([0.5, 0.6], [0.7, 0.7]))


@pytest.fixture
def found():
    return Results((ExperimentResults("sequential", "T1 -> T2", (1, 2, 3), ROWS),), (FORGOTTEN,), ("preset tiny", "engine pretend"))


def test_cells_of_a_test():
    assert cells_of_test(ROWS[0]) == ("T2", "Task 1", "0.520 ± 0.026", "0.500 to 0.550", "0.52 ± 0.02", "0.500", "3")
    assert cells_of_test(ROWS[1]) == ("T2", "Task 2", "0.810 ± 0.014", "0.800 to 0.820", "0.69 ± 0.03 ↑", "0.500", "2")
    assert cells_of_test(TestRow("", 1, (0.4,), PAPER[0])) == ("(start)", "Task 1", "0.400", "", "0.52 ± 0.02 ↓", "", "1")
    assert cells_of_test(TestRow("T1", 1, (math.nan,), PAPER[0]))[2:] == ("nothing eaten", "", "0.52 ± 0.02", "", "0")


def test_cells_of_a_comparison():
    difference = ("-0.150 ± 0.071", "-0.200 to -0.100", "0.500", "2 pairs")
    assert cells_of_comparison(FORGOTTEN) == ("forgetting", "Task 1", "sequential after T2", "sequential after T1", *difference)


def test_random_arrangements_and_small_p_values_are_marked():
    ups, downs = [0.7 + 0.001 * k for k in range(12)], [0.5 + 0.001 * k for k in range(12)]
    drawn = Comparison("a", 1, Test("sleep", "I(S,T2)"), Test("sequential", "T2"), compare_unpaired(ups, downs))
    assert cells_of_comparison(drawn)[-2:] == ("~0.0001", "12, 12")
    found = Results((ExperimentResults("sleep", "", tuple(range(12)), (TestRow("I(S,T2)", 1, tuple(ups)),)),), (drawn,), ())
    assert any("(~) of 20000 random arrangements" in line for line in caption(found))


def test_the_caption_explains_marks_and_what_few_trials_cannot_say(found):
    text = "\n".join(caption(found))
    assert "↑ ↓: our mean lies above or below the paper's mean ± 1 sd" in text
    assert "across trials, exact; not corrected for their number, 3" in text
    assert "Fewer than 6 trials" in text
    many = Results((ExperimentResults("task1", "T1", tuple(range(6)), (TestRow("T1", 1, (0.7,) * 6),)),), (), ())
    assert "Fewer than" not in "\n".join(caption(many))
    one = Results((ExperimentResults("task1", "T1", (1,), (TestRow("T1", 1, (0.7,)),)),), (), ())
    assert caption(one)[-1] == "One trial: no standard deviation, interval or test."
    assert caption(Results((), (), ())) == ()


def test_markdown_has_both_tables_caption_and_conditions(found):
    text = markdown(found)
    assert "\n| sequential: T1 -> T2 | T2 | Task 1 | 0.520 ± 0.026 | 0.500 to 0.550 | 0.52 ± 0.02 | 0.500 | 3 |\n" in text
    assert "\n|  | T2 | Task 2 | 0.810 ± 0.014 |" in text
    assert "\n| forgetting | Task 1 | sequential after T2 | sequential after T1 | -0.150 ± 0.071 |" in text
    assert text.endswith("\n- preset tiny\n- engine pretend\n")
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert widths == [9] * 4 + [9] * 3


def test_csv_has_every_number_in_its_column(found):
    rows = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert [row["kind"] for row in rows] == ["test", "test", "comparison"]
    assert all(set(row) == set(CSV_COLUMNS) and None not in row.values() for row in rows)
    first, second, forgotten = rows
    assert (first["experiment"], first["label"], first["after"], first["task"]) == ("sequential", "T1 -> T2", "T2", "1")
    assert [float(first[name]) for name in ("n", "mean", "paper_mean", "paper_sd")] == [3, 0.52, 0.52, 0.02]
    assert float(first["sd"]) == pytest.approx(math.sqrt(0.0007), rel=1e-5)
    assert (first["beside_paper"], second["beside_paper"], forgotten["beside_paper"]) == ("within", "above", "")
    assert (first["p_value"], first["p_exact"], first["smallest_p"]) == ("0.5", "true", "0.25")
    assert (forgotten["paired"], forgotten["n"], forgotten["mean"]) == ("true", "2", "-0.15")
    assert (forgotten["against_experiment"], forgotten["against_after"]) == ("sequential", "T1")


def test_json_has_every_trial_and_no_nan(found):
    content = json.loads(json_text(found), parse_constant=lambda name: pytest.fail(name))
    assert content["tests"][1]["performance"] == {"1": 0.8, "2": None, "3": 0.82}
    assert content["tests"][0]["paper"] == {"mean": 0.52, "sd": 0.02}
    assert content["comparisons"][0]["difference"]["mean"] == pytest.approx(-0.15)
    assert content["conditions"] == ["preset tiny", "engine pretend"]


# ------------------------------------------------------------------------------------------------------------------ files


def test_every_format_begins_with_its_mark(found):
    for kind in FORMATS.values():
        assert kind.text(found).startswith(kind.mark)


def test_our_own_files_are_refreshed(tmp_path, found):
    for kind in FORMATS.values():
        path = tmp_path / "new" / f"tables{kind.suffix}"
        write_files({path: (kind.text(found), kind.mark)})
        write_files({path: (f"{kind.mark} later", kind.mark)})
        assert path.read_text() == f"{kind.mark} later"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["tables.csv", "tables.json", "tables.md"]


@pytest.mark.parametrize("name", ["tables.md", "tables.csv", "tables.json"])
def test_a_file_that_is_not_ours_is_kept_and_none_is_written(tmp_path, found, name):
    (tmp_path / name).write_text("mine")
    contents = {tmp_path / f"tables{kind.suffix}": (kind.text(found), kind.mark) for kind in FORMATS.values()}
    with pytest.raises(TableError, match=f"^{re.escape(str(tmp_path / name))}: exists already, .* not overwritten$"):
        write_files(contents)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    (tmp_path / "tables.md").mkdir()
    with pytest.raises(TableError):
        write_files({tmp_path / "tables.md": ("text", "text")})


def test_an_empty_file_may_be_filled_and_a_link_stays_one(tmp_path):
    (tmp_path / "real.md").touch()
    (tmp_path / "link.md").symlink_to(tmp_path / "real.md")
    write_files({tmp_path / "link.md": ("text", "text")})
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_text() == "text"


def test_a_file_that_cannot_be_replaced_stays_whole(tmp_path, monkeypatch):
    path = tmp_path / "tables.md"
    path.write_text("text, the first")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_files({path: ("text, the second", "text")})
    assert path.read_text() == "text, the first"
    assert [file.name for file in tmp_path.iterdir()] == ["tables.md"]
