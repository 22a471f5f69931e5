"""Array jobs: many processes share a folder, each with trials of its own; no two write the same trial, however close they begin."""

import fcntl
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from errno import ENOLCK

import pytest
from trial_contents import differences

from foraging_snn.commands.cli import main
from foraging_snn.models import preset
from foraging_snn.protocols import experiments
from foraging_snn.running.checkpoints import FOLDER, CheckpointError, locked, remove_empty_folder
from foraging_snn.running.claims import PREFIX, SUFFIX, Claim, claimed, trials_of
from foraging_snn.running.trial import identity_of, trial_path

TINY = preset("tiny")
SHORT = ["--preset", "tiny", "--set", "phases.scale=0.25"]  # one aeon per phase
SEEDS = range(8)


def trial(folder, names, seed):
    rows = [experiments(TINY)[name] for name in names]
    return identity_of(rows, TINY, seed, "event", None), [trial_path(folder, name, seed) for name in names]


def writes(folder, names, seeds, table=False):
    return trials_of(folder, [trial(folder, names, seed) for seed in seeds], table)


def child(work, begin):
    """A process that does some work when the pipe `begin` is closed in this one; its number."""
    if number := os.fork():
        return number
    code = 99
    try:
        os.close(begin[1])
        os.read(begin[0], 1)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def begun(works):
    """Processes that do several things at the same time; their numbers."""
    begin = os.pipe()
    numbers = [child(work, begin) for work in works]
    for end in begin:
        os.close(end)
    return numbers


def at_once(works):
    """Do several things at the same time, in a process each; their exit codes."""
    return [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in begun(works)]


def commands_at_once(commands, logs):
    """Run several commands at the same time; exit code and standard error of each."""

    def work(k):
        def run():
            with open(logs / f"{k}.out", "w") as sys.stdout, open(logs / f"{k}.err", "w") as sys.stderr:
                return main([str(word) for word in commands[k]])

        return run

    logs.mkdir()
    codes = at_once([work(k) for k in range(len(commands))])
    return list(zip(codes, [(logs / f"{k}.err").read_text() for k in range(len(commands))], strict=True))


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------------------------------------------- commands at the same time


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """The folder of a run of all trials; this process and its children have the engine compiled from then on."""
    folder = tmp_path_factory.mktemp("one") / "out"
    assert main(["run", "task1", *SHORT, "--trials", str(len(SEEDS)), "--out", str(folder)]) == 0
    return folder


def assert_as_in_one_run(folder, one_run, seeds=SEEDS):
    names = [f"task1_seed{seed:04d}.h5" for seed in seeds]
    assert names_in(folder) == names
    for name in names:
        of_the_command = {"@trial", "provenance@command_line"}  # its number among the trials of its command
        assert set(differences(folder / name, one_run / name)) <= of_the_command


def array_task(seed, out, *options):
    return ["run", "task1", *SHORT, "--seed", seed, "--out", out, *options]


def test_trials_begun_at_once_in_a_new_folder_are_those_of_one_run(tmp_path, one_run, capfd):
    out = tmp_path / "a" / "new"
    ends = commands_at_once([array_task(seed, out) for seed in SEEDS], tmp_path / "logs")
    assert ends == [(0, "")] * len(SEEDS)
    assert_as_in_one_run(out, one_run)
    capfd.readouterr()
    tables = [(main(["table", str(folder)]), capfd.readouterr()) for folder in (one_run, out)]
    assert tables[0] == tables[1]
    assert tables[0][0] == 0
    assert "task1: T1" in tables[0][1].out


def test_of_processes_told_to_write_one_trial_one_does(tmp_path, one_run):
    out = tmp_path / "new"
    ends = commands_at_once([array_task(5, out) for _ in range(4)], tmp_path / "logs")
    assert sorted(code for code, _ in ends) == [0, 2, 2, 2]
    for code, err in ends:
        in_use = err.startswith(f"foraging-snn: {out}: task1, seed 5: in use by process ")
        assert err.count("\n") == (1 if code else 0)
        assert in_use or "exists already and is not overwritten" in err or not code
    assert_as_in_one_run(out, one_run, [5])


@pytest.mark.slow
def test_an_array_that_was_cut_off_goes_on_whatever_is_begun_twice(tmp_path, one_run):
    out, seeds = tmp_path / "new", range(1, 4)
    stopped = commands_at_once([array_task(seed, out, "--max-hours", "1e-9") for seed in seeds], tmp_path / "first")
    assert [code for code, _ in stopped] == [3, 3, 3]
    assert all("go on with: foraging-snn run task1" in err for _, err in stopped)
    assert FOLDER in names_in(out)
    again = [1, 2, 3, 3, 1]
    ends = commands_at_once([array_task(seed, out, "--resume") for seed in again], tmp_path / "second")
    for seed in seeds:
        of_this = [end for end, number in zip(ends, again, strict=True) if number == seed]
        assert (0, "") in of_this
        refusal = f"foraging-snn: {out}: task1, seed {seed}: in use by process "
        assert all(end == (0, "") or (end[0] == 2 and end[1].startswith(refusal)) for end in of_this)
    assert_as_in_one_run(out, one_run, seeds)


