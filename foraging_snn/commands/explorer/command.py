"""The command `foraging-snn explore`: serves the page of a folder, or writes it to a file, and says where it is."""

from pathlib import Path

import typer

from foraging_snn.commands.explorer.contents import Folder
from foraging_snn.commands.terminal import printable
from foraging_snn.running.errors import RunError

HIGHEST_PORT = 65_535
NO_BOKEH = "explore: it needs Bokeh, which is not installed; pip install '.[explore]' in a clone of foraging_snn"


def explore_and_print(directory: Path, port: int, browser: bool, export_to: Path | None) -> None:
    """See the command.

    Raises
    ------
    RunError, CollectionError
        Bad input, or nothing to be shown, in one line.
    """
    if not 0 <= port <= HIGHEST_PORT:
        raise RunError(f"--port: {port} given, allowed is 0 (any free one) to {HIGHEST_PORT}")
    try:
        import bokeh  # noqa: F401 - an extra
    except ImportError:
        raise RunError(NO_BOKEH) from None
    if export_to is None:
        _serve(directory, port, browser)
    else:
        _export(directory, export_to)


def _serve(directory: Path, port: int, browser: bool) -> None:
    from foraging_snn.commands.explorer.serving import ExplorerServer, open_browser

    server = ExplorerServer(_folder(directory), port)
    typer.echo(f"{server.address}\nopen to this computer only, and to whoever has this address; Ctrl-C ends it")
    if browser and not open_browser(server.address):
        typer.echo("no browser could be opened here: open the address in one")
    server.run()


def _export(directory: Path, path: Path) -> None:
    from foraging_snn.commands.explorer.exporting import check_free, export

    check_free(path)
    size = export(_folder(directory), path)
    typer.echo(f"{path}: {size / 1e6:.1f} MB, needs no network; the agent in it is recorded, not live")


def _folder(directory: Path) -> Folder:
    folder = Folder(directory)
    numbers = {"trial": len(folder.trials), "landscape": len(folder.landscapes)}
    typer.echo(", ".join(f"{n} {what}{'' if n == 1 else 's'}" for what, n in numbers.items()))
    for problem in folder.problems:
        typer.echo(f"not shown: {printable(problem)}")
    return folder
