"""The command line as a user meets it: results on standard output, one line on standard error for what is wrong."""

import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest
from trial_contents import differences

from foraging_snn import __version__
from foraging_snn.commands.cli import main
from foraging_snn.files.hdf5 import harmless, write_text
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import load_state
from foraging_snn.models import Parameters, preset
from foraging_snn.running.locks import FOLDER

SHORT = ["--engine", "brian2", "--preset", "tiny", "--set", "phases.scale=0.25"]  # one aeon per phase
PROGRAM = [sys.executable, "-m", "foraging_snn"]


def in_a_process(command, **options):
    """Run a command to its end; the environment is Python's, because readline puts COLUMNS into that of C."""
    return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), **options)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with two trials of `sequential`, and what the run printed."""
    folder = tmp_path_factory.mktemp("results")
    command = [*PROGRAM, "run", "sequential", *SHORT, "--trials", "2", "--seed", "5", "--out", str(folder)]
    process = in_a_process(command)
    assert (process.returncode, process.stderr) == (0, "")
    return folder, process.stdout


@pytest.fixture(scope="module")
def start_file(tmp_path_factory):
    """A start state, made by the package's own command."""
    path = tmp_path_factory.mktemp("start") / "start.h5"
    process = in_a_process([*PROGRAM, "unsupervised", *SHORT, "--seed", "2", "--out", str(path)])
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.splitlines()[-1] == str(path)
    return path


def files_in(folder):
    """But for the ledger."""
    return sorted(path.name for path in folder.iterdir() if path.name != FOLDER)


# ------------------------------------------------------------------------------------------------ looking things up


def test_help_and_version(done):
    assert done("--version") == f"foraging-snn {__version__}\n"
    for command in ("list", "parameters", "run", "reproduce", "unsupervised", "info", "table", "demo"):
        assert command in done()
        assert command in done("--help")
        assert "Usage: foraging-snn " + command in done(command, "--help")


def test_list_shows_every_experiment_beside_the_papers_numbers(done):
    lines = done("list", "--preset", "full").splitlines()
    row = next(line for line in lines if line.startswith("sequential-sleep"))
    assert re.split(r"\s{2,}", row.strip()) == [
        "sequential-sleep", "T1 -> T2 -> I(S,T1)", "4A,B", "0.69 ± 0.02", "0.67 ± 0.03", "31,000,000"
    ]  # fmt: skip
    assert "naive-sleep" in "".join(lines)
    assert "preset full" in lines[-1]


def test_parameters_shows_all_and_marks_what_is_changed(done):
    out = done("parameters", "--preset", "quick", "--set", "sleep.pulse=0.03")
    rows = {cells[0]: cells for cells in (re.split(r"\s{2,}", line.strip()) for line in out.splitlines() if "." in line[:30])}
    assert {row.name for row in preset("quick").rows()} <= set(rows)
    assert rows["sleep.pulse"][1:3] == ["0.03", "0.025 (quick)"]
    assert rows["homeostasis.hidden_step"][1:4] == ["3e-05", "1e-05 (full)", "1/epoch"]
    assert rows["world.size"][1:] == ["50", "squares", "side of the square grid", "paper", "a whole number >= 12 and <= 1000"]


def test_parameters_go_to_toml_and_back(done, tmp_path):
    text = done("parameters", "--preset", "quick", "--set", "phases.scale=0.05", "--toml")
    expected = preset("quick").with_changes({"phases.scale": 0.05})
    assert Parameters.from_toml(text) == expected
    (tmp_path / "mine.toml").write_text(text)
    assert done("parameters", "--file", tmp_path / "mine.toml", "--toml") == text
    above = (
        "\n# added to x of a hidden cell that is activated [1]; source: program; allowed: a number >= 0 and <= 10\npulse = 0.025\n"
    )
    assert above in text
    shown = [name for name in expected.values() if not name.startswith(("particles.", "tasks."))]
    assert text.count("\n\n# ") == len(shown) + 1  # every value has its comment; then how to add to the tables
    assert "#" not in expected.to_toml()  # what files hold


