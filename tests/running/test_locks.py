"""Array jobs: many processes share a folder, each with trials of its own; no two write the same trial, however close they begin."""

import fcntl
import os
import resource
import signal
import sys
import time
import traceback
from errno import ENOLCK

import pytest
from trial_contents import differences

from foraging_snn.commands.cli import main
from foraging_snn.running import locks
from foraging_snn.running.errors import LedgerError, RunError
from foraging_snn.running.locks import FOLDER, OF_COMMAND, OF_WORKER, locked

SHORT = ["--preset", "tiny", "--set", "phases.scale=0.25"]  # one aeon per phase
SEEDS = range(1, 9)


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
    assert names_in(folder) == [FOLDER, *names]
    assert names_in(folder / FOLDER) == [f"seed{seed:04d}" for seed in seeds]
    for name in names:
        of_the_command = {"@trial", "provenance@command_line"}  # its number among the trials of its command
        assert set(differences(folder / name, one_run / name)) <= of_the_command


def array_task(seed, out, *options):
    return ["run", "task1", *SHORT, "--seed", seed, "--out", out, *options]


@pytest.mark.slow
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


@pytest.mark.slow
def test_of_processes_told_to_write_one_trial_one_does(tmp_path, one_run):
    out = tmp_path / "new"
    ends = commands_at_once([array_task(5, out) for _ in range(4)], tmp_path / "logs")
    assert sorted(code for code, _ in ends) == [0, 2, 2, 2]
    for code, err in ends:
        in_use = err.startswith(f"foraging-snn: {out}/task1_seed0005.h5: in use by process ")
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
        refusal = f"foraging-snn: {out}/task1_seed{seed:04d}.h5: in use by process "
        assert all(end == (0, "") or (end[0] == 2 and end[1].startswith(refusal)) for end in of_this)
    assert_as_in_one_run(out, one_run, seeds)


def test_experiments_of_the_same_seed_share_a_folder(tmp_path, one_run):
    commands = [
        ["reproduce", "--experiments", name, *SHORT, "--trials", "1", "--seed", "2", "--out", tmp_path / "new"]
        for name in ("task1", "task2")
    ]
    assert [code for code, _ in commands_at_once(commands, tmp_path / "logs")] == [0, 0]
    assert names_in(tmp_path / "new") == [FOLDER, "task1_seed0002.h5", "task2_seed0002.h5"]
    assert names_in(tmp_path / "new" / FOLDER) == ["seed0002"]
    assert len(names_in(tmp_path / "new" / FOLDER / "seed0002")) == 7  # they share the unsupervised phase


