"""The command `foraging-snn animate`: which epochs of which phases are shown, and what is said meanwhile.

How they look is in analysis/animation.py; where the world comes from, in worlds.py.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from matplotlib.colors import to_hex
from rich.console import Console
from rich.progress import Progress

from foraging_snn.analysis.animation import Food, Scene, check_format, spikes_between_moves, write_animation
from foraging_snn.analysis.collection import conditions_of
from foraging_snn.analysis.figures import style
from foraging_snn.commands.worlds import follow_world, followed, way_in
from foraging_snn.environments.rendering import square_colours
from foraging_snn.files.layout import RecordingError
from foraging_snn.files.reader import RecordedPhase, Trial
from foraging_snn.models import Parameters
from foraging_snn.running.errors import RunError
from foraging_snn.running.existing import prepare_output

MOST_SCENES = 3
LINE_SECONDS = 10.0  # between two plain lines where there is no terminal for a bar
MOST_EPOCHS = 600  # the frames of a GIF wait in memory, each with half a megabyte
HOW_TO_RECORD = (
    "run it with --set recording.windows=2 --set recording.spike_window_epochs=400 --set recording.position_window_epochs=400, "
    "or with `foraging-snn reproduce`"
)


def animate_and_print(path: Path, phases: Sequence[str] | None, out: Path | None, epochs: int, frames_per_second: int) -> None:
    """Write an animation of a trial, and say where it is.

    Parameters
    ----------
    path : Path
        File of a trial.
    phases : sequence of str or None
        Names of phases or their numbers, one scene each; None: before and after the first training.
    out : Path or None
        Ends in .gif or .mp4; None: beside `path`, as GIF. It must not exist.
    epochs : int
        Frames; fewer if fewer were recorded.
    frames_per_second : int

    Raises
    ------
    RunError
        Bad options, or `out` exists.
    RecordingError
        The file cannot be read, has not got what is to be shown, or is not what its seed makes.
    AnimationError
        Neither GIF nor MP4, MP4 without ffmpeg, or a speed out of range.
    """
    if not 1 <= epochs <= MOST_EPOCHS:
        raise RunError(f"--epochs: {epochs} given, allowed is 1 to {MOST_EPOCHS}")
    if phases and len(phases) > MOST_SCENES:
        raise RunError(f"--phase: given {len(phases)} times, allowed is at most {MOST_SCENES}")
    trial = Trial(path)
    out = out or path.with_suffix(".gif")
    check_format(out, frames_per_second)
    with trial:
        chosen = [phase_asked_for(trial, name) for name in phases] if phases else before_and_after(trial)
        titles = [f"phase {phase.index}: {phase.name}" for phase in chosen]
        if not phases:
            titles = [f"before training: start of {chosen[0].name}", f"after training: {chosen[1].name}"]
        stretches = [shown_epochs(trial, phase, epochs) for phase in chosen]
        prepare_output([out])
        scenes = [scene(trial, *which) for which in zip(chosen, stretches, titles, strict=True)]
    _write(out, scenes, epochs, frames_per_second, small_print(trial))
    typer.echo(out)


def _write(out: Path, scenes: Sequence[Scene], epochs: int, frames_per_second: int, below: str) -> None:
    frames = min(map(len, scenes))
    few = f", all that were recorded in one piece, instead of {epochs}" if frames < epochs else ""
    typer.echo(f"drawing {frames} epochs{few}")
    console = Console()
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=frames)
        said_at = time.monotonic()

        def progress(done: int) -> None:
            nonlocal said_at
            bar.update(task, completed=done)
            if not console.is_terminal and time.monotonic() - said_at >= LINE_SECONDS:
                said_at = time.monotonic()
                typer.echo(f"{done}/{frames} epochs")

        write_animation(out, scenes, frames_per_second=frames_per_second, small_print=below, progress=progress)


def phase_asked_for(trial: Trial, name: str) -> RecordedPhase:
    """The first phase of this name, or the phase of this number.

    Raises
    ------
    RunError
        There is none.
    """
    for phase in trial.phases:
        if name.strip() in (phase.name, str(phase.index)):
            return phase
    known = ", ".join(f"{phase.index} ({phase.name})" for phase in trial.phases)
    raise RunError(f"--phase: {name!r} given, {trial.path} has {known or 'none'}; allowed are numbers and names")


def before_and_after(trial: Trial) -> list[RecordedPhase]:
    """The first training of a trial and the test of its task that follows.

    Raises
    ------
    RecordingError
        The trial has none, or the beginning of the training was not recorded.
    """
    training = next((phase for phase in trial.phases if _trained(phase)), None)
    tasks = _trained(training) if training else []
    later = trial.phases[training.index :] if training else ()
    test = next((phase for phase in later if phase.phase.is_test and phase.activities[0].task in tasks), None)
    if training is None or test is None:
        raise RecordingError(f"{trial.path}: no training with a test of its task after it; choose what is shown with --phase")
    if shown_epochs(trial, training, 1).start > 0:
        raise RecordingError(
            f"{trial.path}: spikes and positions at the start of phase {training.index} ({training.name}) were not recorded; "
            f"{HOW_TO_RECORD}; or choose what is shown with --phase"
        )
    return [training, test]


def _trained(phase: RecordedPhase) -> list:
    return [activity.trained_task for activity in phase.activities if activity.trained_task]


def shown_epochs(trial: Trial, phase: RecordedPhase, longest: int) -> range:
    """The first epochs of a phase of which world and spikes are known, those of the next move included.

    Parameters
    ----------
    trial : Trial
    phase : RecordedPhase
    longest : int
        At most so many.

    Raises
    ------
    RecordingError
        There are none.
    """
    for stretch in followed(trial, phase.index):
        for window in trial.windows(phase.index):
            start, stop = max(stretch.start, window.start), min(stretch.stop, window.stop) - 1  # one more to know the next move
            if start < stop:
                return range(start, min(stop, start + longest))
    raise RecordingError(
        f"{trial.path}: nothing to show of phase {phase.index} ({phase.name}): spikes and positions from its start on were not "
        f"recorded; {HOW_TO_RECORD}"
    )


def scene(trial: Trial, phase: RecordedPhase, epochs: range, title: str) -> Scene:
    """What happens in some epochs of a phase.

    Parameters
    ----------
    trial : Trial
    phase : RecordedPhase
    epochs : range
        Of the phase, from 0; see :func:`shown_epochs`.
    title : str

    Raises
    ------
    RecordingError
        The file is damaged, or not what its seed makes.
    """
    parameters, spikes = trial.parameters, trial.spikes(phase.index)
    way = way_in(trial, phase.index, range(epochs.start, epochs.stop + 1))
    layers = {
        "hidden": range(parameters.n_input, parameters.n_input + parameters.n_hidden),
        "output": range(parameters.n_input + parameters.n_hidden, parameters.n_cells),
    }
    first, steps = phase.first_epoch + epochs.start, parameters.timing.steps_per_epoch
    counts = {
        name: spikes_between_moves(spikes.step, spikes.cell, first, len(epochs), steps, cells) for name, cells in layers.items()
    }
    return Scene(
        title,
        epoch=np.array(epochs),
        awake=way.awake[:-1],
        grid=follow_world(trial, phase.index, epochs),
        x=way.x[:-1],
        y=way.y[:-1],
        outcome=way.outcome[:-1],
        next_move=way.move[1:],
        food=_food(phase, parameters),
        field=parameters.world.field,
        has_task=any(activity.task for activity in phase.activities),
        **counts,
    )


def _food(phase: RecordedPhase, parameters: Parameters) -> tuple[Food, ...]:
    """The types of particle in a phase; in colours of their own where no task says what they are worth."""
    tasks = dict.fromkeys(activity.task for activity in phase.activities if activity.task)
    number = dict(zip(parameters.particles.values(), range(1, len(parameters.particles) + 1), strict=True))
    if not tasks:
        colours, types = square_colours(len(number)) / 255, dict.fromkeys(p for a in phase.activities for p in a.particle_types)
        return tuple(Food(number[particle], particle, particle.name, to_hex(colours[number[particle]])) for particle in types)
    return tuple(
        Food(number[particle], particle, f"{particle.name}: {worth}", colour)
        for task in tasks
        for types, worth, colour in ((task.rewarded, "rewarded", style.REWARDED), (task.punished, "punished", style.PUNISHED))
        for particle in types
    )


def small_print(trial: Trial) -> str:
    """What an animation was made from."""
    return f"{trial.experiment}: {style.written(trial.label)}; seed {trial.seed}, {', '.join(conditions_of([trial]))}"
