"""Figure S3: particle responsiveness metric, per particle type, after T1, T2, I(S,T1) and I(T1,T2).

All four states are of trials that learned Task 1, then Task 2, and then had sleep or Task 2 interleaved with Task 1. Bars: mean
and sd over trials; points: trials; black lines: the same trials with their hidden-to-output strengths before any training.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foraging_snn.environments import Particle, Task
from foraging_snn.files.reader import Trial

from ..collection import Collection, particles_in, tasks_in
from ..responsiveness import particle_responsiveness
from . import style
from ._receptive_fields import fields_after

EXPERIMENTS = ("sequential-sleep", "sequential-interleaved")
STATES = (
    ("sequential-sleep", "T1"),
    ("sequential-sleep", "T2"),
    ("sequential-sleep", "I(S,T1)"),
    ("sequential-interleaved", "I(T1,T2)"),
)
SHOWN_EXPONENT = -4
BAR_WIDTH = 0.2


def draw(collection: Collection) -> Figure:
    """The figure, from the trials of `EXPERIMENTS`."""
    collection.require(EXPERIMENTS)
    figure = style.new_figure(style.FULL_WIDTH_MM, 75)
    axes = figure.subplots()
    trials = [trial for name in EXPERIMENTS for trial in collection.trials(name)]
    particles, tasks = particles_in(trials), tasks_in(trials)
    place = np.arange(len(particles))
    for number, (experiment, phase) in enumerate(STATES):
        values = np.array([_after(trial, phase, particles) for trial in collection.trials(experiment)])
        _bars(axes, place + (number - (len(STATES) - 1) / 2) * BAR_WIDTH, values, phase)
    untrained = np.mean([_untrained(trial, particles) for trial in collection.trials(EXPERIMENTS[0])], axis=0)
    reach = 0.5 * BAR_WIDTH * len(STATES)
    axes.hlines(untrained, place - reach, place + reach, color="black", lw=0.8, label="before training", zorder=3)
    axes.set(xticks=place, xticklabels=[_name(particle, tasks) for particle in particles])
    axes.set_ylabel(f"particle responsiveness (10$^{{{SHOWN_EXPONENT}}}$)", **style.FORMULA)
    axes.tick_params(axis="x", length=0)
    figure.legend(loc="outside upper center", ncols=len(STATES) + 1)
    several = any(len(collection.trials(name)) > 1 for name in EXPERIMENTS)
    style.small_print(figure, collection, EXPERIMENTS, "Bars: mean and sd over trials; points: trials." * several)
    return figure


def _bars(axes: Axes, place: np.ndarray, values: np.ndarray, phase: str) -> None:
    """Mean, sd and single trials; values by trial and type."""
    several = len(values) > 1
    error = values.std(axis=0, ddof=1) if several else None
    axes.bar(
        place,
        values.mean(axis=0),
        0.9 * BAR_WIDTH,
        yerr=error,
        color=style.phase_colour(phase),
        alpha=0.75,
        error_kw={"lw": 0.9, "capsize": 2},
        label=f"after {phase}",
    )
    if several:
        jitter = BAR_WIDTH * np.linspace(-0.25, 0.25, len(values))[:, None]
        axes.plot(place + jitter, values, "o", color="0.15", ms=2.2, mew=0.0, alpha=0.7, clip_on=False)


def _after(trial: Trial, phase: str, particles: tuple[Particle, ...]) -> np.ndarray:
    state = fields_after(trial, phase)
    return particle_responsiveness(state.images, state.strength, particles) / 10**SHOWN_EXPONENT


def _untrained(trial: Trial, particles: tuple[Particle, ...]) -> np.ndarray:
    images = trial.input_hidden_snapshots().images([-1])[0]
    return particle_responsiveness(images, trial.wiring().hidden_output, particles) / 10**SHOWN_EXPONENT


def _name(particle: Particle, tasks: dict[int, Task]) -> str:
    """Name of a type of particle and what it is in the tasks."""
    roles = [
        f"Task {number} {role}"
        for number, task in tasks.items()
        for role in ("rewarded", "punished")
        if particle in getattr(task, role)
    ]
    return "\n".join([particle.name, *roles])
