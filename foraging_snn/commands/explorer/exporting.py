"""Writes the page to one file that needs no program and no network: ways of the agent are recorded in place of live ones."""

from pathlib import Path

from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.resources import Resources

from foraging_snn.commands.explorer import replay
from foraging_snn.commands.explorer.contents import Folder
from foraging_snn.commands.explorer.live import LiveAgent, said, snapshot_of
from foraging_snn.commands.explorer.page import Page, tables_of, way_columns
from foraging_snn.commands.explorer.tables import Columns, ends_of_phases
from foraging_snn.files.hdf5 import reason, write_whole_file
from foraging_snn.running.errors import RunError

RECORDED_EPOCHS = 300  # of each way


def export(folder: Folder, path: Path) -> int:
    """Write the page of a folder to a file.

    Parameters
    ----------
    folder : Folder
    path : Path

    Returns
    -------
    int
        Bytes of the file.

    Raises
    ------
    RunError
        The file exists, or cannot be written.
    """
    check_free(path)
    image = html_of(folder).encode()
    try:
        write_whole_file(path, image, overwrite=False)
    except FileExistsError:
        check_free(path)
    except OSError as error:
        raise RunError(f"--export: {path} cannot be written: {reason(error)}") from None
    return len(image)


def check_free(path: Path) -> None:
    """See that a page can be written there.

    Raises
    ------
    RunError
        It is there already, has another ending, or its folder is missing.
    """
    if path.suffix not in (".html", ".htm"):
        raise RunError(f"--export: {path} given, allowed is a name that ends in .html")
    if path.exists() or path.is_symlink():
        raise RunError(f"--export: {path} exists already and is not overwritten")
    if not path.absolute().parent.is_dir():
        raise RunError(f"--export: {path.parent}: not a folder")


def html_of(folder: Folder) -> str:
    """The page as text, with all scripts and styles in it."""
    tables = tables_of(folder)
    page, document = Page(folder, tables, recorded_ways(folder, tables["about"]["tasks"][0])), Document()
    replayed = replay.NOTHING
    for trial in folder.trials:
        replayed = replay.with_trial(replayed, trial)
    page.replay.data = replayed
    page.add_to(document)
    inline = Resources(mode="inline")
    return file_html(
        document, inline, template=document.template, template_variables=document.template_variables, title=document.title
    )


def recorded_ways(folder: Folder, tasks: list[str]) -> Columns:
    """The agent at the ends of the phases of all trials, on each task: a row per state and task, as in the table `live`."""
    agent, rows = LiveAgent(), []
    try:
        for trial in folder.trials:
            for row in ends_of_phases(trial).tolist():
                chosen = snapshot_of(trial, row)
                known = [task for task in tasks if task in trial.trial.parameters.tasks]
                text = said(agent.test(chosen, known), chosen.moved)
                for task in known:
                    way = agent.way(chosen, task, RECORDED_EPOCHS)
                    own = {"name": [trial.name], "row": [row], "text": [text]}
                    rows.append(way_columns(way, chosen.title, 0) | own)
    finally:
        agent.close()
    return {name: [row[name][0] for row in rows] for name in rows[0]}
