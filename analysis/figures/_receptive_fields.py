"""Rows of receptive fields, which figures 2 and 5 are made of: one row is one state of the network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from foraging_snn.environments import Particle
from foraging_snn.files.reader import Trial

from ..collection import Collection, particles_in
from ..receptive_fields import (
    DIRECTION_NAMES,
    directions,
    drive_in_direction,
    output_receptive_fields,
    preferred_particles,
    strongest_hidden_cells,
)
from ..responsiveness import direction_masks
from . import style

# Any output cell would do, and the third column has them all. In a corner's field, no place of a particle lies on the
# straight way of the agent, where both tasks' particles would overlap.
SHOWN_OUTPUT = DIRECTION_NAMES.index("up left")
N_HIDDEN_SHOWN = 8
COMPASS_SIDE = 3
PER_MILLE = 1e3  # input-to-hidden strengths are of the order of 0.01
NO_TYPE = "none clear"
WIDTHS = (39.0, 65.0, 37.5, 38.5)  # mm
ROW_MM, SCALES_MM, SMALL_PRINT_MM = 46.0, 12.0, 13.0
LETTER_MM = 4.5  # room left of a title
CAPTION = 5.0  # points
NOTE = (
    "Receptive fields: trial with seed {seeds}. Cross: the agent; dashed: the block of squares in the direction of an output cell. "
    "Above a hidden cell's field: the particle it resembles most, and its correlation with the image of that particle; W: strength "
    "onto the output cell. Bars: share of the excitatory input that comes from hidden cells whose particle lies in the block, "
    "mean of the eight output cells{spread}; upright line: were all strengths equal."
)


@dataclass(frozen=True)
class NetworkFields:
    """Strengths of a network at one time.

    Attributes
    ----------
    title : str
        When, e.g. "after T1".
    images : (H, F, F) array
        Input weight images of the hidden cells.
    strength : (H, 8) array
        Excitatory strengths hidden to output.
    particles : tuple of Particle
        The types that its fields can show.
    """

    title: str
    images: np.ndarray
    strength: np.ndarray
    particles: tuple[Particle, ...]

    @property
    def output_fields(self) -> np.ndarray:
        """Receptive fields of the output cells, (8, F, F)."""
        return output_receptive_fields(self.images, self.strength)


def short_name(particle: Particle) -> str:
    """The name of a type of particle for narrow places."""
    return particle.name.replace("positive diagonal", "pos. diag.").replace("negative diagonal", "neg. diag.")


def fields_after(trial: Trial, phase_name: str) -> NetworkFields:
    """Strengths at the end of the first phase of that name."""
    phase = next(phase for phase in trial.phases if phase.name == phase_name)
    snapshots = trial.hidden_output_snapshots()
    return NetworkFields(
        f"after {phase_name}",
        trial.input_hidden_snapshots().images([-1])[0],
        snapshots.strength[snapshots.phase == phase.index][-1],
        particles_in([trial]),
    )


def draw_rows(collection: Collection, rows: Sequence[tuple[str, str]]) -> Figure:
    """A figure with one row of panels per state.

    Parameters
    ----------
    collection : Collection
    rows : sequence of (experiment, phase name)
        The state at the end of a phase.

    Notes
    -----
    Columns: one output cell's receptive field; those of the hidden cells with the strongest synapses onto it; all eight output
    cells; what the output cells' input sees. The first three show the trial with the lowest seed, the last all trials.
    """
    experiments = tuple(dict.fromkeys(experiment for experiment, _ in rows))
    collection.require(experiments)
    states = [[fields_after(trial, phase) for trial in collection.trials(experiment)] for experiment, phase in rows]
    scales = (
        Normalize(0.0, PER_MILLE * max(group[0].output_fields.max() for group in states)),
        Normalize(0.0, PER_MILLE * max(group[0].images.max() for group in states)),
    )
    figure = style.new_figure(style.FULL_WIDTH_MM, ROW_MM * len(rows) + SCALES_MM + SMALL_PRINT_MM)
    *parts, strip = figure.subfigures(len(rows) + 1, 1, squeeze=False, height_ratios=[ROW_MM] * len(rows) + [SCALES_MM])[:, 0]
    shares = []
    for number, (part, group) in enumerate(zip(parts, states, strict=True)):
        letters = [chr(ord("A") + len(WIDTHS) * number + k) for k in range(len(WIDTHS))]
        shares.append(_row(part, group, scales, letters))
    for axes in shares:
        axes.set_xlim(0.0, max(other.get_xlim()[1] for other in shares))
    _scale_bars(strip, scales)
    spread = ", mean and sd over trials" if any(len(group) > 1 for group in states) else ""
    seeds = dict.fromkeys(collection.trials(experiment)[0].seed for experiment in experiments)
    note = NOTE.format(seeds=", ".join(map(str, seeds)), spread=spread)
    style.small_print(figure, collection, experiments, note)
    return figure


def _row(part: SubFigure, group: Sequence[NetworkFields], scales: tuple[Normalize, Normalize], letters: Sequence[str]) -> Axes:
    """The panels of a state; the axes of the last one, whose scale depends on the other states."""
    columns, state = part.subfigures(1, len(WIDTHS), squeeze=False, width_ratios=WIDTHS)[0], group[0]
    _output_panel(columns[0], state, scales[0])
    _hidden_panel(columns[1], state, scales[1])
    _compass_panel(columns[2], state, scales[0])
    shares = _share_panel(columns[3], group)
    titles = (
        f"{state.title}: cell “{DIRECTION_NAMES[SHOWN_OUTPUT]}”",
        "hidden cells that drive it most",
        "all output cells",
        "input from their direction",
    )
    for column, width, letter, title in zip(columns, WIDTHS, letters, titles, strict=True):
        column.suptitle(title, x=LETTER_MM / width, ha="left", fontsize=style.NORMAL)
        column.text(0.01, 0.985, letter, fontsize=style.LETTER, fontweight="bold", va="top")
    return shares


def _image(axes: Axes, field: np.ndarray, scale: Normalize, cross: float) -> None:
    """A field with y upwards, axes in squares from the agent, which is a cross of this size in points."""
    edge = field.shape[0] / 2
    axes.imshow(PER_MILLE * field, origin="lower", extent=(-edge, edge, -edge, edge), norm=scale)
    axes.plot(0, 0, "+", color="white", ms=cross, mew=0.15 * cross)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, linewidth=0.4)


def _mark_direction(axes: Axes, output: int, side: int) -> None:
    """The block of squares in the direction of an output cell."""
    rows, columns = np.nonzero(direction_masks(side)[output])
    corner = (columns.min() - side / 2, rows.min() - side / 2)
    size = int(np.ptp(columns)) + 1
    axes.add_patch(Rectangle(corner, size, size, fill=False, ls=(0, (2, 2)), ec="white", lw=0.7))


def _output_panel(part: SubFigure, state: NetworkFields, scale: Normalize) -> None:
    axes = part.subplots()
    field = state.output_fields[SHOWN_OUTPUT]
    _image(axes, field, scale, cross=5.0)
    _mark_direction(axes, SHOWN_OUTPUT, len(field))
    reach = len(field) // 2
    axes.set(xticks=[-reach, 0, reach], yticks=[-reach, 0, reach])
    axes.set_xlabel("squares from the agent", labelpad=1)


def _hidden_panel(part: SubFigure, state: NetworkFields, scale: Normalize) -> None:
    grid = part.subplots(2, N_HIDDEN_SHOWN // 2)
    preferred = preferred_particles(state.images, particles=state.particles)
    names = [NO_TYPE, *map(short_name, state.particles)]
    cells = strongest_hidden_cells(state.strength, SHOWN_OUTPUT, N_HIDDEN_SHOWN)
    for axes, cell in zip(grid.flat, cells, strict=False):
        _image(axes, state.images[cell], scale, cross=3.0)
        axes.set_title(f"{names[preferred.particle_type[cell]]}  {preferred.correlation[cell]:.2f}", fontsize=CAPTION, pad=2)
        axes.set_xlabel(f"W {state.strength[cell, SHOWN_OUTPUT]:.2f}", fontsize=CAPTION, labelpad=1.5)
    for axes in grid.flat[len(cells) :]:
        axes.axis("off")


def _compass_panel(part: SubFigure, state: NetworkFields, scale: Normalize) -> None:
    grid = part.subplots(COMPASS_SIDE, COMPASS_SIDE)
    for output, (dx, dy) in enumerate(directions()):
        axes = grid[1 - dy, 1 + dx]
        _image(axes, state.output_fields[output], scale, cross=3.0)
        _mark_direction(axes, output, state.images.shape[1])
    grid[1, 1].axis("off")
    grid[1, 1].text(0.5, 0.5, "each in its\ndirection", ha="center", va="center", fontsize=CAPTION, transform=grid[1, 1].transAxes)


def _share_panel(part: SubFigure, group: Sequence[NetworkFields]) -> Axes:
    axes = part.subplots()
    shares, untrained = _shares_over_trials(group)
    error = shares.std(axis=0, ddof=1) if len(shares) > 1 else None
    particles = group[0].particles
    place = np.arange(len(particles))[::-1]
    axes.barh(place, shares.mean(axis=0), 0.7, xerr=error, color="0.65", error_kw={"lw": 0.8, "capsize": 1.5})
    axes.plot(untrained.mean(axis=0), place, "|", color="black", ms=9, mew=1.0)
    axes.set(yticks=place, yticklabels=[short_name(particle) for particle in particles])
    axes.set_xlabel("share of input", labelpad=1)
    return axes


def _shares_over_trials(group: Sequence[NetworkFields]) -> tuple[np.ndarray, np.ndarray]:
    """By trial and particle type, mean of the output cells: with the strengths as they are, and were they all equal."""
    shares, untrained = [], []
    for state in group:
        preferred = preferred_particles(state.images, particles=state.particles)
        masks, n_types = direction_masks(state.images.shape[1]), len(state.particles)
        shares.append(drive_in_direction(preferred, state.strength, masks, n_types).mean(axis=1))
        untrained.append(drive_in_direction(preferred, np.ones_like(state.strength), masks, n_types).mean(axis=1))
    return np.array(shares), np.array(untrained)


def _scale_bars(part: SubFigure, scales: tuple[Normalize, Normalize]) -> None:
    columns = part.subfigures(1, len(WIDTHS), squeeze=False, width_ratios=WIDTHS)[0]
    labels = ("mean input strength (10$^{-3}$)", "input strength (10$^{-3}$)")
    for column, scale, label in zip(columns, scales, labels, strict=False):
        bar = column.colorbar(ScalarMappable(scale), cax=column.subplots(), orientation="horizontal")
        bar.set_label(label, labelpad=1, **style.FORMULA)