@pytest.mark.parametrize("command", [[], ["run"], ["list"], ["sweep"], ["info"]])
def test_the_short_option_helps_as_the_long_one(done, command):
    assert done(*command, "-h") == done(*command, "--help") != ""


def test_list_and_parameters_for_programs_have_numbers_and_the_documented_keys(done):
    listed = json.loads(done("list", "--preset", "full", "--json"))
    assert (listed["preset"], listed["epochs_per_aeon"]) == ("full", 100)
    sleep = next(row for row in listed["experiments"] if row["name"] == "sequential-sleep")
    assert sleep["paper"] == {"task_1": {"mean": 0.69, "sd": 0.02}, "task_2": {"mean": 0.67, "sd": 0.03}}
    assert sleep["epochs"] == 31_000_000 == sum(phase["epochs"] for phase in sleep["phases"])
    assert next(row for row in listed["experiments"] if row["name"] == "dropout-1")["paper"] == {"task_1": None, "task_2": None}

    shown = json.loads(done("parameters", "--preset", "quick", "--set", "sleep.pulse=0.03", "--json"))
    pulse = next(row for row in shown["parameters"] if row["name"] == "sleep.pulse")
    assert pulse == {
        "name": "sleep.pulse",
        "value": 0.03,
        "unit": "1",
        "meaning": "added to x of a hidden cell that is activated",
        "source": "program",
        "allowed": "a number >= 0 and <= 10",
        "preset_value": 0.025,
        "full_value": 0.025,
    }
    assert [row["name"] for row in shown["parameters"]] == [row.name for row in preset("quick").rows()]


def test_json_beside_toml_is_refused(refused):
    assert refused("parameters", "--json", "--toml") == "--json: given together with --toml, allowed is one of them"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("run se", ["sequential", "sequential-sleep", "sequential-interleaved"]),
        ("reproduce --experiments task1,sl", ["task1,sleep"]),
        ("run task1 --engine brian2-", ["brian2-runtime"]),
        ("sweep task1 --preset t", ["tiny"]),
        ("ta", ["table"]),
    ],
)
def test_the_shell_completes_names(typed, completed):
    words = f"foraging-snn {typed}"
    environment = {"_FORAGING_SNN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    process = subprocess.run(PROGRAM, capture_output=True, text=True, env=os.environ | environment)
    assert process.stdout.split() == completed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "slow"], "preset: 'slow' given, allowed are full, enough, quick, tiny"),
        (["--set", "world.size"], "--set: 'world.size' given, allowed is NAME=VALUE"),
        (["--set", "world.size=ten"], "world.size: 'ten' given, allowed is a whole number >= 12 and <= 1000"),
        (["--set", "world.size=5"], "world.size: 5 given, allowed is a whole number >= 12 and <= 1000"),
        (["--set", "world.sise=50"], "world.sise: unknown parameter, did you mean world.size?"),
        (["--file", "nothing.toml"], "nothing.toml: cannot be read: No such file or directory"),
        (["--wrong"], "No such option: --wrong"),
    ],
)
@pytest.mark.parametrize("command", [["parameters"], ["list"], ["run", "task1", "--out", "nowhere"]], ids=lambda words: words[0])
def test_wrong_parameters_are_refused_everywhere(refused, command, arguments, message):
    assert refused(*command, *arguments).startswith(message)
    assert not Path("nowhere").exists()


def test_a_preset_beside_a_file_is_refused(refused, tmp_path):
    (tmp_path / "mine.toml").write_text('preset = "tiny"\n')
    message = refused("parameters", "--preset", "quick", "--file", tmp_path / "mine.toml")
    assert message == f'--preset: given together with {tmp_path}/mine.toml; write preset = "quick" into the file instead'


@pytest.mark.parametrize(
    ("arguments", "message"), [(["nonsense"], "No such command 'nonsense'"), (["run"], "Missing option '--out'")]
)
def test_usage_errors_point_to_the_help(refused, arguments, message):
    line = refused(*arguments)
    assert line.startswith(message)
    assert line.endswith("--help`")


