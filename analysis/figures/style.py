"""How all figures look: sizes, fonts, colours, letters of panels, small print. What they show is in their own modules."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..collection import Collection

MM_PER_INCH = 25.4
FULL_WIDTH_MM = 180.0
COLUMN_WIDTH_MM = 85.0

CHANCE = 0.5

# Okabe & Ito's colours, which readers with any colour vision can tell apart.
TASK_1 = "#0072B2"
TASK_2 = "#D55E00"
SLEEP = "#7B5EA7"
INTERLEAVED = "#009E73"
UNSUPERVISED = "#999999"
REWARDED = "#009E73"
PUNISHED = "#CC3311"
PUBLISHED = "0.55"
CHANCE_LINE = "0.6"
TASK_COLOURS = {1: TASK_1, 2: TASK_2}  # of the paper
# Of further tasks: of Okabe & Ito and of Paul Tol ("muted"), which colour-blind readers can tell apart; then from the first again.
OTHER_TASKS = ("#CC79A7", "#E69F00", "#56B4E9", "#332288", "#882255", "#999933", "#44AA99", "#F0E442")

SMALL, NORMAL, LETTER = 6.0, 7.0, 10.0  # points
SMALL_PRINT = 4.5
FORMULA: dict[str, Any] = {"parse_math": True}  # of a text with a formula between dollar signs

# In characters; those of the catalogue are shorter. Lines are of one text in the small print.
LONGEST_LABEL, LONGEST_NAME = 40, 16
MOST_LINES = 8

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "Helvetica", "Liberation Sans", "DejaVu Sans"],
    "font.size": NORMAL,
    "axes.labelsize": NORMAL,
    "axes.titlesize": NORMAL,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "patch.linewidth": 0.6,
    "image.cmap": "viridis",
    "pdf.fonttype": 42,  # text stays text
    "text.usetex": False,
    "text.parse_math": False,  # of texts from files "$" and "\\" mean themselves; our own formulas ask for it
    "savefig.facecolor": "white",
}


@contextmanager
def applied() -> Iterator[None]:
    """The style, for drawing and saving, whatever a user's own settings are; they are as before afterwards."""
    with matplotlib.style.context(["default", RC]):
        yield


def new_figure(width_mm: float = FULL_WIDTH_MM, height_mm: float = 120.0) -> Figure:
    """An empty figure with constrained layout.

    Parameters
    ----------
    width_mm, height_mm : float
        A page is 180 mm wide, a column 85 mm.
    """
    return Figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")


def panel(axes: Axes, letter: str) -> None:
    """Write the letter of a panel above the upper left corner of its axes, left of the labels of its ordinate."""
    axes.annotate(
        letter,
        (0.0, 1.0),
        xycoords="axes fraction",
        xytext=(-24, 5),
        textcoords="offset points",
        fontsize=LETTER,
        fontweight="bold",
        ha="left",
        va="bottom",
        annotation_clip=False,
    )


def small_print(figure: Figure, collection: Collection, experiments: Iterable[str] = (), note: str = "") -> None:
    """Say below a figure what it was made from.

    Parameters
    ----------
    figure : Figure
    collection : Collection
    experiments : iterable of str, optional
        The experiments in the figure; all of the collection if omitted.
    note : str, optional
        What the reader has to know besides, e.g. how a curve was averaged; comes first.
    """
    print_below(figure, note, collection.conditions(experiments or collection.experiments))


def print_below(figure: Figure, *texts: str) -> None:
    """Write texts below a figure in small print, each in lines of its own."""
    characters = int(figure.get_figwidth() * 72 / (SMALL_PRINT * 0.57))
    lines = [line for text in texts for line in lines_of(text, characters)]
    figure.supxlabel("\n".join(lines), x=0.005, ha="left", fontsize=SMALL_PRINT, color="0.35", linespacing=1.3)


def lines_of(text: str, characters: int) -> list[str]:
    """A text in lines of so many characters, `MOST_LINES` at most; what is too long ends in an ellipsis."""
    return textwrap.wrap(_shown(text), characters, max_lines=MOST_LINES, placeholder=" …")


def phase_colour(name: str) -> str:
    """The colour of a phase by its name, e.g. "T1", "I(S,T2)", "test T2", "T1#2"."""
    name = name.partition("#")[0]
    if name == "unsupervised":
        return UNSUPERVISED
    if re.search(r"\bS\b", name):
        return SLEEP
    if name.startswith("I("):
        return INTERLEAVED
    return task_colour(name.rpartition(" ")[2])


def written(name: str, longest: int = LONGEST_LABEL) -> str:
    """The label of a trial or the name of a phase as it is set in a figure: with arrows, an ellipsis if it is too long.

    Parameters
    ----------
    name : str
        From a file.
    longest : int, optional
        Characters.
    """
    text = _shown(name).replace("->", "→")
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _shown(text: str) -> str:
    """A text from a file on one line, without control characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


def task_colour(task: int | str) -> str:
    """The colour of a task, by its number from 1 or by its name; "T3" is 3."""
    if isinstance(task, str):
        task = int(task[1:]) if re.fullmatch("T[0-9]{1,9}", task) else sum(map(ord, task))
    return TASK_COLOURS.get(task) or OTHER_TASKS[(task - len(TASK_COLOURS) - 1) % len(OTHER_TASKS)]


def chance_line(axes: Axes) -> None:
    """The performance of an agent that does not tell particles apart."""
    axes.axhline(CHANCE, color=CHANCE_LINE, ls="--", lw=0.7, zorder=0.5)