def test_experiments_of_the_same_seed_share_a_folder(tmp_path, one_run):
    commands = [
        ["reproduce", "--experiments", name, *SHORT, "--trials", "1", "--seed", "2", "--out", tmp_path / "new"]
        for name in ("task1", "task2")
    ]
    assert [code for code, _ in commands_at_once(commands, tmp_path / "logs")] == [0, 0]
    assert names_in(tmp_path / "new") == ["task1_seed0002.h5", "task2_seed0002.h5"]


@pytest.mark.slow
def test_a_command_that_is_killed_is_gone_on_with_by_the_next(tmp_path, capfd):
    out = tmp_path / "out"
    command = ["run", "task1", "--preset", "tiny", "--set", "phases.unsupervised_aeons=2000", "--out", str(out)]

    def run():
        with open(os.devnull, "w") as sys.stdout, open(os.devnull, "w") as sys.stderr:
            return main([*command, "--checkpoint-minutes", "0.001"])

    (number,) = begun([run])
    wait_until(lambda: list(out.glob(f"{FOLDER}/*/0*/trial.h5")))
    assert main([*command, "--resume"]) == 2
    os.kill(number, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == -signal.SIGKILL
    holder = f"process {number} on {os.uname().nodename}"
    message = f"foraging-snn: {out}: task1, seed 0: in use by {holder}; two runs cannot write to one place\n"
    assert capfd.readouterr().err == message
    assert len(list(out.glob(f"{PREFIX}*{SUFFIX}"))) == 1
    assert main([*command, "--resume"]) == 0
    assert capfd.readouterr().err == ""
    assert names_in(out) == ["task1_seed0000.h5"]


# ------------------------------------------------------------------------------------------------------------------- claims


def refusal_of(folder, wanted):
    with pytest.raises(CheckpointError) as refusal, claimed(folder, wanted):
        pass
    line = str(refusal.value)
    assert line.endswith(f" in use by process {os.getpid()} on {os.uname().nodename}; two runs cannot write to one place")
    return line.partition(": in use by")[0]


def test_what_is_written_already_is_named(tmp_path):
    with claimed(tmp_path, writes(tmp_path, ["task1"], [1, 2, 3, 7])):
        assert refusal_of(tmp_path, writes(tmp_path, ["task1"], [3])) == f"{tmp_path}: task1, seed 3"
        assert refusal_of(tmp_path, writes(tmp_path, ["sleep", "task1"], range(2, 9))) == f"{tmp_path}: task1, seeds 2 to 3"
        with claimed(tmp_path, writes(tmp_path, ["task1"], [0, 4, 5, 6, 8])), claimed(tmp_path, writes(tmp_path, ["task2"], [3])):
            assert refusal_of(tmp_path, writes(tmp_path, ["task2"], [3])) == f"{tmp_path}: task2, seed 3"
            assert len(names_in(tmp_path)) == 3
    assert names_in(tmp_path) == []
    with claimed(tmp_path, writes(tmp_path, ["task1"], [3])):
        pass


def test_several_experiments_of_a_seed_have_their_checkpoints_in_one_place(tmp_path):
    with claimed(tmp_path, writes(tmp_path, ["task1", "task2"], [1])):
        assert refusal_of(tmp_path, writes(tmp_path, ["sleep", "sequential"], [1])) == (
            f"{tmp_path}: several experiments at once, seed 1"
        )
        with claimed(tmp_path, writes(tmp_path, ["sleep", "sequential"], [2])), claimed(tmp_path, writes(tmp_path, ["sleep"], [1])):
            pass


def sweep_over(folder, points, seeds=(0, 1)):
    return trials_of(folder, [trial(folder / point, ["task1"], seed) for point in points for seed in seeds], table=True)


def test_a_sweep_keeps_away_others_from_its_table_and_its_folders(tmp_path):
    (tmp_path / "a=1").mkdir()
    with claimed(tmp_path, sweep_over(tmp_path, ["a=1", "a=2"])):
        assert refusal_of(tmp_path, sweep_over(tmp_path, ["a=3"])) == f"{tmp_path}: the table of the sweep"
        for point in ("a=1", "a=2"):
            (tmp_path / point).mkdir(exist_ok=True)
            below = tmp_path / point
            assert refusal_of(below, writes(below, ["task1"], [1])) == f"{below}: task1, seed 1"
            with claimed(below, writes(below, ["task1"], [2])):
                pass
        with claimed(tmp_path, writes(tmp_path, ["task1"], [0])):  # beside its table
            pass


def test_a_sweep_is_kept_away_from_a_folder_in_which_a_trial_of_it_is_run(tmp_path):
    below = tmp_path / "a=2"
    below.mkdir()
    with claimed(below, writes(below, ["task1"], [1])):
        assert refusal_of(tmp_path, sweep_over(tmp_path, ["a=1", "a=2"])) == f"{below}: task1, seed 1"
        with claimed(tmp_path, sweep_over(tmp_path, ["a=2"], seeds=[0])):
            pass
    assert names_in(tmp_path) == ["a=2"]
    assert names_in(below) == []


def test_a_killed_process_keeps_nobody_out_and_its_claim_goes(tmp_path):
    wanted = writes(tmp_path, ["task1"], [1])

    def hold():
        with claimed(tmp_path, wanted):
            time.sleep(60)

    (number,) = begun([hold])
    wait_until(lambda: list(tmp_path.glob(f"{PREFIX}*{SUFFIX}")))
    claims = list(tmp_path.glob(f"{PREFIX}*{SUFFIX}"))
    with pytest.raises(CheckpointError, match=f"task1, seed 1: in use by process {number} on "), claimed(tmp_path, wanted):
        pass
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    assert claims[0].exists()
    (tmp_path / f"{PREFIX}0{SUFFIX}.part").write_text("of one that was killed a moment earlier")
    with claimed(tmp_path, wanted):
        assert not claims[0].exists()
        assert len(names_in(tmp_path)) == 1
    assert names_in(tmp_path) == []


def test_a_disk_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    wanted = writes(tmp_path, ["task1"], [1])
    with claimed(tmp_path, wanted), claimed(tmp_path, wanted):
        pass
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"holder": 1}', '{"holder": 1, "writes": {"": {"task1": [1]}}}', "[" * 100_000])
def test_a_claim_that_says_nothing_keeps_nobody_out(tmp_path, text):
    with pytest.raises(ValueError):
        Claim.read(text)
    path = tmp_path / f"{PREFIX}x{SUFFIX}"
    path.write_text(text)
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with claimed(tmp_path, writes(tmp_path, ["task1"], [1])):
            pass
    assert names_in(tmp_path) == [path.name]


