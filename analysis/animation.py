"""The agent in its world and the activity of its network, epoch by epoch, as GIF or MP4: scenes side by side, drawn from arrays.

Which epochs of which trial are shown is not decided here; the world of a recorded trial comes from foraging_snn/commands/worlds.py.
"""

import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryFile

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from PIL import Image

from foraging_snn.environments import Particle
from foraging_snn.files.reader import AnalysisError
from foraging_snn.models import N_OUTPUT

from .figures import style
from .receptive_fields import directions
from .trajectories import path as path_of

FORMATS = (".gif", ".mp4")
FFMPEG = "ffmpeg"
FASTEST = 50  # frames per second; viewers of GIF show nothing faster
TRAIL = 30  # moves
DOTS_PER_INCH = 100
GIF_COLOURS, PALETTE_FRAMES = 256, 8  # of all frames together; so many frames are looked at to choose them

# Pixels, so that every square of a world and every cell of a layer has the same whole number of them.
WORLD, GAP, TOP, ROW, LAYERS, BELOW = 350, 26, 30, 56, 112, 14
WIDTH = WORLD + 2 * GAP
SMALL_PRINT_LINE = 12
LONGEST_TITLE = 42  # characters

EMPTY, SEEN, LINE, SIGHT, AGENT = "0.98", "0.89", "1.0", "0.25", "black"
TRAIL_COLOUR, SLEEPING = "0.45", "0.5"
LEVELS = ("0.96", "#9A78C8", "#6A3FA6", "#421A7C", "#1E0740")  # no spike, one, two, three, four and more
EXPLANATION = (
    "Line: the last {trail} moves, with what was eaten on them. Shades: spikes until the next move; orange: that move, now and "
    "then a random one."
)


class AnimationError(AnalysisError):
    """What is asked for cannot be animated; the message is one line."""


@dataclass(frozen=True)
class Food:
    """A type of particle that a scene has.

    Attributes
    ----------
    particle_type : int
        Its number, as in a grid.
    particle : Particle
    label, colour : str
    """

    particle_type: int
    particle: Particle
    label: str
    colour: str


@dataclass(frozen=True)
class Scene:
    """Successive epochs of a trial, n of them: the agent moves, sees, its cells fire, and they choose the next move.

    Attributes
    ----------
    title : str
    epoch : (n,) int
        Number of the epoch, as it is shown.
    awake : (n,) bool
    grid : (n, size, size) int8
        The world after the move, [y, x]; 0 empty, else the number of a type of particle.
    x, y : (n,) int
        Square of the agent after the move.
    outcome : (n,) int
        Of the move: 0 nothing eaten, 1 rewarded, 2 punished, 3 a particle outside the task.
    hidden : (n, H) int
        Spikes of the hidden cells after the move, until the next one.
    output : (n, 8) int
        The same for the output cells.
    next_move : (n,) int
        The move chosen then: 3 (dy + 1) + dx + 1, 4 staying.
    food : tuple of Food
    field : int
        Side of the field of view, in squares.
    has_task : bool
        Some of the particles are rewarded or punished.
    """

    title: str
    epoch: np.ndarray
    awake: np.ndarray
    grid: np.ndarray
    x: np.ndarray
    y: np.ndarray
    outcome: np.ndarray
    hidden: np.ndarray
    output: np.ndarray
    next_move: np.ndarray
    food: tuple[Food, ...]
    field: int
    has_task: bool

    def __len__(self) -> int:
        return len(self.epoch)


def spikes_between_moves(step: np.ndarray, cell: np.ndarray, first_epoch: int, epochs: int, steps: int, cells: range) -> np.ndarray:
    """Spikes of some cells between successive moves: those by which the next move is chosen.

    Parameters
    ----------
    step, cell : (k,) int
        Step since the trial began, and cell, of each spike.
    first_epoch, epochs : int
        Number of the first epoch since the trial began, and how many there are.
    steps : int
        Steps of an epoch. The agent moves at the end of the first of them.
    cells : range

    Returns
    -------
    (epochs, len(cells)) int64
    """
    row, column = (np.asarray(step, np.int64) - 1) // steps - first_epoch, np.asarray(cell, np.int64) - cells.start
    within = (row >= 0) & (row < epochs) & (column >= 0) & (column < len(cells))
    counts = np.bincount(row[within] * len(cells) + column[within], minlength=epochs * len(cells))
    return counts.reshape(epochs, len(cells))