def test_output_cut_short_by_its_reader_ends_quietly():
    command = f"{sys.executable} -m foraging_snn parameters | head -n 1"
    process = in_a_process(["bash", "-c", command])
    assert process.stdout.startswith("name ")
    assert process.stderr == ""


# ---------------------------------------------------------------------------------------------------------- running


@pytest.mark.slow
def test_run_writes_one_complete_file_per_trial(results):
    folder, out = results
    assert files_in(folder) == ["sequential_seed0005.h5", "sequential_seed0006.h5"]
    trials = [Trial(path) for path in sorted(folder.glob("*.h5"))]
    assert [(trial.seed, trial.trial, trial.complete) for trial in trials] == [(5, 0, True), (6, 1, True)]
    assert trials[0].parameters == preset("tiny").with_changes({"phases.scale": 0.25})
    command = trials[0].provenance["command_line"]
    assert (
        command
        == f"foraging-snn run sequential --engine brian2 --preset tiny --set phases.scale=0.25 --trials 2 --seed 5 --out {folder}"
    )
    assert out.splitlines()[-2:] == [str(path) for path in sorted(folder.glob("*.h5"))]


def test_run_says_what_is_shortened_before_it_begins(results):
    lines = results[1].splitlines()
    assert lines[0] == "sequential: T1 -> T2; 2 x 700 epochs, seeds 5 to 6, engine brian2"
    assert lines[1:3] == [
        "  preset tiny",
        "  shortened: unsupervised 1 of 100000, training 1 of 50000, test 1 of 10000, retraining 1 of 50000 aeons",
    ]


def test_output_to_a_file_has_no_control_characters(results):
    assert all(line.isprintable() for line in results[1].splitlines())
    assert "2/2 experiments, 2/2 trials  1400/1400 epochs" in results[1]


def test_table_shows_what_run_showed_at_its_end(results, done):
    folder, out = results
    table = done("table", folder)
    shown = out[out.rindex(table.splitlines()[0]) :]
    assert shown.splitlines()[: len(table.splitlines())] == table.splitlines()
    rows = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines() if line.startswith(("T1 ", "T2 "))]
    assert [row[:2] for row in rows] == [["T1", "Task 1"], ["T1", "Task 2"], ["T2", "Task 1"], ["T2", "Task 2"]]
    assert [row[4].rstrip(" ↑↓") for row in rows[2:]] == ["0.52 ± 0.02", "0.69 ± 0.03"]
    assert all(row[-1] == "2" for row in rows)
    first, second = (Trial(path).test_results()[0].performance for path in sorted(folder.glob("*.h5")))
    mean, sd = (first + second) / 2, abs(first - second) / 2**0.5
    assert rows[0][2:4] == [f"{mean:.3f} ± {sd:.3f}", f"{min(first, second):.3f} to {max(first, second):.3f}"]
    assert "  preset tiny\n" in table


def test_a_trial_alone_has_no_standard_deviation(results, done, tmp_path):
    shutil.copy(results[0] / "sequential_seed0005.h5", tmp_path)
    table = done("table", tmp_path)
    assert "One trial: no standard deviation, interval or test." in table
    assert "±" not in "".join(line for line in table.splitlines() if line.startswith("T1 "))


@pytest.mark.slow
def test_the_seed_decides_the_trial(results, done, tmp_path):
    done("run", "sequential", *SHORT, "--seed", "6", "--out", tmp_path)
    again, before = Trial(tmp_path / "sequential_seed0006.h5"), Trial(results[0] / "sequential_seed0006.h5")
    assert again.test_results() == before.test_results()
    assert (again.hidden_output_snapshots().strength == before.hidden_output_snapshots().strength).all()


def test_info_on_a_trial(results, done):
    out = done("info", results[0] / "sequential_seed0005.h5")
    facts = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in out.splitlines() if re.match(r"\S+(\s\S+)*\s{2,}\S", line))
    assert facts["experiment"] == "sequential: T1 -> T2"
    assert facts["complete"] == "yes"
    assert facts["seed"] == "5 (trial 0 of its run)"
    assert facts["engine"] == "brian2"
    assert "\n  phases.scale = 0.25 (preset: 1.0)\n" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("un")] == ["unsupervised"]
    assert len(re.findall(r"^T[12] +Task [12] +\d+ +\d+ +\S+ +yes", out, re.MULTILINE)) == 4


