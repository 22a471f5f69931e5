"""The ways of trials through the space of their strengths, in two principal components: a script to copy and change.

    foraging-snn reproduce --experiments sequential,sleep --preset quick --trials 1 --out results
    python project_trajectory.py results/sequential_seed0001.h5 results/sleep_seed0001.h5 trajectories.png

The strengths hidden to output are recorded at evenly spaced times, 50 in every phase. Here they are loaded, written as points with
one coordinate per synapse, projected on the plane in which the points at the ends of the phases vary most, and drawn: a line per
file, joined from phase to phase, a ring where it begins, arrows in the direction of time. Files must be of one network.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foraging_snn import RecordingError, Trial
from foraging_snn.analysis.weight_space import Projection, WeightStates, fit_projection, join, plateau, strength_coordinates
from foraging_snn.files.networks import Network

STYLES = ("-", "--", ":", "-.")  # of the files


def load(path: str | Path) -> WeightStates:
    """The strengths of a trial at all snapshots; those during tests are left out, as they do not change there."""
    trial = Trial(path)
    snapshots = trial.hidden_output_snapshots()  # .strength (n, hidden cells, 8), .epoch (n,), .phase (n,)
    names = np.array([phase.name for phase in trial.phases])[snapshots.phase]
    seeds = np.full(len(names), trial.seed)
    states = WeightStates(strength_coordinates(snapshots.strength), seeds, names, snapshots.epoch)
    tests = [phase.name for phase in trial.phases if phase.phase.is_test]
    return states.select(~np.isin(names, tests))


def project(*trials: WeightStates) -> tuple[Projection, list[np.ndarray]]:
    """A plane fitted to the last fifth of every phase of all trials but the unsupervised one, and all states on it."""
    ends = [plateau(states.select(states.phase != "unsupervised")) for states in trials]
    projection = fit_projection(join(ends).vector)
    return projection, [projection.project(states.vector) for states in trials]


def draw(labels: list[str], trials: list[WeightStates], projection: Projection, ways: list[np.ndarray]) -> Figure:
    """One line per trial, coloured by phase; both axes have one scale."""
    figure = Figure(figsize=(5.5, 4.5), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(name for states in trials for name in states.phase.tolist()))
    colours = {name: f"C{k}" for k, name in enumerate(names)}
    for k, (states, way) in enumerate(zip(trials, ways, strict=True)):
        draw_way(axes, states, way, colours, STYLES[k % len(STYLES)])
        axes.plot([], [], color="0.3", ls=STYLES[k % len(STYLES)], label=labels[k])
    for name in names:
        axes.plot([], [], color=colours[name], lw=2, label=name)
    axes.set_xlabel(f"component 1 ({projection.share[0]:.0%} of the variance)")
    axes.set_ylabel(f"component 2 ({projection.share[1]:.0%})")
    axes.set_aspect("equal", "datalim")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def draw_way(axes: Axes, states: WeightStates, way: np.ndarray, colours: dict[str, str], style: str) -> None:
    """A trial: each phase begins where the one before it ended; an arrow in the middle of each."""
    axes.plot(*way[0], "o", ms=7, mfc="none", mec="black")
    starts = [0, *(np.flatnonzero(states.phase[1:] != states.phase[:-1]) + 1).tolist(), len(way)]
    for first, end in pairwise(starts):
        colour, part = colours[str(states.phase[first])], way[max(0, first - 1) : end]
        axes.plot(*part.T, color=colour, ls=style, lw=1.2, marker=".", ms=2)
        if len(part) > 1:
            middle = (len(part) - 1) // 2
            arrow = {"arrowstyle": "-|>", "color": colour, "mutation_scale": 12}
            axes.annotate("", part[middle + 1], part[middle], arrowprops=arrow)


def main(arguments: list[str]) -> int:
    """Draw the files named first to the image named last."""
    if len(arguments) < 2:
        print("usage: python project_trajectory.py TRIAL.h5 [TRIAL.h5 ...] IMAGE.png", file=sys.stderr)
        return 2
    *files, image = arguments
    if Path(image).exists():
        print(f"{image}: exists, nothing was done", file=sys.stderr)
        return 2
    try:
        trials = [load(file) for file in files]
        networks = [Network.of_trial(Trial(file)) for file in files]
        for file, network in zip(files[1:], networks[1:], strict=True):
            if different := networks[0].differs_from(network):
                print(f"{files[0]} and {file}: not of one network ({different})", file=sys.stderr)
                return 2
        projection, ways = project(*trials)
        labels = [f"{trial.label}, seed {trial.seed}" for trial in map(Trial, files)]
        draw(labels, trials, projection, ways).savefig(image, dpi=200)
    except (RecordingError, OSError, ValueError) as error:  # ValueError: nothing was learned, or no such format of images
        print(error, file=sys.stderr)
        return 2
    print(f"{sum(map(len, trials))} states, {projection.share.sum():.0%} of the variance shown: {image}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