# ---------------------------------------------------------------------------------------------------------------- writing


def check_format(path: Path, frames_per_second: int) -> None:
    """See that an animation can be written to such a file.

    Raises
    ------
    AnimationError
        Unknown ending, MP4 without ffmpeg, or a speed out of range.
    """
    if path.suffix.lower() not in FORMATS:
        raise AnimationError(f"--out: {path} given, allowed is a file that ends in {' or '.join(FORMATS)}")
    if path.suffix.lower() == ".mp4" and not shutil.which(FFMPEG):
        raise AnimationError(f"--out: {path} needs the program ffmpeg, which was not found; a .gif does not")
    if not 1 <= frames_per_second <= FASTEST:
        raise AnimationError(f"--fps: {frames_per_second} given, allowed is 1 to {FASTEST}")


def write_animation(
    path: str | Path,
    scenes: Sequence[Scene],
    *,
    frames_per_second: int = 10,
    small_print: str = "",
    progress: Callable[[int], object] | None = None,
) -> None:
    """Write scenes side by side as GIF or MP4, a frame per epoch; as many as the shortest scene has.

    Parameters
    ----------
    path : path
        Ends in .gif or .mp4 (which needs ffmpeg). A file that is there is replaced, once the new one is whole.
    scenes : sequence of Scene
        At least one.
    frames_per_second : int
        1 ... `FASTEST`.
    small_print : str
        What it was made from.
    progress : callable, optional
        Called with the number of every frame that is done, from 1.

    Raises
    ------
    AnimationError
        See :func:`check_format`; or ffmpeg fails.
    OSError
    """
    path = Path(path)
    check_format(path, frames_per_second)
    write = _write_mp4 if path.suffix.lower() == ".mp4" else _write_gif
    with style.applied(), _written_whole(path) as part:
        write(part, AnimatedFigure(scenes, small_print), frames_per_second, progress or (lambda frame: None))


def _write_gif(path: Path, animated: "AnimatedFigure", frames_per_second: int, progress: Callable[[int], object]) -> None:
    sample = np.linspace(0, animated.frames - 1, min(animated.frames, PALETTE_FRAMES)).astype(int)
    palette = _Palette(np.stack([animated.pixels(k) for k in sample]))
    frames = []
    for k in range(animated.frames):
        frames.append(palette.image(animated.pixels(k)))
        progress(k + 1)
    first, *others = frames
    first.save(path, format="GIF", save_all=True, append_images=others, duration=int(1000 / frames_per_second), loop=0)


class _Palette:
    """The most frequent colours of some frames; other colours become the nearest of them. Pillow's own search is not exact."""

    def __init__(self, sample: np.ndarray):
        colours, counts = np.unique(_packed(sample), return_counts=True)
        self._colours = _unpacked(colours[np.argsort(-counts, kind="stable")][:GIF_COLOURS])
        self._nearest = np.full(1 << 24, -1, np.int16)  # by colour; -1: not yet known

    def image(self, pixels: np.ndarray) -> Image.Image:
        packed = _packed(pixels)
        if len(unknown := np.unique(packed[self._nearest[packed] < 0])):
            distances = np.square(_unpacked(unknown)[:, None] - self._colours).sum(axis=2)
            self._nearest[unknown] = distances.argmin(axis=1)
        image = Image.fromarray(self._nearest[packed].astype(np.uint8), "P")
        image.putpalette(self._colours.astype(np.uint8).tobytes())
        return image


def _packed(pixels: np.ndarray) -> np.ndarray:
    """Colours (..., 3) as one number each."""
    return pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def _unpacked(colours: np.ndarray) -> np.ndarray:
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=-1).astype(np.int64)


def _write_mp4(path: Path, animated: "AnimatedFigure", frames_per_second: int, progress: Callable[[int], object]) -> None:
    height, width, _ = animated.pixels(0).shape
    read = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(frames_per_second), "-i", "-"]
    write = ["-c:v", "h264", "-pix_fmt", "yuv420p", "-y", str(path)]
    with TemporaryFile() as errors, Popen([FFMPEG, "-loglevel", "error", *read, *write], stdin=PIPE, stderr=errors) as process:
        assert process.stdin
        try:
            for k in range(animated.frames):
                process.stdin.write(animated.pixels(k).tobytes())
                progress(k + 1)
            process.stdin.close()
        except BrokenPipeError:
            process.wait()
        except BaseException:  # also Ctrl-C
            process.kill()
            raise
        if process.wait():
            errors.seek(0)
            reason = " ".join(errors.read().decode(errors="replace").split())
            raise AnimationError(f"ffmpeg failed: {reason or f'exit code {process.returncode}'}")