@pytest.mark.slow
def test_info_for_programs(results, start_file, done):
    path = results[0] / "sequential_seed0005.h5"
    shown = json.loads(done("info", path, "--json"))
    trial = Trial(path)
    assert (shown["kind"], shown["file"], shown["experiment"], shown["seed"]) == ("trial", str(path), "sequential", 5)
    assert (shown["complete"], shown["started_from"]) == (True, None)
    assert shown["parameters"] == trial.parameters.model_dump(mode="json")
    assert [phase["name"] for phase in shown["phases"]] == [phase.name for phase in trial.phases]
    assert [(test["rewarded"], test["performance"]) for test in shown["tests"]] == [
        (test.rewarded, None if test.performance != test.performance else test.performance) for test in trial.test_results()
    ]
    state = json.loads(done("info", start_file, "--json"))
    assert (state["kind"], state["epochs"], state["sha256"]) == ("state", 100, load_state(start_file).sha256)


def test_hostile_texts_of_a_file_are_escaped_for_programs(results, done, tmp_path):
    path = tmp_path / "hostile.h5"
    shutil.copy(results[0] / "sequential_seed0005.h5", path)
    hostile = "T1 \x1b]0;gone\x07 \x9b31m \u202e \x7f"
    with h5py.File(path, "r+") as file:
        write_text(file["provenance"].attrs, "command_line", hostile)
        file.attrs["complete"] = 0
        write_text(file.attrs, "ended", "")
    out = done("info", path, "--json")
    assert out.isascii() and all(c.isprintable() or c == "\n" for c in out)
    assert json.loads(out)["provenance"]["command_line"] == harmless(hostile)
    assert json.loads(out)["complete"] is False
    assert json.loads(out)["ended"] is None


def test_a_start_state_is_saved_with_its_provenance(start_file, done):
    saved = load_state(start_file)
    assert (saved.state.seed, saved.state.epoch, saved.state.input_hidden_frozen) == (2, 100, False)
    assert saved.note == "state after 1 aeons of the unsupervised phase, preset tiny, engine brian2, seed 2"
    out = done("info", start_file)
    assert f"saved state   {saved.note}" in out
    assert "foraging-snn unsupervised --engine brian2 --preset tiny" in out
    assert "phases.scale = 0.25" in out


def test_starting_from_a_state_is_said_and_recorded(start_file, done, tmp_path):
    out = done("run", "task1", *SHORT, "--seed", "9", "--out", tmp_path, "--start-from", start_file)
    sha256 = load_state(start_file).sha256[:12]
    said = f"no unsupervised phase; all trials start with one network: {load_state(start_file).note} [{sha256}]"
    assert out.count(said) == 2  # at the start and below the table
    trial = Trial(tmp_path / "task1_seed0009.h5")
    assert [phase.name for phase in trial.phases] == ["T1", "test T1", "test T2"]
    assert trial.seed == 9
    assert sha256 in trial.started_from


def test_a_start_state_of_the_package_is_known_by_its_name(done, tmp_path):
    done("run", "task1", *SHORT, "--out", tmp_path, "--start-from", "after-unsupervised")
    trial = Trial(tmp_path / "task1_seed0001.h5")
    assert trial.phases[0].name == "T1"
    assert trial.phases[0].first_epoch > 0
    assert "unsupervised" in trial.started_from_provenance["command_line"]


@pytest.mark.slow
def test_trials_with_and_without_a_start_state_do_not_share_a_table(start_file, done, refused, tmp_path):
    done("run", "task1", *SHORT, "--seed", "1", "--out", tmp_path, "--start-from", start_file)
    done("run", "task1", *SHORT, "--seed", "2", "--out", tmp_path)
    message = refused("table", tmp_path)
    assert "task1_seed0001.h5" in message
    assert "task1_seed0002.h5" in message
    assert message.endswith("do not start from the same state")


