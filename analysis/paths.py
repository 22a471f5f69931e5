"""Barriers on straight lines between states of trials, over trials: how far performance falls below the line between its ends.

Pure functions of what `foraging-snn paths` has tested; see docs/weight_space.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foraging_snn.files.landscapes import Paths

from .planes import barrier, barrier_of_noise, pairs_of
from .statistics import Difference, PermutationTest, Summary, compare_paired, compare_with, summarise

WITHIN, BETWEEN = "within", "between"  # between two states of a trial; between one state of two trials


@dataclass(frozen=True)
class Barriers:
    """The barriers on one task of lines between the same two states, over n lines.

    Attributes
    ----------
    kind : {"within", "between"}
        Of one trial each; or from trial to trial, both ends the same state.
    task : str
    start, end : str
        Names of the states.
    seeds : tuple of n int
        Of the trial at the start.
    values : (n,) float64
        Largest shortfall below the line between the values at the ends, one per line.
    noise : (n,) float64
        What the standard errors of the tests alone make of a line without a barrier, on average.
    least : (n,) float64
        Lowest performance on each line.
    length : (n,) float64
        Euclidean distance between the strengths at the ends.
    """

    kind: str
    task: str
    start: str
    end: str
    seeds: tuple[int, ...]
    values: np.ndarray
    noise: np.ndarray
    least: np.ndarray
    length: np.ndarray

    @property
    def name(self) -> str:
        """As "T1 to T2", or "T1, trial to trial"."""
        return f"{self.start} to {self.end}" if self.kind == WITHIN else f"{self.start}, trial to trial"

    @cached_property
    def summary(self) -> Summary:
        """Mean, standard deviation and interval over the lines."""
        return summarise(self.values)

    @cached_property
    def above_noise(self) -> PermutationTest | None:
        """Test that the barriers are those of the noise, the signs of what is above it are flipped; None for fewer than two."""
        return compare_with(self.values - self.noise, 0.0)


def barriers(paths: Paths) -> list[Barriers]:
    """Barriers by task, then by line in the order of the file.

    Parameters
    ----------
    paths : Paths
    """
    performance, errors = paths.tested.performance, paths.tested.performance_error
    kinds = [WITHIN if start.seed == end.seed else BETWEEN for start, end in zip(paths.starts, paths.ends, strict=True)]
    lines = [(kind, start.state, end.state) for kind, start, end in zip(kinds, paths.starts, paths.ends, strict=True)]
    found = []
    for k, task in enumerate(paths.tested.tasks):
        for line in dict.fromkeys(lines):
            rows = [row for row, of_row in enumerate(lines) if of_row == line]
            values, noise = barrier(performance[rows, :, k], paths.share), barrier_of_noise(errors[rows, :, k], paths.share)
            seeds = tuple(paths.starts[row].seed for row in rows)
            least = performance[rows, :, k].min(axis=-1)
            found.append(Barriers(line[0], task, line[1], line[2], seeds, values, noise, least, paths.length[rows]))
    return found


@dataclass(frozen=True)
class BarrierDifference:
    """How the barriers of two lines that begin with the same state differ, trial by trial.

    Attributes
    ----------
    task, first, second : str
        The task; names of the lines, see :class:`Barriers`.
    difference : Difference
        First minus second.
    """

    task: str
    first: str
    second: str
    difference: Difference


def barrier_differences(found: Sequence[Barriers]) -> list[BarrierDifference]:
    """All pairs of lines within trials that begin with the same state, on the same task, in trials that have both.

    Parameters
    ----------
    found : sequence of Barriers
        As :func:`barriers` gives them.
    """
    rows = []
    within = [row for row in found if row.kind == WITHIN]
    for a, b in pairs_of(len(within)):
        one, other = within[a], within[b]
        if (one.task, one.start) == (other.task, other.start):
            common = [seed for seed in one.seeds if seed in other.seeds]
            values = [[row.values[row.seeds.index(seed)] for seed in common] for row in (one, other)]
            rows.append(BarrierDifference(one.task, one.name, other.name, compare_paired(*values)))
    return rows
