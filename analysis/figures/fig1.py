"""Figure 1: network and tasks (A); performance of networks trained on Task 1 (B) or Task 2 (C); the agent's paths (D)."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from foraging_snn.files.reader import Trial

from ..collection import Collection
from ..trajectories import Path, first_stretch, path
from . import _performance, style
from ._schematic import schematic

EXPERIMENTS = ("task1", "task2")
POINTS = 60
PATH_EPOCHS = 300


def draw(collection: Collection) -> Figure:
    """Draw the figure.

    Raises
    ------
    MissingTrials
    """
    groups = [collection.trials(name) for name in EXPERIMENTS]
    figure = style.new_figure(style.FULL_WIDTH_MM, 168.0)
    grid = figure.add_gridspec(3, 3, height_ratios=(1.0, 1.05, 1.05), width_ratios=(1.55, 0.95, 1.25))
    top = figure.add_subplot(grid[0, :])
    schematic(top, groups[0][0])
    figure.text(0.008, 0.992, "A", fontsize=style.LETTER, weight="bold", va="top")
    for row, (trials, letter) in enumerate(zip(groups, "BC", strict=True), start=1):
        left, right = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row, 1])
        _performance.curves(left, trials, POINTS)
        _performance.bars(right, trials)
        _performance.share_ordinate(left, right)
        style.panel(left, letter)
        if row == 1:
            _performance.legend(right, published=True)
    maps = [figure.add_subplot(grid[row, 2]) for row in (1, 2)]
    paths = _paths(maps, groups[0][0])
    style.panel(maps[0], "D")
    style.small_print(figure, collection, EXPERIMENTS, f"{_performance.note(groups, POINTS)} {paths}")
    return figure


def _paths(maps: list[Axes], trial: Trial) -> str:
    """The agent before and after training; gives the small print."""
    training = next(recorded for recorded in trial.phases if recorded.name == "T1")
    test = next(recorded for recorded in trial.phases[training.index :] if recorded.name == "test T1")
    starts = [windows[0].start for windows in map(trial.position_windows, (training.index, test.index)) if windows]
    if starts[:1] != [0] or len(starts) < 2:
        why = "the agent's positions at the start\nof training were not recorded\n(recording.position_window_epochs)"
        maps[0].text(0.5, 0.5, why, ha="center", va="center", transform=maps[0].transAxes, fontsize=style.SMALL)
        for axes in maps:
            axes.axis("off")
        return ""
    paths = [_path(trial, recorded.index) for recorded in (training, test)]
    for axes, title, walked in zip(maps, ("start of training", "test after training"), paths, strict=True):
        _map(axes, walked, trial.parameters.world.size)
        axes.set_title(f"Task 1, {title}", pad=4)
    handles = [
        Line2D([], [], ls="", marker="o", ms=4, color=style.REWARDED, label="rewarded"),
        Line2D([], [], ls="", marker="X", ms=4, color=style.PUNISHED, label="punished"),
    ]
    maps[1].legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, handletextpad=0.2)
    first, then = (walked.epochs for walked in paths)
    return f"D: trial with seed {trial.seed}, the first {first} epochs of the training and {then} of the test."


def _path(trial: Trial, phase_index: int) -> Path:
    positions = trial.positions(phase_index)
    rows = first_stretch(positions.epoch, PATH_EPOCHS)
    return path(positions.x[rows], positions.y[rows], positions.outcome[rows])


def _map(axes: Axes, walked: Path, size: int) -> None:
    axes.plot(walked.x, walked.y, color="0.45", lw=0.6)
    axes.plot(*walked.punished.T, "X", ms=3.6, color=style.PUNISHED, mec="white", mew=0.2)
    axes.plot(*walked.rewarded.T, "o", ms=3.4, color=style.REWARDED, mec="white", mew=0.2)
    counts = f"{len(walked.rewarded)} rewarded, {len(walked.punished)} punished"
    axes.text(0.5, -0.02, counts, transform=axes.transAxes, ha="center", va="top", fontsize=style.SMALL)
    axes.set(xlim=(-0.5, size - 0.5), ylim=(-0.5, size - 0.5), aspect="equal", xticks=(), yticks=())
    axes.spines[:].set_visible(True)
