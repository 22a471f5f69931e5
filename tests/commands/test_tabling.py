"""The command `table`: what it reads, what it prints, what it writes."""

import csv
import io
import json

import h5py
import pytest
from pretend_engine import PretendEngine

from foraging_snn.analysis.collection import Collection
from foraging_snn.analysis.tables import write_tables
from foraging_snn.commands.cli import main
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import save_state
from foraging_snn.models import initial_state, preset
from foraging_snn.protocols import experiments
from foraging_snn.running.trial import run_trial

TINY = preset("tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trials of two experiments whose performance is seed / 10 in every test."""
    folder = tmp_path_factory.mktemp("trials")
    for name in ("sequential", "sleep"):
        for seed in (5, 7):
            path = folder / f"{name}_seed{seed:04d}.h5"
            options = {"seed": seed, "trial": 0, "engine": PretendEngine(TINY), "path": path, "command_line": ""}
            run_trial(experiments(TINY)[name], TINY, **options)
    return folder


@pytest.fixture
def table(capfd):
    """Run the command; exit code, standard output, standard error."""

    def run(*arguments):
        code = main(["table", *map(str, arguments)])
        return (code, *capfd.readouterr())

    return run


@pytest.mark.slow
def test_a_folder_is_shown_with_comparisons(table, folder):
    code, out, err = table(folder)
    assert (code, err) == (0, "")
    assert out.startswith("sequential: T1 -> T2\n")
    assert "\nsleep: T1 -> I(S,T2)\n" in out
    assert out.count("0.600 ± 0.141") == 10  # 8 tests, 2 averages
    assert "\nDifferences of performance\n" in out
    assert "\nsleep against none " in out


def test_files_can_be_chosen_and_count_once(table, folder):
    chosen = [folder / f"sleep_seed000{seed}.h5" for seed in (5, 7, 5)]
    code, out, _ = table(*chosen)
    assert code == 0
    assert "sequential" not in out
    assert out.count("0.600 ± 0.141") == 5
    assert table(folder, *chosen)[1] == table(folder)[1]


@pytest.mark.parametrize("name", ["csv", "json", "markdown"])
def test_the_screen_can_have_every_format_and_nothing_else(table, folder, name):
    _, out, _ = table(folder, "--format", name)
    if name == "csv":
        assert {row["mean"] for row in csv.DictReader(io.StringIO(out)) if row["kind"] == "test"} == {"0.6"}
    elif name == "json":
        assert {test["mean"] for test in json.loads(out)["tests"]} == {0.6}
    else:
        assert "| sequential: T1 -> T2 | T1 | Task 1 | 0.600 ± 0.141 | 0.500 to 0.700 |" in out


def test_a_folder_gets_all_three_files_again_and_again(table, folder, tmp_path):
    out = tmp_path / "new" / "tables"
    names = [str(out / f"tables.{ending}") for ending in ("md", "csv", "json")]
    for _ in range(2):
        code, printed, err = table(folder, "--out", out)
        assert (code, printed.splitlines(), err) == (0, names, "")
    assert sorted(path.name for path in out.iterdir()) == ["tables.csv", "tables.json", "tables.md"]
    assert "0.600 ± 0.141" in (out / "tables.md").read_text()


def test_tables_stand_beside_the_trials_if_that_is_asked_for(table, folder):
    assert table(folder, "--out", folder)[0] == 0
    before = (folder / "tables.md").read_text()
    table(folder, "--out", folder)
    assert (folder / "tables.md").read_text() == before
    for ending in ("md", "csv", "json"):
        (folder / f"tables.{ending}").unlink()


def test_write_tables_writes_what_the_command_writes(table, folder, tmp_path):
    paths = write_tables([Trial(path) for path in sorted(folder.glob("*.h5"))], tmp_path / "a")
    assert [path.name for path in paths] == ["tables.md", "tables.csv", "tables.json"]
    table(folder, "--out", tmp_path / "b")
    for path in paths:
        assert path.read_text() == (tmp_path / "b" / path.name).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "begin"),
    [
        ("a.csv", [], "kind,experiment"),
        ("a.MD", [], "<!-- Written by foraging-snn"),
        ("a.json", [], '{\n  "written_by"'),
        ("a.txt", [], "Written by foraging-snn table\n\nsequential: T1 -> T2\n"),
        ("a.dat", ["--format", "csv"], "kind,experiment"),
        ("a", ["--format", "json"], '{\n  "written_by"'),
    ],
)
def test_a_file_is_written_as_its_ending_or_the_format_says(table, folder, tmp_path, name, options, begin):
    for _ in range(2):
        code, out, err = table(folder, *options, "--out", tmp_path / name)
        assert (code, out, err) == (0, f"{tmp_path / name}\n", "")
    assert (tmp_path / name).read_text().startswith(begin)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_one_format_in_a_folder(table, folder, tmp_path):
    assert table(folder, "--format", "csv", "--out", tmp_path)[1] == f"{tmp_path}/tables.csv\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "xml"], "--format: 'xml' given, allowed are text, markdown, csv, json"),
        (["--out", "a.html"], "--out: a.html given, allowed is a folder, or a file that ends in .txt, .md, .csv, .json"),
    ],
)
def test_bad_options_get_one_line_and_code_2(table, folder, options, message):
    assert table(folder, *options) == (2, "", f"foraging-snn: {message}\n")