@pytest.mark.slow
def test_a_command_that_is_killed_is_gone_on_with_by_the_next(tmp_path, capfd):
    out = tmp_path / "out"
    command = ["run", "task1", "--preset", "tiny", "--set", "phases.unsupervised_aeons=2000", "--out", str(out)]

    def run():
        with open(os.devnull, "w") as sys.stdout, open(os.devnull, "w") as sys.stderr:
            return main([*command, "--checkpoint-minutes", "0.001"])

    (number,) = begun([run])
    wait_until(lambda: list(out.glob(f"{FOLDER}/*/*.h5")))
    assert main([*command, "--resume"]) == 2
    os.kill(number, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == -signal.SIGKILL
    holder = f"process {number} on {os.uname().nodename}"
    message = f"foraging-snn: {out}/task1_seed0001.h5: in use by {holder}; two runs cannot write to one place\n"
    assert capfd.readouterr().err == message
    assert names_in(out / FOLDER)[-2:] == ["task1_seed0001.lock", "task1_seed0001.worker.lock"]
    assert main([*command, "--resume"]) == 0
    assert capfd.readouterr().err == ""
    assert names_in(out) == [FOLDER, "task1_seed0001.h5"]
    assert names_in(out / FOLDER) == ["seed0001"]


# -------------------------------------------------------------------------------------------------------------------- locks


def trials(folder, name, seeds):
    return [folder / f"{name}_seed{seed:04d}.h5" for seed in seeds]


def refusal_of(files, **options):
    with pytest.raises(LedgerError) as refusal, locked(files, **options):
        pass
    line = str(refusal.value)
    assert line.endswith(f": in use by process {os.getpid()} on {os.uname().nodename}; two runs cannot write to one place")
    return line.partition(": in use by")[0]


def test_what_is_written_already_is_named(tmp_path):
    with locked(trials(tmp_path, "task1", [1, 2, 3, 7])):
        assert refusal_of(trials(tmp_path, "task1", [3])) == f"{tmp_path}/task1_seed0003.h5"
        assert (
            refusal_of([*trials(tmp_path, "sleep", [3]), *trials(tmp_path, "task1", range(3, 9))])
            == f"{tmp_path}/task1_seed0003.h5"
        )
        with locked(trials(tmp_path, "task1", [0, 4, 5, 6, 8])), locked(trials(tmp_path, "task2", [3])):
            assert len(names_in(tmp_path / FOLDER)) == 10
    assert names_in(tmp_path) == []
    with locked(trials(tmp_path, "task1", [3])):
        pass


def test_a_command_and_the_process_that_computes_for_it_have_locks_of_their_own(tmp_path):
    files = trials(tmp_path, "task1", [3])
    with locked(files, OF_COMMAND), locked(files, OF_WORKER):
        assert names_in(tmp_path / FOLDER) == ["task1_seed0003.lock", "task1_seed0003.worker.lock"]
        assert refusal_of(files) == refusal_of(files, kind=OF_WORKER) == f"{files[0]}"


def test_a_lock_is_free_again_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(trials(tmp_path, "task1", [3])):
            raise KeyError
    assert names_in(tmp_path) == []


def hold(files, kind=OF_COMMAND, seconds=60.0):
    def work():
        with locked(files, kind):
            time.sleep(seconds)
        return 0

    return work


def test_a_killed_process_keeps_nobody_out_and_its_lock_goes(tmp_path):
    files = trials(tmp_path, "task1", [1])
    (number,) = begun([hold(files)])
    path = tmp_path / FOLDER / "task1_seed0001.lock"
    wait_until(lambda: path.exists() and path.read_text())
    with pytest.raises(LedgerError, match=f"task1_seed0001.h5: in use by process {number} on "), locked(files):
        pass
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    assert path.exists()
    with locked(files):
        assert path.read_text().startswith(f"process {os.getpid()} on ")
    assert names_in(tmp_path) == []


def test_a_process_that_takes_a_moment_to_end_is_waited_for(tmp_path):
    files = trials(tmp_path, "task1", [1])
    (number,) = begun([hold(files, OF_WORKER, seconds=2.0)])
    wait_until(lambda: list(tmp_path.glob(f"{FOLDER}/*")))
    with locked(files, OF_WORKER, patience_seconds=30.0):
        assert os.waitpid(number, os.WNOHANG)[0] in (0, number)
    assert names_in(tmp_path) == []


def test_a_lock_whose_file_was_replaced_is_noticed_and_that_of_the_other_stays(tmp_path):
    files = trials(tmp_path, "task1", [1])
    path = tmp_path / FOLDER / "task1_seed0001.lock"
    for put_another in (lambda: None, lambda: path.write_text("of another process")):
        with locked(files) as check:
            check()
            path.unlink()
            put_another()
            with pytest.raises(
                LedgerError, match=f"^{tmp_path / FOLDER}: was removed or replaced while task1_seed0001.h5 was computed"
            ):
                check()
    assert path.read_text() == "of another process"


def test_a_disk_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(ENOLCK, os.strerror(ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    files = trials(tmp_path, "task1", [1])
    with locked(files) as check, locked(files):
        check()


def test_many_trials_have_many_locks(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        with locked(trials(tmp_path, "task1", range(1000))):
            assert len(names_in(tmp_path / FOLDER)) == 1000
            assert refusal_of(trials(tmp_path, "task1", [999])) == f"{tmp_path}/task1_seed0999.h5"
        assert names_in(tmp_path) == []
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        refused = pytest.raises(RunError, match=f"trials: {most} files at once, allowed are {most - locks.OTHER_FILES} here")
        with refused, locked(trials(tmp_path, "task1", range(most))):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# -------------------------------------------------------------------------------------------------------------------- races


def holding_until_all_are_decided(files, decided, number):
    """Lock and hold until as many processes have got or been refused theirs; 0 got, 2 refused."""

    def work():
        code = 2
        try:
            with locked(files):
                code = 0
                (decided / str(os.getpid())).touch()
                wait_until(lambda: len(list(decided.iterdir())) == number)
        except LedgerError as error:
            assert "in use by process" in str(error)
            (decided / str(os.getpid())).touch()
        return code

    return work


def codes_at_once(tmp_path, k, wanted):
    decided = tmp_path / f"decided{k}"
    decided.mkdir()
    return at_once([holding_until_all_are_decided(files, decided, len(wanted)) for files in wanted])


def test_of_many_that_lock_one_trial_at_once_exactly_one_gets_it(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    wanted = [[*trials(folder, "other", [k]), *trials(folder, "task1", [5])] for k in range(6)]  # all want seed 5
    for k in range(10):
        assert sorted(codes_at_once(tmp_path, k, wanted)) == [0, 2, 2, 2, 2, 2]
    assert names_in(folder) == []


def test_all_that_lock_trials_of_their_own_at_once_get_them(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    assert codes_at_once(tmp_path, 0, [trials(folder, "task1", [k]) for k in range(30)]) == [0] * 30
    assert names_in(folder) == []


@pytest.mark.slow
def test_two_hundred_processes_of_an_array_share_a_folder(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    assert codes_at_once(tmp_path, 0, [trials(folder, "task1", [k, k + 1000]) for k in range(200)]) == [0] * 200
    assert names_in(folder) == []


def test_of_a_sweep_and_a_run_into_one_of_its_folders_exactly_one_goes_ahead(tmp_path):
    folders = [tmp_path / "out" / f"a={k}" for k in (1, 2, 3)]
    for folder in folders:
        folder.mkdir(parents=True)
    sweep = [tmp_path / "out" / "sweep.h5", *(path for folder in folders for path in trials(folder, "task1", (0, 1)))]
    run = trials(folders[1], "task1", [1])
    won = [codes_at_once(tmp_path, k, [sweep, run] if k % 2 else [run, sweep]) for k in range(10)]
    assert {tuple(sorted(codes)) for codes in won} == {(0, 2)}
    assert all(names_in(folder) == [] for folder in folders)


def test_the_folder_of_the_ledger_may_go_while_another_is_about_to_use_it(tmp_path):
    def come_and_go(k):
        def work():
            for _ in range(150):
                with locked(trials(tmp_path, "task1", [k])) as check:
                    check()
            return 0

        return work

    assert at_once([come_and_go(k) for k in range(4)]) == [0] * 4
    assert names_in(tmp_path) == []
