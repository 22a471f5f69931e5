"""Under a limit of the address space (`ulimit -v`) a command gives its result or one line, soon."""

import os
import re
import subprocess
import sys

import pytest

import foraging_snn
from foraging_snn.commands import entry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit of the address space is Linux's")
MB = 10**6


def limited(megabytes, *arguments):
    """Run the command line with so much address space; exit code, standard output, standard error."""
    from resource import RLIMIT_AS, setrlimit

    process = subprocess.run(
        [sys.executable, "-m", "foraging_snn", *map(str, arguments)],
        preexec_fn=lambda: setrlimit(RLIMIT_AS, (megabytes * MB, megabytes * MB)),
        env={name: value for name, value in os.environ.items() if name not in entry.THREADS},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize(
    ("megabytes", "arguments", "needed"),
    [
        (150, ["parameters"], 400),
        (300, ["list"], 400),
        (550, ["table", "never"], 600),
        (400, ["run", "task1", "--preset", "tiny", "--start-from", "after-unsupervised", "--out", "never"], 900),
        (700, ["run", "task1", "--preset", "tiny", "--start-from", "after-unsupervised", "--out", "never"], 900),
    ],
)
def test_too_little_is_said_in_one_line_before_anything_is_done(tmp_path, megabytes, arguments, needed):
    arguments = [tmp_path / word if word == "never" else word for word in arguments]
    line = f"there is not enough memory: limited to {megabytes} MB (ulimit -v), at least {needed} MB are needed for that"
    assert limited(megabytes, *arguments) == (2, "", f"foraging-snn: {line}\n")
    assert not (tmp_path / "never").exists()


def test_a_library_that_gets_no_memory_ends_in_one_line(monkeypatch, capsys):
    def fails():
        raise ImportError("failed to map segment\nfrom shared object")

    monkeypatch.setattr(entry, "address_space_limit", lambda: 450 * MB)
    monkeypatch.setattr(entry, "_command_line", fails)
    monkeypatch.setattr(sys, "argv", ["foraging-snn", "info", "there"])
    for name in entry.THREADS:
        monkeypatch.setenv(name, "1")
    assert entry.main() == 2
    reason = "failed to map segment from shared object"
    assert capsys.readouterr().err == f"foraging-snn: there is not enough memory: limited to 450 MB (ulimit -v), {reason}\n"


def test_little_is_enough_for_what_does_not_compute():
    assert limited(450, "list")[0] == 0
    code, out, err = limited(450, "run", "--help")
    assert (code, err) == (0, "")
    assert re.search("--start-from", out)


@pytest.mark.parametrize(("limit", "threads"), [(None, None), (10**12, None), (1000 * MB, "1")])
def test_blas_gets_one_thread_only_where_there_is_no_room_for_more(monkeypatch, limit, threads):
    seen = []
    monkeypatch.setattr(entry, "address_space_limit", lambda: limit)
    monkeypatch.setattr(entry, "_command_line", lambda: seen.append(os.environ.get("OPENBLAS_NUM_THREADS")) or 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(sys, "argv", ["foraging-snn", "run"])
    for name in entry.THREADS:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    assert entry.main() == 0
    assert seen == [threads]


def test_a_broken_installation_is_not_taken_for_too_little_memory(monkeypatch, capsys):
    def fails():
        raise ImportError("No module named 'h5py'")

    monkeypatch.setattr(entry, "address_space_limit", lambda: None)
    monkeypatch.setattr(entry, "_command_line", fails)
    assert entry.main() == 2
    said = "a library cannot be loaded: No module named 'h5py'; `pip check` tells which versions do not fit together"
    assert capsys.readouterr().err == f"foraging-snn: {said}\n"


def test_the_version_is_told_without_loading_anything_for_it():
    program = (
        "import sys; sys.argv = ['foraging-snn', '--version']; from foraging_snn.commands.entry import main; code = main(); "
        "sys.exit(code or ('numpy' in sys.modules or 'typer' in sys.modules))"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (process.returncode, process.stdout) == (0, f"foraging-snn {foraging_snn.__version__}\n")


def test_the_command_line_is_loaded_without_gymnasium_matplotlib_and_brian2():
    program = "import sys, foraging_snn.commands.cli; print({'gymnasium', 'matplotlib', 'brian2', 'torch'} & set(sys.modules))"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert process.stdout == "set()\n", process.stderr