def test_a_file_of_somebody_else_is_kept(table, folder, tmp_path):
    (tmp_path / "notes.md").write_text("my notes")
    code, out, err = table(folder, "--out", tmp_path / "notes.md")
    reason = "exists already, was not written by foraging-snn table, and is not overwritten"
    assert (code, out, err) == (2, "", f"foraging-snn: {tmp_path}/notes.md: {reason}\n")
    assert (tmp_path / "notes.md").read_text() == "my notes"


def test_a_file_without_an_ending_is_not_taken_for_a_folder(table, folder, tmp_path):
    (tmp_path / "notes").write_text("my notes")
    allowed = "a folder, or a file that ends in .txt, .md, .csv, .json"
    line = f"foraging-snn: --out: {tmp_path}/notes given, allowed is {allowed}\n"
    assert table(folder, "--out", tmp_path / "notes") == (2, "", line)
    assert (tmp_path / "notes").read_text() == "my notes"


def test_a_trial_is_not_overwritten_by_a_table(table, folder):
    path = folder / "sleep_seed0005.h5"
    before = path.read_bytes()
    assert table(folder, "--format", "csv", "--out", path)[0] == 2
    assert path.read_bytes() == before


def test_a_program_that_reads_the_table_does_not_read_what_was_left_out(table, folder, tmp_path):
    for path in folder.glob("*.h5"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with h5py.File(tmp_path / "sleep_seed0007.h5", "r+") as file:
        file.attrs["complete"] = 0
    code, out, err = table(tmp_path, "--format", "csv")
    assert code == 0
    assert "left out" not in out
    assert err == f"left out: {tmp_path}/sleep_seed0007.h5: incomplete\n"


def test_what_cannot_be_read_is_named_after_the_others_were_shown(table, folder, tmp_path):
    code, out, err = table(folder / "sleep_seed0005.h5", tmp_path / "none.h5")
    assert code == 2
    assert out.startswith("sleep: ")
    assert err == f"foraging-snn: {tmp_path}/none.h5: cannot be read: No such file or directory\n"


def test_what_else_lies_in_a_folder_does_not_disturb(table, folder, tmp_path):
    trial = tmp_path / "sleep_seed0005.h5"
    trial.write_bytes((folder / "sleep_seed0005.h5").read_bytes())
    alone = table(tmp_path)
    save_state(tmp_path / "my-state.h5", initial_state(TINY, 1), TINY)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = [1, 2]
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "piece.h5").write_bytes(b"a piece")
    (tmp_path / "folder.h5").mkdir()
    lines = [f"left out: {tmp_path}/my-state.h5: a saved state", f"left out: {tmp_path}/other.h5: not a trial"]
    assert table(tmp_path) == (0, alone[1] + "\n".join(lines) + "\n", "")
    assert main(["figures", str(tmp_path), "--only", "fig9"]) == 2  # said before anything is read
    assert Collection(tmp_path).left_out == tuple(line.removeprefix("left out: ") for line in lines)


def test_a_file_of_somebody_else_that_is_named_is_refused(table, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = [1, 2]
    assert table(tmp_path / "other.h5") == (2, "", f"foraging-snn: {tmp_path}/other.h5: not a trial\n")


def test_trials_in_folders_below_are_pointed_at(table, folder, tmp_path):
    for name in ("a", "b", "ledger"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sleep_seed0005.h5").write_bytes((folder / "sleep_seed0005.h5").read_bytes())
    line = f"foraging-snn: {tmp_path}: no .h5 file in it, but in 2 folders below it, e.g. {tmp_path}/a\n"
    assert table(tmp_path) == (2, "", line)
