"""Anything may come in: documents, options and files that no one thought of. The answer is a result or one clear line."""

import io
import os
import shutil
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout

import h5py
import numpy as np
import pytest
import tomli_w
import typer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pretend_engine import PretendEngine
from pretend_evaluations import landscape, paths

from foraging_snn.commands import cli
from foraging_snn.commands.cli import main
from foraging_snn.files.landscapes import LandscapeError, read_landscape, read_paths, write_landscape, write_paths
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import StateError, load_state, save_state
from foraging_snn.models import ParameterError, Parameters, initial_state, preset
from foraging_snn.protocols import experiment, experiments
from foraging_snn.running.plan import trial_path
from foraging_snn.running.trial import Keeping, run_trial

SMALL = preset("tiny").with_changes(
    {
        "network.hidden_cells": 20,
        "world.size": 12,
        "world.field": 5,
        "recording.snapshots_per_phase": 2,
        "recording.position_window_epochs": 20,
        "recording.spike_window_epochs": 20,
    }
)
NAMES = [row.name for row in SMALL.rows()]
COMMANDS = typer.main.get_command(cli.app).commands


def few_or_many(few, many):
    """So many examples, and more in the slow tests."""
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.slow)])


def with_examples(n):
    return settings(max_examples=n, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


def answer(arguments):
    """Run a command in this process; its exit code. The streams hold a result, or one line on what is wrong."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(arguments)
    lines = err.getvalue()
    if code == 0:
        assert lines == ""
    else:
        assert code == 2
        assert lines.startswith("foraging-snn: ")
        assert (lines.count("\n"), lines.endswith("\n")) == (1, True)
        assert lines[:-1].isprintable()
        assert len(lines) < 5000
    return code


# ------------------------------------------------------------------------------------------------------- configuration

numbers = st.one_of(
    st.integers(), st.integers(-2, 200), st.floats(), st.floats(0, 1), st.sampled_from([2**63, 2**64, -1, 0, 1e308, 10**30])
)
values = st.recursive(
    st.one_of(numbers, st.booleans(), st.text(max_size=20), st.datetimes(), st.times()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)
groups = st.sampled_from(sorted({name.partition(".")[0] for name in NAMES}))
fields = st.sampled_from(sorted({name.partition(".")[2] for name in NAMES}))
known = st.builds(lambda name, value: {name.partition(".")[0]: {name.partition(".")[2]: value}}, st.sampled_from(NAMES), values)
mixed = st.dictionaries(
    st.one_of(groups, st.just("preset"), st.text(max_size=10)),
    st.one_of(values, st.dictionaries(st.one_of(fields, st.text(max_size=10)), values, max_size=3)),
    max_size=4,
)


def shown(document):
    try:
        return tomli_w.dumps(document)
    except (ValueError, TypeError, AttributeError):  # not every value can be in TOML
        return repr(document)


documents = st.one_of(st.builds(shown, known), st.builds(shown, mixed), st.text(max_size=200))


@few_or_many(80, 5000)
def test_a_document_is_a_set_of_parameters_or_refused_in_one_line(examples):
    @with_examples(examples)
    @given(documents)
    @example("a=" + "[" * 5000)
    @example("[network]\nhidden_cells = " + "9" * 5000)
    @example("[" + "x" * 100_000 + "]\na = 1")
    def check(text):
        try:
            parameters = Parameters.from_toml(text)
        except ParameterError as error:
            assert str(error)
            assert len(str(error)) < 1000
        else:
            assert Parameters.from_toml(parameters.to_toml()) == parameters

    check()


@few_or_many(40, 2000)
def test_a_file_of_parameters_is_read_or_refused_in_one_line(examples, tmp_path):
    path = tmp_path / "mine.toml"

    @with_examples(examples)
    @given(st.one_of(st.binary(max_size=100), documents.map(lambda text: text.encode("utf-8", "replace"))))
    @example(b"\xef\xbb\xbf[world]\r\nsize = 20\r\n")
    def check(contents):
        path.write_bytes(contents)
        answer(["parameters", "--toml", "--file", str(path)])

    check()


@few_or_many(40, 3000)
def test_a_change_is_made_or_refused_in_one_line(examples):
    of_known = st.builds(
        "{}={}".format, st.sampled_from([*NAMES, "preset", "world", "world.", ".size"]), st.one_of(numbers, st.text())
    )

    @with_examples(examples)
    @given(st.lists(st.one_of(of_known, st.text(max_size=30)), min_size=1, max_size=3))
    @example(["world.size=nan"])
    @example(["x" * 100_000 + "=1"])
    @example(["world.size=20\nsize=30"])
    @example(["sleep.pulse=\udcff"])
    def check(changes):
        answer(["parameters", "--toml", *(word for change in changes for word in ("--set", change))])

    check()


# -------------------------------------------------------------------------------------------------------- command line

words = st.one_of(
    st.text(max_size=12),
    numbers.map(str),
    st.sampled_from(
        ["task1", "sleep", "tiny", "event", "event,event", "fig1", "png", ".", "/", "/dev/null", "", "--", "a b", "é\n→"]
    ),
)


def arguments_of(name):
    """Options of a command with anything behind them, and words between."""
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("-")]
    option = st.sampled_from(options or ["--help"])
    one = st.one_of(
        words.map(lambda w: [w]), st.tuples(option, words).map(list), st.builds("{}={}".format, option, words).map(lambda w: [w])
    )
    return st.lists(one, max_size=5).map(lambda parts: [word for part in parts for word in part])


@pytest.fixture
def nothing_runs(tmp_path, monkeypatch):
    """A folder to be in; were an engine to start, the test would fail."""

    def refuse(*_, **__):
        raise AssertionError("a run has begun")

    monkeypatch.setattr("foraging_snn.commands.running.ready_engines", refuse)
    (tmp_path / "occupied").touch()
    with chdir(tmp_path):
        yield


LAST = {"compare-engines": ["--epochs", "0"], "list": [], "parameters": [], "info": []}


@pytest.mark.parametrize("name", sorted(COMMANDS))
@few_or_many(15, 1000)
def test_a_command_answers_any_options(examples, name, nothing_runs):
    last = LAST.get(name, ["--out", "occupied"])  # where no run can begin

    @with_examples(examples)
    @given(arguments_of(name))
    def check(arguments):
        answer([name, *arguments, *last])

    check()
    assert os.listdir() == ["occupied"]


@few_or_many(30, 2000)
def test_any_words_are_answered(examples, nothing_runs):
    @with_examples(examples)
    @given(st.lists(words, max_size=4))
    def check(arguments):
        answer(["--out", "occupied", *arguments])

    check()


# --------------------------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """A trial and a state."""
    folder = tmp_path_factory.mktemp("whole")
    chosen = experiment("task1", SMALL)
    with PretendEngine(SMALL) as engine:
        run_trial(chosen, SMALL, seed=3, trial=0, engine=engine, path=folder / "trial.h5", command_line="by hand")
    save_state(folder / "state.h5", initial_state(SMALL, 3), SMALL, note="by hand")
    return folder


def contents_of(path):
    """Paths of all groups and datasets, and of all attributes as (path, name)."""
    objects, attributes = [], []
    with h5py.File(path) as file:
        file.visit(objects.append)
        for name in ["/", *objects]:
            attributes += [(name, attribute) for attribute in file[name].attrs]
    return objects, attributes


KINDS = ["i1", "i4", "i8", "u1", "u8", "f4", "f8", "S3", ">i4", ">f8", "?", "c16", "V4"]
shapes = st.one_of(st.just(()), st.lists(st.integers(0, 5), max_size=3).map(tuple))
texts = st.one_of(st.text(max_size=10).filter(lambda text: "\0" not in text), st.just("x\x1b[2J\ny"), st.just("9" * 5000))


def made_array(kind, shape, fill):
    with np.errstate(invalid="ignore"):  # NaN as a whole number
        return np.full(shape, fill).astype(kind) if kind != "V4" else np.zeros(shape, kind)


arrays = st.builds(
    made_array,
    st.sampled_from(KINDS),
    shapes,
    st.sampled_from([0, 1, -1, 7, 255, 1e300, float("nan"), float("inf")]),
)
new_values = st.one_of(arrays, texts, st.integers(-(2**63), 2**63 - 1), st.just(h5py.Empty("f8")))


def make_another(file, name, value):
    del file[name]
    file[name] = value


def make_larger(file, name, factor):
    """As many rows more, which are not in the file."""
    old = file[name]
    kind, shape = old.dtype, (max([1, *old.shape[:1]]) * factor, *old.shape[1:])
    del file[name]
    file.create_dataset(name, shape, kind, chunks=(1, *shape[1:]), compression="gzip")


def make_a_link(file, name, link):
    del file[name]
    file[name] = link


def changes_of(path):
    """What can be done to a file: functions of the open file."""
    objects, attributes = contents_of(path)
    an_object, an_attribute = st.sampled_from(objects), st.sampled_from(attributes)
    with h5py.File(path) as file:
        datasets = [name for name in objects if isinstance(file[name], h5py.Dataset) and file[name].shape]
    links = st.sampled_from([h5py.SoftLink("/wiring"), h5py.SoftLink("/none"), h5py.ExternalLink(str(path), "/wiring")])
    return st.one_of(
        st.builds(lambda name: lambda file: file.__delitem__(name), an_object),
        st.builds(lambda name, value: lambda file: make_another(file, name, value), an_object, new_values),
        st.builds(lambda name, other: lambda file: make_another(file, name, file[other]), an_object, an_object),
        st.builds(
            lambda name, n: lambda file: make_larger(file, name, n), st.sampled_from(datasets), st.sampled_from([2, 10**6, 10**15])
        ),
        st.builds(lambda name, link: lambda file: make_a_link(file, name, link), an_object, links),
        st.builds(lambda at: lambda file: file[at[0]].attrs.__delitem__(at[1]), an_attribute),
        st.builds(lambda at, value: lambda file: file[at[0]].attrs.__setitem__(at[1], value), an_attribute, new_values),
        st.builds(lambda name, value: lambda file: file.__setitem__(f"{name}/new", value), an_object, new_values),
    )


def changed(source, path, changes):
    """A copy of a file with changes, as far as they can be made."""
    path.unlink(missing_ok=True)  # a new file: HDF5 knows those that are open by what they are on the disk
    shutil.copy(source, path)
    with h5py.File(path, "r+", libver=("v108", "v108")) as file:
        for change in changes:
            try:
                change(file)
            except (KeyError, ValueError, TypeError, RuntimeError, OSError, AttributeError, OverflowError):
                continue


def read_all_of_a_trial(path):
    with Trial(path) as trial:
        trial.wiring()
        for read in (trial.hidden_output_snapshots, trial.input_hidden_snapshots, trial.rates, trial.resistances):
            read()
        for phase in trial.phases[:2]:
            trial.performance_curve(phase.index, 2, task=1)
            for read in (trial.training_spikes, trial.positions, trial.spikes, trial.windows):
                read(phase.index)


@pytest.mark.parametrize("kind", ["landscape", "paths"])
@few_or_many(40, 2000)
def test_a_changed_landscape_is_read_or_refused_in_one_line(examples, kind, tmp_path):
    make, write, read = {"landscape": (landscape, write_landscape, read_landscape), "paths": (paths, write_paths, read_paths)}[kind]
    whole, path = tmp_path / "whole.h5", tmp_path / "changed.h5"
    write(whole, make())

    @with_examples(examples)
    @given(st.lists(changes_of(whole), min_size=1, max_size=2))
    def check(changes):
        changed(whole, path, changes)
        try:
            read(path)
        except LandscapeError as error:
            assert str(error).startswith(str(path))
            assert "\n" not in str(error)

    check()


@few_or_many(40, 5000)
def test_a_changed_trial_is_read_or_refused_in_one_line(examples, whole_files, tmp_path):
    path = tmp_path / "trial.h5"

    @with_examples(examples)
    @given(st.lists(changes_of(whole_files / "trial.h5"), min_size=1, max_size=2))
    def check(changes):
        changed(whole_files / "trial.h5", path, changes)
        try:
            read_all_of_a_trial(path)
        except RecordingError as error:
            assert str(error).startswith(str(path))
            assert "\n" not in str(error)

    check()


@few_or_many(15, 1000)
def test_a_changed_trial_is_shown_or_refused_in_one_line(examples, whole_files, tmp_path):
    path = tmp_path / "trial.h5"
    commands = [["info"], *(["table", "--format", name] for name in ("text", "csv", "json", "markdown"))]

    @with_examples(examples)
    @given(changes_of(whole_files / "trial.h5"), st.sampled_from(commands))
    def check(change, command):
        changed(whole_files / "trial.h5", path, [change])
        answer([*command, str(path)])

    check()


@few_or_many(40, 3000)
def test_a_changed_state_is_refused_in_one_line_or_whole(examples, whole_files, tmp_path):
    path = tmp_path / "state.h5"
    whole = load_state(whole_files / "state.h5").state

    @with_examples(examples)
    @given(st.lists(changes_of(whole_files / "state.h5"), min_size=1, max_size=2))
    def check(changes):
        changed(whole_files / "state.h5", path, changes)
        try:
            assert load_state(path).state.differences(whole) == []
        except StateError as error:
            assert str(error).startswith(str(path))
            assert "\n" not in str(error)

    check()


# ------------------------------------------------------------------------------------------- what was found, one by one


def one_line_of(capfd, *arguments):
    """What a command that is refused says."""
    assert main([str(argument) for argument in arguments]) == 2
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    return line.removeprefix("foraging-snn: ").rstrip("\n")


@pytest.fixture
def a_trial(whole_files, tmp_path):
    """A file of a trial that may be changed."""
    shutil.copy(whole_files / "trial.h5", tmp_path / "mine.h5")
    return tmp_path / "mine.h5"


def open_to_change(path):
    return h5py.File(path, "r+", libver=("v108", "v108"))


def refused_trial(path):
    with pytest.raises(RecordingError) as caught:
        read_all_of_a_trial(path)
    return str(caught.value).removeprefix(f"{path}: damaged or truncated: ")


def test_links_out_of_a_file_are_not_followed(a_trial):
    with open_to_change(a_trial) as file:
        make_a_link(file, "aeons", h5py.ExternalLink("elsewhere.h5", "/"))
    assert refused_trial(a_trial) == "'aeons' is a link to somewhere else"


def test_a_link_within_a_file_to_something_else_is_damage(a_trial):
    with open_to_change(a_trial) as file:
        make_a_link(file, "aeons", h5py.SoftLink("/wiring"))
    assert "aeons" in refused_trial(a_trial)


def test_a_file_that_leads_elsewhere_is_replaced_and_not_followed(whole_files, tmp_path):
    other = whole_files / "trial.h5"
    before = other.read_bytes()
    path = trial_path(tmp_path, "task1", 3)
    options = {"seed": 3, "trial": 0, "engine": PretendEngine(SMALL), "command_line": "", "keeping": Keeping(tmp_path / "ledger")}
    run_trial(experiments(SMALL)["task1"], SMALL, path=path, **options)
    with open_to_change(path) as file:
        make_a_link(file, "aeons", h5py.ExternalLink(str(other), "/aeons"))
    assert refused_trial(path) == "'aeons' is a link to somewhere else"
    run_trial(experiments(SMALL)["task1"], SMALL, path=path, **options)  # assembled anew from the ledger
    assert Trial(path).complete
    assert other.read_bytes() == before


def test_data_in_other_files_is_not_read(a_trial, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(1000))
    with open_to_change(a_trial) as file:
        del file["wiring/inhibition"]
        file.create_dataset("wiring/inhibition", (20,), "f8", external=[(str(tmp_path / "raw"), 0, 160)])
    assert refused_trial(a_trial) == "the data of 'wiring/inhibition' is in other files"


def test_data_put_together_from_other_files_is_not_read(a_trial, whole_files):
    with h5py.File(a_trial, "r+", libver="latest") as file:
        layout = h5py.VirtualLayout((20,), "f8")
        layout[:] = h5py.VirtualSource(str(whole_files / "trial.h5"), "wiring/inhibition", (20,))
        del file["wiring/inhibition"]
        file.create_virtual_dataset("wiring/inhibition", layout)
    assert refused_trial(a_trial) == "the data of 'wiring/inhibition' is in other files"


def test_filters_of_other_programs_are_not_loaded(a_trial):
    with open_to_change(a_trial) as file:
        del file["wiring/inhibition"]
        file.create_dataset("wiring/inhibition", data=np.zeros(20), compression="lzf")
    assert refused_trial(a_trial) == "'wiring/inhibition' is compressed by another program than HDF5"


@pytest.mark.parametrize("value", [[0.1], "a tenth", 1])
def test_a_share_that_is_no_number_is_refused(a_trial, value):
    with open_to_change(a_trial) as file:
        file["phases/000"].attrs["freeze_fraction"] = value
    assert refused_trial(a_trial) == "attribute freeze_fraction is not a number"


@pytest.mark.parametrize("rows", [10**8, 10**15])
def test_rows_that_are_not_in_the_file_are_not_made_room_for(a_trial, rows):
    with open_to_change(a_trial) as file:
        del file["aeons/moves"]
        file.create_dataset("aeons/moves", (rows,), "i8", chunks=(1000,), compression="gzip")
    assert refused_trial(a_trial) == f"'aeons/moves' claims {8 * rows:,} bytes, which are not in the file"


def test_a_piece_larger_than_the_file_is_not_made_room_for(a_trial):
    with open_to_change(a_trial) as file:
        old = file["aeons/moves"][:]
        del file["aeons/moves"]
        file.create_dataset("aeons/moves", data=old, maxshape=(None,), chunks=(5 * 10**7,), compression="gzip")
    assert refused_trial(a_trial) == f"'aeons/moves' claims {400_000_000:,} bytes, which are not in the file"


def test_a_network_that_is_not_in_the_file_is_not_made_room_for(whole_files, tmp_path):
    shutil.copy(whole_files / "state.h5", tmp_path / "mine.h5")
    huge = SMALL.with_changes(
        {"network.hidden_cells": 100_000, "world.field": 31, "network.inputs_per_hidden_cell": 900, "world.size": 1000}
    )
    with open_to_change(tmp_path / "mine.h5") as file:
        file.attrs["parameters"] = np.bytes_(huge.to_toml())
    began = time.monotonic()
    with pytest.raises(StateError, match=r"V has shape \(53,\), not \(100969,\)$"):
        load_state(tmp_path / "mine.h5")
    assert time.monotonic() - began < 30  # drawing its wiring would take hours


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("activities", -1, "phase 1: attribute activities has numbers of no activity"),
        ("block_epochs", 2**62, "phase 1: attribute block_epochs has numbers outside 1 ... 1000000000"),
        ("name", "T1\x1b[2J", "attribute name is not a name"),
        ("name", "T1\nT2", "attribute name is not a name"),
    ],
)
def test_phases_that_cannot_be(a_trial, name, value, message):
    with open_to_change(a_trial) as file:
        attributes = file["phases/001"].attrs
        attributes[name] = value if isinstance(value, str) else np.full(attributes[name].shape, value, attributes[name].dtype)
    assert refused_trial(a_trial) == message


def test_blocks_that_hardly_ever_meet_aeons_are_found_at_once(a_trial):
    with open_to_change(a_trial) as file:
        attributes = file["phases/001"].attrs
        attributes["activities"] = np.array([1, 2], np.int8)  # training on Task 1 and 2
        attributes["block_epochs"] = np.array([100, 999_999_937])
    trial = Trial(a_trial)
    assert trial.performance_curve(1, task=1).aeon.tolist() == [0]
    assert trial.performance_curve(1, task=2).aeon.tolist() == [1]


def test_control_characters_in_a_file_do_not_reach_the_terminal(a_trial, capfd):
    with open_to_change(a_trial) as file:
        file["provenance"].attrs["command_line"] = "foraging-snn\x1b[2J run\n"
    assert main(["info", str(a_trial)]) == 0
    assert "command_line  foraging-snn\\x1b[2J run\\n\n" in capfd.readouterr().out


def test_devices_and_pipes_are_no_files(tmp_path, capfd):
    os.mkfifo(tmp_path / "pipe.h5")
    assert one_line_of(capfd, "info", tmp_path / "pipe.h5") == f"{tmp_path}/pipe.h5: cannot be read: it is not a file"
    message = one_line_of(capfd, "parameters", "--file", "/dev/zero")
    assert message == "/dev/zero: cannot be read: larger than 1,000,000 bytes, which no file of parameters is"


def test_a_file_of_parameters_can_have_a_byte_order_mark(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbf[world]\r\nsize = 20\r\n")
    assert Parameters.from_file(tmp_path / "mine.toml").world.size == 20


def test_a_long_unknown_name_is_cut_short(capfd):
    message = one_line_of(capfd, "parameters", "--set", f"{'x' * 100_000}=1")
    assert message == f"'{'x' * 76}...: unknown parameter; `foraging-snn parameters` lists them all"


@pytest.mark.parametrize("command", [["run", "task1"], ["reproduce"]])
def test_more_trials_than_anyone_has_are_refused_at_once(tmp_path, capfd, command):
    message = one_line_of(capfd, *command, "--trials", 10**12, "--out", tmp_path / "new")
    assert message == "trials: 1000000000000 given, allowed is at most 100000"


def test_a_null_byte_is_refused(capfd):
    assert one_line_of(capfd, "run", "task1", "--out", "a\0b") == "an argument holds a null byte, allowed is text"


def test_names_that_the_terminal_cannot_show_are_shown_as_escapes(a_trial):
    path = a_trial.with_name(os.fsdecode(b"\xff\xe9.h5"))
    a_trial.rename(path)
    command = [sys.executable, "-m", "foraging_snn", "info", str(path)]
    process = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert (process.returncode, process.stderr) == (0, b"")
    assert b"\\udcff\\udce9.h5" in process.stdout


def test_running_out_of_memory_is_said_in_one_line(capfd, monkeypatch):
    def take_all(*_):
        raise MemoryError

    monkeypatch.setattr("foraging_snn.commands.cli.experiments", take_all)
    assert one_line_of(capfd, "list") == "there is not enough memory for that"


@pytest.mark.parametrize("address", ["nowhere", "", "bogus://here:1"])
def test_what_is_no_address_of_a_scheduler_is_refused_without_a_traceback(tmp_path, address):
    pytest.importorskip("distributed")
    command = [sys.executable, "-m", "foraging_snn", "run", "task1", "--scheduler", address, "--out", str(tmp_path / "new")]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr.startswith(f"foraging-snn: --scheduler: {address!r} given, allowed is an address")
    assert process.stderr.count("\n") == 1