@contextmanager
def _written_whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place in the end, and is gone if that is not reached."""
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield part
        part.replace(path)
    except AnimationError as error:
        raise AnimationError(f"{path}: {error}") from None
    finally:
        part.unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------------------- drawing


class AnimatedFigure:
    """Scenes side by side in one figure, of which every frame is a state.

    Titles, legends and small print are drawn once; a frame is what changes, drawn over that.

    Parameters
    ----------
    scenes : sequence of Scene
        At least one.
    small_print : str

    Attributes
    ----------
    figure : Figure
    frames : int
        Epochs of the shortest scene.
    """

    def __init__(self, scenes: Sequence[Scene], small_print: str = ""):
        self.frames = min(map(len, scenes))
        width = int((WIDTH * len(scenes) - 2 * GAP) / 4.2)
        lines = [line for text in (EXPLANATION.format(trail=TRAIL), small_print) for line in style.lines_of(text, width)]
        foods = max(len(scene.food) for scene in scenes)
        self._width = WIDTH * len(scenes)
        self._height = TOP + WORLD + ROW + LAYERS + 22 + 15 * math.ceil(foods / 2) + BELOW + SMALL_PRINT_LINE * len(lines)
        self._height += self._height % 2  # of a film, width and height are even
        self.figure = Figure(figsize=(self._width / DOTS_PER_INCH, self._height / DOTS_PER_INCH), dpi=DOTS_PER_INCH)
        spikes = max(scene.output.max(initial=1) for scene in scenes)
        self._canvas = FigureCanvasAgg(self.figure)
        self._unchanging = None
        self._panels = [self._panels_of(scene, k * WIDTH, int(spikes)) for k, scene in enumerate(scenes)]
        self.figure.text(
            GAP / self._width, 6 / self._height, "\n".join(lines), fontsize=style.SMALL - 0.5, color="0.35", va="bottom"
        )

    def show(self, k: int) -> None:
        """Show epoch `k` of every scene."""
        for panels in self._panels:
            panels.show(k)

    def pixels(self, k: int) -> np.ndarray:
        """Epoch `k` of every scene as (height, width, 3) uint8."""
        changing = [artist for panels in self._panels for artist in panels.changing]
        if self._unchanging is None:
            for artist in changing:
                artist.set_animated(True)  # left out when the figure is drawn
            self._canvas.draw()
            self._unchanging = self._canvas.copy_from_bbox(self.figure.bbox)
        self._canvas.restore_region(self._unchanging)
        self.show(k)
        for artist in changing:
            self.figure.draw_artist(artist)
        return np.array(self._canvas.buffer_rgba())[..., :3]

    def _panels_of(self, scene: Scene, left: int, most_output_spikes: int) -> "_ScenePanels":
        places: dict[str, tuple[float, float, float, float]] = {"world": (left + GAP, TOP, WORLD, WORLD)}
        top, free = TOP + WORLD + ROW, WORLD - 3 * LAYERS
        for number, name in enumerate(("view", "hidden", "output")):
            places[name] = (left + GAP + number * (LAYERS + free / 2), top, LAYERS, LAYERS)
        axes = {name: self._axes(*place) for name, place in places.items()}
        _legend(self._axes(left + GAP, top + LAYERS + 22, WORLD, 15 * math.ceil(len(scene.food) / 2)), scene.food)
        return _ScenePanels(scene, axes, most_output_spikes)

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self._height - top - height
        return self.figure.add_axes((left / self._width, bottom / self._height, width / self._width, height / self._height))


class _ScenePanels:
    """Draws the epochs of a scene into its four panels."""

    def __init__(self, scene: Scene, axes: dict[str, Axes], most_output_spikes: int):
        self.scene = scene
        size = scene.grid.shape[1]
        self._colours = np.array([to_rgb(EMPTY)] * (int(scene.grid.max(initial=0)) + 1))
        for food in (food for food in scene.food if food.particle_type < len(self._colours)):
            self._colours[food.particle_type] = to_rgb(food.colour)
        self._pixels = max(1, WORLD // size)
        self._world(axes["world"], size)
        self._view = _cells(axes["view"], "sees", (scene.field, scene.field), 1, ("0.96", "0.4"))
        axes["view"].plot(scene.field // 2, scene.field // 2, "o", color=AGENT, ms=4)
        side = math.ceil(math.sqrt(scene.hidden.shape[1]))
        self._side = side
        self._hidden = _cells(axes["hidden"], "hidden cells", (side, side), len(LEVELS) - 1, LEVELS)
        self._most_output_spikes = most_output_spikes
        self._output = _cells(axes["output"], "output cells", (3, 3), most_output_spikes, _shades(most_output_spikes))
        self._direct(axes["output"])
        inside = [
            artist
            for panel in axes.values()
            for artist in (*panel.images, *panel.lines, *panel.patches, *panel.texts, *panel.spines.values())
        ]
        self.changing = sorted(inside, key=lambda artist: artist.get_zorder())  # and what lies over it

    def _world(self, axes: Axes, size: int) -> None:
        scene = self.scene
        axes.set(xlim=(-0.5, size - 0.5), ylim=(-0.5, size - 0.5), xticks=(), yticks=())
        axes.spines[:].set(visible=True, color="0.4")
        extent = (-0.5, size - 0.5, -0.5, size - 0.5)
        self._image = axes.imshow(np.zeros((1, 1, 3)), origin="lower", extent=extent, interpolation="nearest", aspect="auto")
        (self._trail,) = axes.plot([], [], color=TRAIL_COLOUR, lw=1.1)
        (self._sight,) = axes.plot([], [], color=SIGHT, lw=1.0)
        look = {"ls": "", "ms": 5.5, "mec": "white", "mew": 0.6, "zorder": 3}
        (self._rewarded,) = axes.plot([], [], "o", color=style.REWARDED, **look)
        (self._punished,) = axes.plot([], [], "X", color=style.PUNISHED, **look)
        (self._agent,) = axes.plot([], [], "o", color=AGENT, ms=6, mec="white", mew=1.0, zorder=4)
        self._asleep = axes.text(0.5, 0.5, "asleep", transform=axes.transAxes, ha="center", color=SLEEPING, fontsize=style.LETTER)
        axes.set_title(style.written(scene.title, LONGEST_TITLE), loc="left", fontsize=style.LETTER - 1, weight="bold", pad=6)
        below = {"transform": axes.transAxes, "va": "top", "fontsize": style.LETTER - 1}
        self._when = axes.text(0.0, -0.025, "", **below)
        self._good = axes.text(0.72, -0.025, "", color=style.REWARDED, weight="bold", ha="right", **below)
        colour = style.PUNISHED if scene.has_task else "black"
        self._bad = axes.text(1.0, -0.025, "", color=colour, weight="bold", ha="right", **below)

    def _direct(self, axes: Axes) -> None:
        """An arrow for every output cell, and a frame for the direction that is chosen."""
        self._arrows = []
        for dx, dy in directions():
            reach = 0.28 / math.hypot(dx, dy)
            ends = [(1 + dx - reach * dx, 1 + dy - reach * dy), (1 + dx + reach * dx, 1 + dy + reach * dy)]
            arrow = FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=8, lw=1.1, shrinkA=0, shrinkB=0)
            self._arrows.append(axes.add_patch(arrow))
        self._chosen = axes.add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor=style.TASK_2, lw=2.2, zorder=5))

    def show(self, k: int) -> None:
        """Draw epoch `k`."""
        scene = self.scene
        self._show_world(k)
        self._view.set_data(self._seen(k) if scene.awake[k] else np.zeros((scene.field, scene.field)))
        self._hidden.set_data(_square(scene.hidden[k], self._side, self._side))
        self._output.set_data(_square(np.insert(scene.output[k], N_OUTPUT // 2, 0), 3, 3))
        bright = np.log1p(scene.output[k]) > 0.5 * math.log1p(self._most_output_spikes)
        for arrow, spikes, on_dark in zip(self._arrows, scene.output[k], bright, strict=True):
            arrow.set_color("white" if on_dark else ("0.1" if spikes else "0.75"))
        move = int(scene.next_move[k])
        self._chosen.set(xy=(move % 3 - 0.5, move // 3 - 0.5), visible=bool(scene.awake[k]))

    def _show_world(self, k: int) -> None:
        scene = self.scene
        awake, x, y = bool(scene.awake[k]), int(scene.x[k]), int(scene.y[k])
        self._image.set_data(self._picture(k))
        since = slice(max(0, k - TRAIL), k + 1)
        walked = path_of(scene.x[since], scene.y[since], scene.outcome[since])
        self._trail.set_data(walked.x, walked.y)
        self._rewarded.set_data(*walked.rewarded.T)
        self._punished.set_data(*walked.punished.T)
        self._sight.set_data(*_frames_of_view(x, y, scene.field, len(scene.grid[k])))
        self._sight.set_visible(awake)
        self._agent.set_data([x], [y])
        self._agent.set_alpha(1.0 if awake else 0.35)
        self._asleep.set_visible(not awake)
        self._when.set_text(f"epoch {scene.epoch[k]:,}")
        rewarded, punished, other = (np.count_nonzero(scene.outcome[: k + 1] == outcome) for outcome in (1, 2, 3))
        if scene.has_task:
            self._good.set_text(f"{rewarded} rewarded")
        self._bad.set_text(f"{punished} punished" if scene.has_task else f"{other} eaten")

    def _picture(self, k: int) -> np.ndarray:
        """The squares of the world, what is seen of them shaded."""
        scene, pixels = self.scene, self._pixels
        squares = self._colours[scene.grid[k]]
        if scene.awake[k]:
            rows, columns = self._in_view(k)
            squares[rows, columns] = np.where(scene.grid[k][rows, columns, None] == 0, to_rgb(SEEN), squares[rows, columns])
        image = squares.repeat(pixels, axis=0).repeat(pixels, axis=1)
        if pixels > 3:
            image[::pixels], image[:, ::pixels] = to_rgb(LINE), to_rgb(LINE)
        return image

    def _in_view(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        scene = self.scene
        offsets, size = np.arange(scene.field) - scene.field // 2, scene.grid.shape[1]
        rows, columns = np.ix_((scene.y[k] + offsets) % size, (scene.x[k] + offsets) % size)
        return rows, columns

    def _seen(self, k: int) -> np.ndarray:
        return self.scene.grid[k][self._in_view(k)] != 0


def _cells(axes: Axes, title: str, shape: tuple[int, int], most: int, colours: Sequence[str | tuple[float, float, float]]):
    """An image of a layer, one square per cell."""
    rows, columns = shape
    image = axes.imshow(np.zeros(shape), origin="lower", cmap=ListedColormap(colours), vmin=0, vmax=most, interpolation="nearest")
    image.set_extent((-0.5, columns - 0.5, -0.5, rows - 0.5))
    axes.set(xticks=(), yticks=(), aspect="auto")
    axes.spines[:].set(visible=True, color="0.4")
    axes.set_title(title, fontsize=style.NORMAL, pad=4)
    return image


def _shades(most: int) -> list[tuple[float, float, float]]:
    """Colours for 0 ... `most` spikes, by their logarithm: a trained cell can fire once or a hundred times."""
    low, high = np.array(to_rgb(LEVELS[0])), np.array(to_rgb(LEVELS[-2]))
    return [tuple(low + (high - low) * math.log1p(spikes) / math.log1p(most)) for spikes in range(most + 1)]


def _square(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Values row by row, the rest of the rows not a number."""
    return np.append(values, np.full(rows * columns - len(values), np.nan)).reshape(rows, columns)


def _frames_of_view(x: int, y: int, field: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Outline of the field of view, also where it reaches over the edges; outlines are parted by NaN."""
    half = field / 2
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half), (np.nan, np.nan)])
    copies = [corners + (x + size * right, y + size * up) for right, up in product((-1, 0, 1), repeat=2)]
    return tuple(np.concatenate(copies).T)


def _legend(axes: Axes, foods: Sequence[Food]) -> None:
    """The types of particle, in two columns; a unit of the axes is a pixel."""
    height = 15 * math.ceil(len(foods) / 2)
    axes.set(xlim=(0, WORLD), ylim=(0, height))
    axes.axis("off")
    for number, food in enumerate(foods):
        x, y = WORLD / 2 * (number % 2) + 8, height - 15 * (number // 2) - 8
        side = min(6.0, 14.0 / max(food.particle.extent))
        squares = np.array(food.particle.offsets)
        for across, up in side * (squares - (squares.min(axis=0) + squares.max(axis=0)) / 2 - 0.5):
            axes.add_patch(Rectangle((x + across, y + up), side, side, facecolor=food.colour, edgecolor="white", lw=0.4))
        axes.text(x + 12, y - 0.5, food.label, va="center", fontsize=style.NORMAL)
