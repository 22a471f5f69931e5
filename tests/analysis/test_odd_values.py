"""Files that can be read and hold values that cannot be: figures and tables name file and place, and warn of nothing."""

import shutil
import warnings

import h5py
import numpy as np
import pytest
from pretend_engine import PretendEngine
from pretend_trials import SMALL, write_trials

from foraging_snn.commands.cli import main
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import Trial

SEEDS = (4, 6)
PARAMETERS = SMALL.with_changes({"recording.snapshots_per_phase": 4})


class GrowingEngine(PretendEngine):
    """All strengths grow, and in every epoch an input cell, a hidden cell and an output cell spike."""

    def _advance(self, epochs, spikes):
        records = super()._advance(epochs, spikes)
        self._now.hidden_output += epochs / 2**20
        if spikes:
            number, n = records.first_epoch + np.arange(epochs), self.parameters.n_input
            records.spike_step = np.repeat(number * self.parameters.timing.steps_per_epoch, 3) + np.tile([10, 20, 30], epochs)
            records.spike_cell = np.tile([3, n + 7, n + 21], epochs).astype(np.int32)
        return records


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return write_trials(tmp_path_factory.mktemp("sound"), ["sequential-sleep"], SEEDS, PARAMETERS, GrowingEngine)


@pytest.fixture
def folder(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "trials")


def changed(folder, change):
    """The second trial, after something was done to the opened file."""
    path = folder / f"sequential-sleep_seed000{SEEDS[1]}.h5"
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def run(capfd, *arguments):
    """Exit code, output and errors of a command in which a warning of NumPy is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        code = main([*map(str, arguments)])
    return (code, *capfd.readouterr())


def put(place, value):
    def change(file):
        file[place][-1] = value

    return change


def without_rows(table, rows):
    def change(file):
        for column in file[table].values():
            left = np.delete(column[...], rows, axis=0)
            column.resize(len(left), axis=0)
            column[...] = left

    return change


def swapped_spikes(file):
    step = file["spikes/step"]
    step[0] = step[1] + 1


READERS = {
    "snapshots": lambda trial: [trial.hidden_output_snapshots(), trial.rates(), trial.resistances()],
    "input_snapshots": lambda trial: trial.input_hidden_snapshots(),
    "wiring": lambda trial: trial.wiring(),
    "spikes": lambda trial: [trial.spikes(phase.index) for phase in trial.phases],
    "positions": lambda trial: [trial.positions(phase.index) for phase in trial.phases],
    "aeons": lambda trial: [trial.counts(phase.index) for phase in trial.phases],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("snapshots/hidden_output", np.inf), "snapshots/hidden_output is not finite everywhere"),
        (put("snapshots/hidden_output", -1.0), "snapshots/hidden_output is not 0 or more everywhere"),
        (put("snapshots/resistance", 0.0), "snapshots/resistance is not above 0 everywhere"),
        (put("snapshots/output_rate", np.nan), "snapshots/output_rate is not finite everywhere"),
        (put("snapshots/epoch", 0), "snapshots/epoch is not ascending"),
        (put("input_snapshots/input_hidden", np.nan), "input_snapshots/input_hidden is not finite everywhere"),
        (put("wiring/hidden_index", 20), "wiring/hidden_index is not within 0 ... 19"),
        (put("wiring/inhibition", 1.0), "wiring/inhibition is not 0 or less everywhere"),
        (swapped_spikes, "spikes/step is not ascending"),
        (put("spikes/cell", 1000), "spikes/cell is not within 0 ... 76"),
        (put("positions/x", 1000), "positions/x is not within 0 ... "),
        (put("aeons/rewarded", -3), "aeons/rewarded is not 0 or more everywhere"),
        (without_rows("aeons", [-1]), "aeons/aeon lacks aeons of phase "),
        (without_rows("aeons", [1]), "aeons/aeon lacks aeons of phase "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_that_cannot_be_is_named_with_file_and_place(folder, change, said):
    path = changed(folder, change)
    with Trial(path) as trial, pytest.raises(RecordingError) as error:
        READERS[said.split("/")[0]](trial)
    assert str(error.value).startswith(f"{path}: damaged or truncated: {said}")


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_the_engine_wrote_can_be(folder, read):
    read(Trial(folder / f"sequential-sleep_seed000{SEEDS[0]}.h5"))


def test_a_figure_of_strengths_that_cannot_be_is_not_drawn(folder, tmp_path, capfd):
    path = changed(folder, put("snapshots/hidden_output", np.inf))
    code, out, err = run(capfd, "figures", folder, "--only", "fig4,fig6", "--format", "png", "--out", tmp_path / "figures")
    assert code == 2
    for figure in ("fig4", "fig6"):
        assert f"{figure}: not drawn, {path}: damaged or truncated: snapshots/hidden_output is not finite everywhere\n" in out
    assert err == f"foraging-snn: {folder}: no figure could be drawn; what is missing is said above\n"


def test_trials_of_unequal_length_are_named(folder, tmp_path, capfd):
    path = changed(folder, without_rows("snapshots", [5]))
    _, out, _ = run(capfd, "figures", folder, "--only", "fig6", "--format", "png", "--out", tmp_path / "figures")
    first = folder / f"sequential-sleep_seed000{SEEDS[0]}.h5"
    assert f"fig6: not drawn, {path}: its strengths are of other epochs than those of {first}\n" in out


def test_trials_in_which_nothing_was_eaten_are_drawn_without_warnings(folder, tmp_path, capfd):
    def nothing(file):
        for name in ("rewarded", "punished"):
            file[f"aeons/{name}"][...] = 0

    for seed in SEEDS:
        with h5py.File(folder / f"sequential-sleep_seed000{seed}.h5", "r+") as file:
            nothing(file)
    code, out, err = run(capfd, "figures", folder, "--only", "fig5", "--format", "png", "--out", tmp_path / "figures")
    assert (code, err) == (0, "")
    assert run(capfd, "table", folder)[0] == 0


def test_a_table_names_what_cannot_be(folder, capfd):
    path = changed(folder, put("aeons/punished", -3))
    code, _, err = run(capfd, "table", folder)
    assert (code, err) == (2, f"foraging-snn: {path}: damaged or truncated: aeons/punished is not 0 or more everywhere\n")
