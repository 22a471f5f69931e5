"""What the activities of a phase mean, in numbers: one row per block, which every engine reads.

Engines compare no activities and know no tasks; what a new activity means is written here only.
"""

from typing import NamedTuple

import numpy as np

from foraging_snn.environments import outcomes, particle_shapes, particles_per_type, present_types
from foraging_snn.models.parameters import Parameters
from foraging_snn.models.phases import Activity, Phase


class Rows(NamedTuple):
    """One row for each of the B blocks of a phase; K slots of spike counts (one per task), T types of particle of up to S squares.

    A named tuple of arrays, because jitted code takes it as it is. Which row holds in an epoch is told by
    :meth:`foraging_snn.models.phases.Phase.schedule`.
    """

    plastic: np.ndarray
    """(B,) bool: plasticity and homeostasis."""
    asleep: np.ndarray
    """(B,) bool: no move, no flash; hidden cells are activated with the probabilities of the next two."""
    rate_weights: np.ndarray
    """(B, K) float64: weight of the rates of each slot in the probabilities of sleep; 0 awake."""
    uniform: np.ndarray
    """(B,) bool: all hidden cells with the mean of the probabilities."""
    shown: np.ndarray
    """(B,) int64: asleep, one of the last so many patterns kept of a task is shown, drawn by its weight; 0: probabilities hold."""
    kept: np.ndarray
    """(B,) int64: slot in which hidden patterns are kept, -1: none."""
    selective: np.ndarray
    """(B,) bool: of these, only patterns that led to a reward."""
    counted: np.ndarray
    """(B,) int64: slot in which epochs and hidden spikes are counted, -1: none."""
    outcome: np.ndarray
    """(B, T + 1) int8: `environments.Outcome` of eating each type, element 0 of eating nothing."""
    present: np.ndarray
    """(B, T + 1) bool: types in the world that is drawn when the block begins."""
    per_type: np.ndarray
    """(B,) int64: particles of each of these types."""
    offsets: np.ndarray
    """(T + 1, S, 2) int64: squares of a particle of each type, not of a block; see environments.GridWorld."""
    squares: np.ndarray
    """(T + 1,) int64: how many those are."""


def rows_of(phase: Phase, parameters: Parameters) -> Rows:
    """The rows of the blocks of a phase, in a world of these parameters.

    Raises
    ------
    ParameterError
        A task or a type of particle is not in the tables of the parameters.
    """
    n_blocks, n_slots, n_types = len(phase.blocks), len(parameters.tasks), len(parameters.particles)
    offsets, squares = particle_shapes(parameters.particles.values())
    rows = Rows(
        plastic=np.zeros(n_blocks, np.bool_),
        asleep=np.zeros(n_blocks, np.bool_),
        rate_weights=np.zeros((n_blocks, n_slots)),
        uniform=np.zeros(n_blocks, np.bool_),
        shown=np.zeros(n_blocks, np.int64),
        kept=np.full(n_blocks, -1, np.int64),
        selective=np.zeros(n_blocks, np.bool_),
        counted=np.full(n_blocks, -1, np.int64),
        outcome=np.zeros((n_blocks, n_types + 1), np.int8),
        present=np.zeros((n_blocks, n_types + 1), np.bool_),
        per_type=np.zeros(n_blocks, np.int64),
        offsets=offsets,
        squares=squares,
    )
    for row, activity in enumerate(phase.activities):
        _fill(rows, row, activity, parameters)
    if phase.keep_patterns:
        rows.kept[:], rows.selective[:] = rows.counted, phase.selective
    return rows


def _fill(rows: Rows, row: int, activity: Activity, parameters: Parameters) -> None:
    rows.plastic[row] = not activity.is_test
    rows.asleep[row], rows.uniform[row] = activity.is_sleep, activity.uniform
    if activity.is_sleep:
        rows.rate_weights[row] = 0.0 if activity.cue else 1.0
        for cued, weight in activity.cue:
            rows.rate_weights[row, parameters.task_number(cued) - 1] = weight
        rows.shown[row] = activity.patterns
    task, types, n_types = activity.task, activity.particle_types, len(parameters.particles)
    if activity.trained_task:
        rows.counted[row] = parameters.task_number(activity.trained_task) - 1
    roles = [parameters.type_numbers(of_role) for of_role in (task.rewarded, task.punished)] if task else []
    rows.outcome[row] = outcomes(n_types, *roles)
    rows.present[row] = present_types(parameters.type_numbers(types), n_types)
    if types:
        rows.per_type[row] = particles_per_type(parameters.world.size, parameters.world.density, types)
