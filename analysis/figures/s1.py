"""Figure S1: spikes of all layers late in training on Task 1, Task 2, both interleaved, and in sleep."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foraging_snn.files.reader import RecordedPhase, Trial

from ..collection import Collection
from ..rasters import by_layer, last_stretch
from . import style

EXPERIMENTS = ("task1", "task2", "interleaved", "sleep")
COLUMNS = (("task1", "T1", False), ("task2", "T2", False), ("interleaved", "I(T1,T2)", False), ("sleep", "I(S,T2)", True))
EPOCHS = 10
MARKS = {
    "output": {"ls": "", "marker": "|", "ms": 3.2, "mew": 0.5, "color": "black"},
    "hidden": {"ls": "", "marker": "o", "ms": 0.9, "mew": 0, "color": "black"},
    "input": {"ls": "", "marker": "|", "ms": 2.5, "mew": 0.6, "color": "black"},
}
LAYER_HEIGHTS = {"output": 1.0, "hidden": 5.0, "input": 2.0}  # from the top


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
        Also if the spikes were not recorded.
    """
    trials = [collection.trials(name)[0] for name in EXPERIMENTS]
    unrecorded = [trial.experiment for trial in trials if not trial.parameters.recording.spike_window_epochs]
    if unrecorded:
        raise collection.missing(unrecorded, "no spikes")
    figure = style.new_figure(style.FULL_WIDTH_MM, 118.0)
    rows = figure.subplots(3, len(COLUMNS), sharex=True, sharey="row", height_ratios=list(LAYER_HEIGHTS.values()))
    for column, (trial, (_, name, asleep)) in enumerate(zip(trials, COLUMNS, strict=True)):
        recorded = next(recorded for recorded in trial.phases if recorded.name == name)
        stretch = _stretch(trial, recorded, asleep)
        if stretch is None:
            raise collection.missing([trial.experiment], f"no spikes of {EPOCHS} successive epochs of {'sleep in ' * asleep}{name}")
        _column(rows[:, column], trial, recorded, stretch)
        rows[0, column].set_title("sleep in I(S,T2)" if asleep else name, color=style.phase_colour(name), weight="bold", pad=9)
        style.panel(rows[0, column], "ABCD"[column])
    for axes, layer in zip(rows[:, 0], LAYER_HEIGHTS, strict=True):
        axes.set_ylabel(f"{layer} cell")
    figure.align_ylabels(rows[:, 0])
    seeds = ", ".join(dict.fromkeys(str(trial.seed) for trial in trials))
    ms = trials[0].parameters.timing.steps_per_epoch * trials[0].parameters.timing.step_ms
    note = f"Every spike in {EPOCHS} successive epochs of {ms:g} ms (vertical lines), late in the phase; trial with seed {seeds}."
    style.small_print(figure, collection, EXPERIMENTS, note)
    return figure


def _stretch(trial: Trial, recorded: RecordedPhase, asleep: bool) -> range | None:
    """The last epochs recorded, of sleep or of training; where two tasks alternate, around a change if one was recorded."""
    block_at, windows = recorded.phase.block_at, trial.windows(recorded.index)

    def all_alike(stretch: range) -> bool:
        return all(block_at(epoch)[0].is_sleep == asleep for epoch in stretch)

    def with_change(stretch: range) -> bool:
        return len(recorded.blocks) > 1 and all_alike(stretch) and block_at(stretch[len(stretch) // 2])[1]

    return (None if asleep else last_stretch(windows, EPOCHS, with_change)) or last_stretch(windows, EPOCHS, all_alike)


def _column(rows: list[Axes], trial: Trial, recorded: RecordedPhase, stretch: range) -> None:
    parameters = trial.parameters
    steps = parameters.timing.steps_per_epoch
    epoch_s = steps * parameters.timing.step_ms / 1000
    spikes = trial.spikes(recorded.index)
    sizes = {"input": parameters.n_input, "hidden": parameters.n_hidden}
    sizes["output"] = parameters.n_cells - sum(sizes.values())
    first = (recorded.first_epoch + stretch.start) * steps
    layers = {found.layer: found for found in by_layer(spikes.step, spikes.cell, first, len(stretch) * steps, sizes)}
    for axes, layer in zip(rows, LAYER_HEIGHTS, strict=True):
        found = layers[layer]
        axes.plot(found.step * parameters.timing.step_ms / 1000, found.cell, **MARKS[layer])
        axes.set(ylim=(-0.5 - 0.02 * found.cells, found.cells - 0.5 + 0.02 * found.cells))
        _mark_epochs(axes, trial, recorded, stretch, epoch_s, named=layer == "output")
    rows[-1].set(xlabel="time (s)", xlim=(0, len(stretch) * epoch_s))


def _mark_epochs(axes: Axes, trial: Trial, recorded: RecordedPhase, stretch: range, epoch_s: float, named: bool) -> None:
    """Lines between epochs; where two tasks alternate, each epoch is shaded in the colour of its task."""
    for k, epoch in enumerate(stretch):
        axes.axvline(k * epoch_s, color="0.85", lw=0.4, zorder=0)
        activity, begins = recorded.phase.block_at(epoch)
        if len(recorded.activities) > 1 and activity.task:
            colour = style.task_colour(trial.parameters.task_number(activity.task))
            axes.axvspan(k * epoch_s, (k + 1) * epoch_s, color=colour, alpha=0.12, lw=0, zorder=0)
            if named and (k == 0 or begins):
                where = {"transform": axes.get_xaxis_transform(), "fontsize": style.SMALL, "color": colour}
                axes.text(k * epoch_s, 1.02, f" training {activity.task.name}", **where)