def test_removing_cells_is_no_test_of_the_whole_network(done, tmp_path):
    out = done("run", "dropout-1", *SHORT, "--out", tmp_path)
    assert [line.split()[:3] for line in out.splitlines() if " Task " in line] == [["T1", "Task", "1"], ["T1", "Task", "2"]]


# ------------------------------------------------------------------------------- refused before anything is computed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sequental"], r"experiment: 'sequental' given, allowed are task1, .*; did you mean sequential\?"),
        (["task1", "--trials", "0"], "trials: 0 given, allowed is at least 1"),
        (["task1", "--seed", "-1"], r"seed: -1 given, allowed for 1 trials is 0 to \d+"),
        (["task1", "--engine", "abacus"], "engine: 'abacus' given, allowed are .*brian2.*"),
        (["task1", "--start-from", "nothing"], "nothing: no such file, and the states in the package are: .*"),
        (["task1", "--trials", "two"], "Invalid value for '--trials': .*integer.*; see `foraging-snn run --help`"),
    ],
)
def test_bad_requests_leave_no_trace(refused, tmp_path, arguments, message):
    assert re.fullmatch(message, refused("run", *arguments, "--out", tmp_path / "new"))
    assert files_in(tmp_path) == []


def test_a_file_that_exists_is_named_and_kept(refused, tmp_path):
    (tmp_path / "task1_seed0004.h5").write_bytes(b"mine")
    message = refused("run", "task1", *SHORT, "--trials", "3", "--seed", "2", "--out", tmp_path)
    assert message == f"{tmp_path}/task1_seed0004.h5: exists already and is not overwritten"
    assert files_in(tmp_path) == ["task1_seed0004.h5"]
    assert (tmp_path / "task1_seed0004.h5").read_bytes() == b"mine"


def test_a_saved_state_is_not_overwritten(refused, start_file):
    before = start_file.read_bytes()
    assert "exists already" in refused("unsupervised", *SHORT, "--out", start_file)
    assert start_file.read_bytes() == before


@pytest.mark.parametrize("command", [["run", "task1", "--out", "DIR"], ["unsupervised", "--out", "DIR/state.h5"]])
def test_a_folder_that_cannot_be_written_is_named(refused, tmp_path, command):
    (tmp_path / "file").touch()
    for folder, reason in ((tmp_path / "file", "it is not a folder"), (Path("/dev/null/new"), "Not a directory")):
        message = refused(*(word.replace("DIR", str(folder)) for word in command), *SHORT)
        assert message.startswith(f"{folder}: cannot be written to: {reason}")


def test_a_start_state_of_another_world_is_refused(refused, start_file, tmp_path):
    message = refused("run", "task1", "--preset", "tiny", "--set", "world.size=40", "--out", tmp_path, "--start-from", start_file)
    assert message == f"{start_file}: made with other parameters (its value, the value asked for): world.size: 50, 40"


def test_a_trial_is_not_a_start_state(refused, results, tmp_path):
    path = results[0] / "sequential_seed0005.h5"
    assert refused("run", "task1", "--out", tmp_path, "--start-from", path).startswith(
        f"{path}: a trial; allowed is {path}@ and one of its states: "
    )


# ------------------------------------------------------------------------------------------------------ damaged files


