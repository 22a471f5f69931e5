"""Evaluations of known performance, and landscapes and paths made of them; nothing is run."""

import numpy as np

from foraging_snn.files.landscapes import (
    COUNTS,
    Basins,
    Evaluation,
    Landscape,
    PathEnd,
    Paths,
    PlaneStates,
    Source,
    TestedWay,
    Trajectory,
)
from foraging_snn.files.networks import NAIVE, Network
from foraging_snn.models import initial_state, preset

PARAMETERS = preset("tiny").with_changes({"network.hidden_cells": 20})
PARTICLES = 1000
TASKS = ("T1", "T2")


def evaluation(performance, tasks=TASKS, moved=0.0):
    """Tests in which of 1000 particles this share, (..., tasks), was rewarded."""
    performance = np.asarray(performance, float)
    rewarded = np.round(performance * PARTICLES).astype(np.int64)
    counts = {name: np.zeros_like(rewarded) for name in COUNTS}
    counts |= {"rewarded": rewarded, "punished": PARTICLES - rewarded}
    counts |= {"epochs": np.full_like(rewarded, 8000), "aeons": np.full_like(rewarded, 80)}
    return Evaluation(tasks, counts, np.broadcast_to(moved, performance.shape[:-1]).copy())


def source(files=("sequential_seed0001.h5",)):
    return Source(PARAMETERS, "pretend", 1, ("preset tiny", "engine pretend"), files, {"package": "0", "command_line": "a test"})


def landscape(n=9, states=("T1", "T2", "I(S,T2)"), kind="states"):
    """Task 1 is solved left of x = 4, Task 2 right of x = 2, for every y; both in between."""
    x, y = np.linspace(-1.0, 7.0, n), np.linspace(-1.0, 5.0, n)
    falling = 0.5 + 0.3 / (1.0 + np.exp(4.0 * (x - 4.0)))
    rising = 0.5 + 0.3 / (1.0 + np.exp(-4.0 * (x - 2.0)))
    grid = np.stack([np.tile(falling, (n, 1)), np.tile(rising, (n, 1))], axis=-1)
    corners = np.array([[0.0, 0.0], [6.0, 0.0], [3.0, 4.0], *[[1.0, 1.0]] * (len(states) - 3)])
    axes = np.zeros((2, 20, 8))
    axes[0, 0, 0] = axes[1, 1, 1] = 1.0
    state = initial_state(PARAMETERS, 1)
    strengths = state.hidden_output + np.einsum("nk,kho->nho", corners, axes)
    named = PlaneStates(
        states,
        strengths,
        np.ones((len(states), 8)),
        corners,
        np.array([0.0, 0.0, 0.0, *[1.5] * (len(states) - 3)]),
        evaluation([[0.8, 0.5], [0.5, 0.8], [0.8, 0.8], *[[0.8, 0.5]] * (len(states) - 3)]),
    )
    phases = (NAIVE, *["T1"] * 4, *["T2"] * 4)
    position = np.column_stack([np.linspace(0.0, 6.0, 9), np.sin(np.linspace(0.0, 3.0, 9))])
    way = Trajectory("T1 -> T2", "sequential_seed0001.h5", 1, phases, 100 * np.arange(9), position, np.abs(4.0 - np.arange(9.0)))
    again = Trajectory("T1 -> I(S,T2)", "sleep_seed0001.h5", 1, (*phases[:5], *["I(S,T2)"] * 4), *_from(way))
    network = Network.of_state(state, PARAMETERS)
    moved = np.maximum(0.0, x[None, :] - 5.0) + np.zeros((n, 1))
    tested = evaluation(grid, moved=moved)
    ways = (way, again)
    return Landscape(kind, state.hidden_output.copy(), axes, x, y, tested, network, np.ones(8), states[-1], named, ways, source())


def _from(way):
    """The same beginning, then straight up."""
    position = way.position.copy()
    position[5:] = [[2.0 + 0.25 * k, 1.0 * k] for k in range(1, 5)]
    return way.epoch, position, way.distance / 2


def paths(seeds=(1, 2, 3), depth=0.1, between=True):
    """Lines from T1 to T2, with a barrier of `depth` in Task 1 and none in Task 2, and from T1 to I(S,T2), with none."""
    share = np.linspace(0.0, 1.0, 5)
    starts, ends, values = [], [], []
    for seed in seeds:
        for end, falls, deep in (("T2", 0.2, depth), ("I(S,T2)", 0.0, 0.0)):
            starts.append(PathEnd(seed, "T1"))
            ends.append(PathEnd(seed, end))
            values.append(np.column_stack([0.8 - falls * share - 4 * deep * share * (1 - share) - 0.001 * seed, 0.5 + 0.2 * share]))
    if between:
        starts.append(PathEnd(seeds[0], "T1"))
        ends.append(PathEnd(seeds[-1] + 1, "T1"))
        values.append(np.full((5, 2), 0.7))
    ways = tuple(
        TestedWay("T1 -> T2", f"s{seed}.h5", seed, (NAIVE, "T1", "T2"), np.array([0, 100, 300]), evaluation(np.full((3, 2), 0.6)))
        for seed in seeds
    )
    return Paths(tuple(starts), tuple(ends), share, np.arange(1.0, len(starts) + 1), evaluation(np.array(values)), ways, source())


def basins(seeds=(1, 2)):
    """At once Task 1 falls by .05 per unit of distance; sleep brings back what fell to .7, in 200 epochs; training all, in 100."""
    radii, directions = np.array([0.0, 2.0, 4.0]), 3
    distance = np.broadcast_to(radii[:, None], (len(seeds), 3, directions)) * 0.9
    performance = np.empty((len(seeds), 2, 3, directions, 3, 1))
    for r, low in enumerate((0.8, 0.7, 0.6)):
        performance[:, 0, r, :, :, 0] = [low, low, 0.8 if low >= 0.7 else low]
        performance[:, 1, r, :, :, 0] = [low, 0.8, 0.8]
    epoch = np.array([[0, 100, 200], [0, 100, 200]])
    tested = evaluation(performance, ("T1",))
    return Basins("T1", tuple(seeds), ("S", "T1"), radii, distance.copy(), epoch, tested, source())