def test_a_hundred_thousand_trials_take_one_small_file(tmp_path):
    identity, paths = trial(tmp_path, ["task1"], 0)
    wanted = trials_of(tmp_path, [(replace(identity, seed=seed), paths) for seed in range(100_000)], table=False)
    assert wanted == {"": {"task1": [(0, 99_999)]}}
    with claimed(tmp_path, wanted):
        (path,) = tmp_path.iterdir()
        assert path.stat().st_size < 200
        assert refusal_of(tmp_path, writes(tmp_path, ["task1"], [99_999])) == f"{tmp_path}: task1, seed 99999"


# -------------------------------------------------------------------------------------------------------------------- races


def holding_until_all_are_decided(folder, wanted, decided, number):
    """Claim and hold until as many processes have got or been refused theirs; 0 got, 2 refused."""

    def work():
        code = 2
        try:
            with claimed(folder, wanted):
                code = 0
                (decided / str(os.getpid())).touch()
                wait_until(lambda: len(list(decided.iterdir())) == number)
        except CheckpointError as error:
            assert "in use by process" in str(error)
            (decided / str(os.getpid())).touch()
        return code

    return work


def codes_at_once(tmp_path, k, wanted):
    decided = tmp_path / f"decided{k}"
    decided.mkdir()
    return at_once([holding_until_all_are_decided(folder, what, decided, len(wanted)) for folder, what in wanted])


def test_of_many_that_claim_one_trial_at_once_exactly_one_gets_it(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    wanted = [(folder, writes(folder, ["task1"], range(k, 6))) for k in range(6)]  # all want seed 5
    for k in range(10):
        assert sorted(codes_at_once(tmp_path, k, wanted)) == [0, 2, 2, 2, 2, 2]
    assert names_in(folder) == []


def test_all_that_claim_trials_of_their_own_at_once_get_them(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    assert codes_at_once(tmp_path, 0, [(folder, writes(folder, ["task1"], [k])) for k in range(30)]) == [0] * 30
    assert names_in(folder) == []


def test_of_a_sweep_and_a_run_into_one_of_its_folders_exactly_one_goes_ahead(tmp_path):
    folder, below = tmp_path / "out", tmp_path / "out" / "a=2"
    below.mkdir(parents=True)
    sweep, run = (folder, sweep_over(folder, ["a=1", "a=2", "a=3"])), (below, writes(below, ["task1"], [1]))
    won = [codes_at_once(tmp_path, k, [sweep, run] if k % 2 else [run, sweep]) for k in range(10)]
    assert {tuple(sorted(codes)) for codes in won} == {(0, 2)}


def test_the_folder_of_checkpoints_may_go_while_another_is_about_to_use_it(tmp_path):
    def come_and_go(k):
        def work():
            for _ in range(150):
                with locked(tmp_path / FOLDER / f"{k}.lock", "here", 30.0):
                    (tmp_path / FOLDER / str(k)).mkdir(parents=True, exist_ok=True)
                    (tmp_path / FOLDER / str(k)).rmdir()
                remove_empty_folder(tmp_path)
            return 0

        return work

    assert at_once([come_and_go(k) for k in range(4)]) == [0] * 4
    assert names_in(tmp_path) == []