def test_info_on_what_is_not_ours(refused, results, tmp_path):
    (tmp_path / "text.h5").write_text("not HDF5")
    whole = (results[0] / "sequential_seed0005.h5").read_bytes()
    (tmp_path / "half.h5").write_bytes(whole[: len(whole) // 2])
    assert refused("info", tmp_path / "text.h5") == f"{tmp_path}/text.h5: not an HDF5 file"
    assert refused("info", tmp_path / "half.h5").startswith(f"{tmp_path}/half.h5: truncated or damaged")
    assert refused("info", tmp_path / "none.h5") == f"{tmp_path}/none.h5: cannot be read: No such file or directory"


def test_table_shows_the_sound_trials_and_names_the_truncated_file(results, capfd, tmp_path):
    for name in ("sequential_seed0005.h5", "sequential_seed0006.h5"):
        shutil.copy(results[0] / name, tmp_path)
    with open(tmp_path / "sequential_seed0006.h5", "r+b") as file:
        file.truncate(30_000)
    assert main(["table", str(tmp_path)]) == 2
    out, err = capfd.readouterr()
    assert out.startswith("sequential: T1 -> T2\n")
    assert err.startswith(f"foraging-snn: {tmp_path}/sequential_seed0006.h5: truncated or damaged")
    assert err.count("\n") == 1


def test_table_leaves_states_out(results, start_file, done, tmp_path):
    for path in (results[0] / "sequential_seed0005.h5", start_file):
        shutil.copy(path, tmp_path)
    assert f"left out: {tmp_path}/start.h5: a saved state\n" in done("table", tmp_path)


def test_table_of_different_parameters_is_refused_by_name(results, done, refused, tmp_path):
    shutil.copy(results[0] / "sequential_seed0005.h5", tmp_path)
    done("run", "sequential", *SHORT, "--set", "phases.scale=0.3", "--seed", "7", "--out", tmp_path)
    message = refused("table", tmp_path)
    assert "sequential_seed0005.h5" in message
    assert "sequential_seed0007.h5" in message
    assert message.endswith("phases.scale: 0.25, 0.3")


@pytest.mark.parametrize(("folder", "message"), [("none", "cannot be read: No such file or directory"), ("", "no .h5 file in it")])
def test_table_without_trials(refused, tmp_path, folder, message):
    assert refused("table", tmp_path / folder) == f"{tmp_path / folder}: {message}"


# -------------------------------------------------------------------------------------------------- cut off on the way


def interrupted(command, has_begun, by=signal.SIGINT):
    """Start a command, press Ctrl-C once `has_begun`; its exit code and what it wrote to standard error."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 300  # compiling included
    while not has_begun() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, by)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["brian2", "event"])
def test_ctrl_c_leaves_a_readable_file_and_says_so(tmp_path, done, engine):
    path = tmp_path / "task1_seed0001.h5"

    def is_in_its_first_phase():
        try:
            return bool(Trial(path).phases)
        except RecordingError:
            return False

    command = [*PROGRAM, "run", "task1", "--engine", engine, "--preset", "tiny", "--set", "phases.unsupervised_aeons=100000"]
    code, err = interrupted([*command, "--out", str(tmp_path)], is_in_its_first_phase)
    assert code == 130
    way_on = shlex.join(["foraging-snn", *command[len(PROGRAM) :], "--out", str(tmp_path), "--resume"])
    assert err == f"foraging-snn: interrupted; {path} is readable up to here and marked incomplete; go on with: {way_on}\n"
    trial = Trial(path)
    assert not trial.complete
    assert [(phase.name, phase.complete) for phase in trial.phases] == [("unsupervised", False)]
    assert trial.counts(0).counts["epochs"].sum() == trial.phases[0].epochs_done
    assert "NO: the trial did not reach its end" in done("info", path)
    assert main(["table", str(tmp_path)]) == 2


@pytest.mark.slow
def test_a_run_stopped_by_time_and_by_sigterm_goes_on_to_the_same_file(tmp_path, done, capfd):
    command = ["run", "task1", *SHORT[:2], "--preset", "tiny", "--out"]
    done(*command, tmp_path / "whole")
    path, whole = (tmp_path / folder / "task1_seed0001.h5" for folder in ("cut", "whole"))
    cut = [*command, str(tmp_path / "cut")]

    assert main([*cut, "--max-hours", "1e-9"]) == 3
    way_on = shlex.join(["foraging-snn", *cut, "--max-hours", "1e-9", "--resume"])
    left = f"{path} is readable up to here and marked incomplete; go on with: {way_on}"
    assert capfd.readouterr().err == f"foraging-snn: --max-hours is over; {left}\n"

    before = Trial(path).phases[-1].epochs_done
    assert 0 < before < 400

    ledger = tmp_path / "cut" / "ledger"
    kept = set(ledger.rglob("*.h5"))

    def has_gone_on():
        return set(ledger.rglob("*.h5")) != kept

    code, err = interrupted([*PROGRAM, *cut, "--resume", "--checkpoint-minutes", "0.0001"], has_gone_on, by=signal.SIGTERM)
    if not Trial(path).complete:  # otherwise this machine was too fast for us
        assert code == 143
        assert err.startswith("foraging-snn: terminated; ")
    done(*cut, "--resume")
    assert differences(path, whole) == ["provenance@command_line"]  # they lie in two folders
    assert files_in(tmp_path / "cut") == ["task1_seed0001.h5"]
    assert "complete already" in done(*cut, "--resume")


def test_resuming_with_other_parameters_names_what_differs(tmp_path, capfd):
    command = ["run", "task1", *SHORT, "--out", str(tmp_path)]
    assert main([*command, "--max-hours", "1e-9"]) == 3
    capfd.readouterr()
    assert main([*command, "--resume", "--set", "reward.asleep=0.25", "--set", "recording.windows=2"]) == 2
    lines = [f"foraging-snn: {tmp_path}/task1_seed0001.h5: run differently (there, now): "] * 2
    assert capfd.readouterr().err.splitlines() == [
        f"{lines[0]}reward.asleep: 0.5, 0.25",
        f"{lines[1]}recording.windows: 1, 2",
    ]
    assert main(command) == 2
    assert capfd.readouterr().err == (
        f"foraging-snn: {tmp_path}/task1_seed0001.h5: exists already and is not overwritten; it is incomplete: "
        "go on with it with --resume\n"
    )


@pytest.mark.parametrize("option", ["--checkpoint-minutes", "--max-hours"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf"])
def test_times_must_be_above_zero(refused, tmp_path, option, value):
    message = refused("run", "task1", "--out", tmp_path / "new", option, value)
    assert message == f"{option}: {value} given, allowed is a number above 0"
    assert files_in(tmp_path) == []


@pytest.mark.slow
def test_a_start_state_cut_off_by_ctrl_c_goes_on_to_the_same_state(tmp_path, done, capfd):
    (tmp_path / "whole").mkdir()
    length = ["unsupervised", "--preset", "tiny", "--set", "phases.unsupervised_aeons=600"]
    command = [*length, "--checkpoint-minutes", "0.001", "--out", str(tmp_path / "cut" / "state.h5")]
    ledger = tmp_path / "cut" / FOLDER
    code, err = interrupted([*PROGRAM, *command], lambda: any(ledger.glob("*/*.h5")))
    assert code == 130
    way_on = shlex.join(["foraging-snn", *command, "--resume"])
    assert err == f"foraging-snn: interrupted; {tmp_path}/cut/state.h5 was not written; go on with: {way_on}\n"
    assert "epochs were computed before" in done(*command, "--resume")
    done(*length, "--out", tmp_path / "whole" / "state.h5")
    whole, cut = (load_state(tmp_path / folder / "state.h5") for folder in ("whole", "cut"))
    assert (cut.state.epoch, cut.sha256) == (60_000, whole.sha256)
    assert files_in(tmp_path / "cut") == ["state.h5"]
    assert "complete already" in done(*command, "--resume")


@pytest.mark.parametrize(
    "command", ["run task1", "reproduce", "sweep task1", "unsupervised", "table .", "figures .", "animate a.h5", "demo"]
)
def test_an_empty_name_is_not_the_current_folder(command, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), "--out", ""]) == 2
    reason = "Invalid value for '--out': it is empty, allowed is a name, or . for the current folder"
    assert capfd.readouterr() == ("", f"foraging-snn: {reason}; see `foraging-snn {command.split()[0]} --help`\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_disk_that_fills_up(tmp_path):
    """A limit on the size of files stands for the full disk."""
    command = [*PROGRAM, "run", "task1", *SHORT[:4], "--set", "recording.snapshots_per_phase=400", "--out", str(tmp_path)]
    limit = 3_000_000  # bytes; more than the engine hands to and fro
    process = in_a_process(command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    path = tmp_path / "task1_seed0001.h5"
    assert process.returncode == 2
    assert ": cannot be written: File too large; " in process.stderr
    assert process.stderr.endswith(f"; {path} is readable up to here and marked incomplete\n")
    assert process.stderr.count("\n") == 1
    assert not Trial(path).complete
