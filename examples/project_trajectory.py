"""The way of one trial through the space of its strengths, in two principal components: a script to copy and change.

    foraging-snn run sequential-sleep --preset quick --out results
    python project_trajectory.py results/sequential-sleep_seed0001.h5 trajectory.png

The strengths hidden to output are recorded at evenly spaced times, 50 in every phase. Here they are loaded, written as points with
one coordinate per synapse, projected on the plane in which the points at the ends of the phases vary most, and drawn.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from foraging_snn import RecordingError, Trial
from foraging_snn.analysis.weight_space import Projection, WeightStates, fit_projection, plateau, strength_coordinates


def load(path: str | Path) -> WeightStates:
    """The strengths of a trial at all snapshots; those during tests are left out, as they do not change there."""
    trial = Trial(path)
    snapshots = trial.hidden_output_snapshots()  # .strength (n, hidden cells, 8), .epoch (n,), .phase (n,)
    names = np.array([phase.name for phase in trial.phases])[snapshots.phase]
    seeds = np.full(len(names), trial.seed)
    states = WeightStates(strength_coordinates(snapshots.strength), seeds, names, snapshots.epoch)
    tests = [phase.name for phase in trial.phases if phase.phase.is_test]
    return states.select(~np.isin(names, tests))


def project(states: WeightStates) -> tuple[Projection, np.ndarray]:
    """A plane fitted to the last fifth of every phase but the unsupervised one, and all states on it."""
    learned = states.select(states.phase != "unsupervised")
    projection = fit_projection(plateau(learned).vector)
    return projection, projection.project(states.vector)


def draw(states: WeightStates, projection: Projection, points: np.ndarray) -> Figure:
    """One line per phase."""
    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(states.phase.tolist()):
        axes.plot(*points[states.phase == name].T, ".-", ms=3, lw=1, label=name)
    axes.set_xlabel(f"component 1 ({projection.share[0]:.0%} of the variance)")
    axes.set_ylabel(f"component 2 ({projection.share[1]:.0%})")
    axes.legend(title=f"trial {states.trial[0]}", frameon=False)
    return figure


def main(arguments: list[str]) -> int:
    """Draw the file named first to the image named second."""
    if len(arguments) != 2:
        print("usage: python project_trajectory.py TRIAL.h5 IMAGE.png", file=sys.stderr)
        return 2
    trial, image = arguments
    if Path(image).exists():
        print(f"{image}: exists, nothing was done", file=sys.stderr)
        return 2
    try:
        states = load(trial)
        projection, points = project(states)
        draw(states, projection, points).savefig(image, dpi=200)
    except (RecordingError, OSError, ValueError) as error:  # ValueError: nothing was learned, or no such format of images
        print(error, file=sys.stderr)
        return 2
    print(f"{len(states)} states, {projection.share.sum():.0%} of the variance shown: {image}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
