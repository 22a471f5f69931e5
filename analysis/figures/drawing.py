"""Drawing figures into files: which can be drawn from a folder, and what is missing for the others."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from foraging_snn.files.hdf5 import write_whole_file
from foraging_snn.files.layout import RecordingError

from ..collection import Collection, CollectionError
from . import FIGURES, figure_module, style

FORMATS = ("png", "pdf", "svg")
DPI = 200


class FigureError(CollectionError):
    """What is asked for cannot be drawn; the message is one line."""


@dataclass(frozen=True)
class Drawn:
    """What has become of a figure.

    Attributes
    ----------
    name : str
    files : tuple of Path
        Empty if it could not be drawn.
    reason : CollectionError or RecordingError or None
        Then why.
    """

    name: str
    files: tuple[Path, ...] = ()
    reason: CollectionError | RecordingError | None = None


def chosen(names: str | None, allowed: Sequence[str], option: str) -> tuple[str, ...]:
    """The names in a list "a,b" in the order in which they are allowed; all of them if there is no list.

    Raises
    ------
    FigureError
        An unknown name, or none at all.
    """
    if names is None:
        return tuple(allowed)
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in allowed]
    if unknown or not wanted:
        raise FigureError(
            f"{option}: {unknown[0] if unknown else names!r} given, allowed are {', '.join(allowed)}, with commas between"
        )
    return tuple(name for name in allowed if name in wanted)


def draw_figures(
    collection: Collection, out: Path, names: Iterable[str] = FIGURES, formats: Sequence[str] = FORMATS[:2]
) -> Iterator[Drawn]:
    """Draw figures into files, one after the other; files of earlier drawings are overwritten.

    Parameters
    ----------
    collection : Collection
    out : Path
        Folder, made if there is none.
    names : iterable of str
        Of `FIGURES`.
    formats : sequence of str
        Of `FORMATS`.

    Yields
    ------
    Drawn
        When the figure is finished, or found to lack trials.

    Raises
    ------
    OSError
        A file cannot be written.
    """
    for name in names:
        module = figure_module(name)
        try:
            collection.require(module.EXPERIMENTS)
            with style.applied():
                figure = module.draw(collection)
        except (CollectionError, RecordingError) as error:
            yield Drawn(name, reason=error)
            continue
        files = tuple(out / f"{name}.{ending}" for ending in formats)
        out.mkdir(parents=True, exist_ok=True)
        with style.applied():
            for path in files:
                figure.savefig(path, dpi=DPI)
        yield Drawn(name, files)


def save_figure(draw: Callable[[], Figure], paths: Sequence[Path]) -> Sequence[Path]:
    """Draw a figure into files, which are replaced; what kind each is, its ending says.

    Parameters
    ----------
    draw : callable
        Gives the figure; the style is applied meanwhile.
    paths : sequence of Path
        Whole or not there, whenever the drawing stops.

    Returns
    -------
    sequence of Path
        The files.
    """
    with style.applied():
        figure = draw()
        for path in paths:
            image = io.BytesIO()
            figure.savefig(image, dpi=DPI, format=path.suffix[1:])
            write_whole_file(path, image.getvalue())
    return paths
