"""How results, files and errors look on the screen. What is in the cells of result tables, analysis/tables.py
says; what a run shows, progress.py.
"""

import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from foraging_snn.files.hdf5 import harmless
from foraging_snn.files.landscapes import Source
from foraging_snn.files.reader import Trial
from foraging_snn.files.states import SavedState
from foraging_snn.models import Engine, Parameters, engine_class, preset
from foraging_snn.models.parameters import in_words
from foraging_snn.running.stopping import StopCause

if TYPE_CHECKING:
    from foraging_snn.analysis.results import Results
    from foraging_snn.analysis.sweep_table import SweepTable

AT_THE_START = "(start)"
SOON_SECONDS = 3.0  # an engine that is ready by then has compiled nothing worth a word
PIPE_WIDTH = 200  # columns where there is no terminal to fit into
FILE_WIDTH = 1000  # more than any table has


def new_table(*columns: str) -> Table:
    """A table with these column headings; one that begins with ">" is set flush right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return table


def add_row(table: Table, *cells: object, style: str | None = None) -> None:
    """Add a row; brackets in the cells are brackets."""
    table.add_row(*(Text(harmless(str(cell))) for cell in cells), style=style)


def print_table(table: Table) -> None:
    """Print a table in the width of the terminal, or unfolded if the output goes elsewhere, into a file or a pipe."""
    if isinstance(sys.stdout, io.StringIO):  # what is in a file does not depend on terminals, notebooks and colours
        console = Console(file=sys.stdout, width=FILE_WIDTH, color_system=None, force_terminal=False, force_jupyter=False)
    else:
        console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH)
    console.print(table)


def print_conditions(conditions: Iterable[str]) -> None:
    """One line each."""
    for condition in conditions:
        typer.echo(f"  {printable(condition)}")


def print_results(found: "Results") -> None:
    """Performance in the tests of all experiments, comparisons, what the reader has to know, conditions."""
    _print_tests(found)
    _print_comparisons(found)
    _print_measures(found)
    _print_caption(found)


def _print_tests(found: "Results") -> None:
    from foraging_snn.analysis.tables import TEST_COLUMNS, cells_of_test

    rows = {experiment.experiment: [cells_of_test(row) for row in experiment.rows] for experiment in found.experiments}
    lines = [TEST_COLUMNS, *(row for group in rows.values() for row in group)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for experiment in found.experiments:
        typer.echo(f"{experiment.experiment}: {experiment.label}")
        table = new_table(*TEST_COLUMNS)
        for column, width in zip(table.columns, widths, strict=True):
            column.min_width = width  # so that the tables of all experiments stand in line
        for row in rows[experiment.experiment]:
            add_row(table, *row)
        if table.rows:
            print_table(table)
        else:
            typer.echo("  no test of the whole network")
        typer.echo()


def _print_comparisons(found: "Results") -> None:
    from foraging_snn.analysis.tables import COMPARISON_COLUMNS, cells_of_comparison

    if not found.comparisons:
        return
    typer.echo("Differences of performance")
    table = new_table(*COMPARISON_COLUMNS)
    for comparison in found.comparisons:
        add_row(table, *cells_of_comparison(comparison))
    print_table(table)
    typer.echo()


def _print_measures(found: "Results") -> None:
    from foraging_snn.analysis.tables import MEASURE_COLUMNS, cells_of_measures, matrices, with_measures

    if not (measured := with_measures(found)):
        return
    for name, (columns, lines) in matrices(found).items():
        typer.echo(f"{name}: performance")
        table = new_table(*columns)
        for line in lines:
            add_row(table, *line)
        print_table(table)
        typer.echo()
    typer.echo("Measures of continual learning")
    table = new_table(*MEASURE_COLUMNS)
    for each in measured:
        for cells in cells_of_measures(each):
            add_row(table, *cells)
    print_table(table)
    typer.echo()


def _print_caption(found: "Results") -> None:
    from foraging_snn.analysis.tables import caption

    for line in caption(found):
        typer.echo(line)
    print_conditions(found.conditions)


def print_sweep(table: "SweepTable") -> None:
    """Performance in the last tests of a sweep: a line per combination of values, mean ± sd over trials; conditions."""
    typer.echo(f"{table.experiment}: {table.label}; performance after {table.last_tests}")
    shown = new_table(*(f">{name}" for name in table.names), ">trials", *(f">Task {task}" for task in table.tasks))
    for values in dict.fromkeys(row.values for row in table.rows):
        at = dict(zip(table.names, values, strict=True))
        spreads = [table.spread(task, at) for task in table.tasks]
        means = (f"{s.mean:.2f}" + (f" ± {s.sd:.2f}" if s.sd == s.sd else "") for s in spreads)
        add_row(shown, *map(plain, values), spreads[0].trials, *means)
    print_table(shown)
    typer.echo()
    print_conditions(table.conditions)


def printed(show: Callable[[Any], None], what: object) -> str:
    """What one of these functions prints where there is no terminal, e.g. `printed(print_results, found)`."""
    text = io.StringIO()
    with redirect_stdout(text):
        show(what)
    return text.getvalue()


def plain(value: object) -> str:
    """A parameter's value as in TOML."""
    return str(value).lower() if isinstance(value, bool) else in_words(value)


def printable(text: str) -> str:
    """Text on one line, with what a terminal would obey rather than show written as escapes."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def show_trial(trial: Trial) -> None:
    """Everything about a trial but its arrays."""
    end = f"ended {trial.ended}" if trial.ended else "not ended properly, or still running"
    _print_facts(
        {
            "file": trial.path,
            "experiment": f"{trial.experiment}: {trial.label}",
            "protocol": trial.protocol if trial.protocol != trial.label else "",
            "complete": "yes" if trial.complete else "NO: the trial did not reach its end",
            "time": f"started {trial.started}, {end} (UTC)",
            "seed": f"{trial.seed} (trial {trial.trial} of its run)",
            "started from": trial.started_from,
            **{f"  {name}": value for name, value in trial.started_from_provenance.items()},
            **trial.provenance,
        }
    )
    _print_parameters(trial.parameters)
    table = new_table("phase", "activities", ">first epoch", ">epochs", ">done", "complete")
    for phase in trial.phases:
        activities = ", ".join(activity.name for activity in phase.activities)
        done = "yes" if phase.complete else "NO"
        add_row(table, phase.name, activities, f"{phase.first_epoch:,}", f"{phase.epochs:,}", f"{phase.epochs_done:,}", done)
    print_table(table)
    if trial.states:
        typer.echo(f"\nstates for --start-from {printable(str(trial.path))}@...: {', '.join(map(printable, trial.states))}\n")
    table = new_table("after", "test", ">rewarded", ">punished", ">performance", "complete")
    for test in trial.test_results():
        cells = (test.after or AT_THE_START, f"Task {test.task}", test.rewarded, test.punished, f"{test.performance:.3f}")
        add_row(table, *cells, "yes" if test.complete else "NO")
    if table.rows:
        print_table(table)


def show_state(path: Path, saved: SavedState) -> None:
    """Everything about a saved state but its arrays."""
    _print_facts(
        {
            "file": path,
            "saved state": saved.note,
            "sha256": saved.sha256,
            "seed": saved.state.seed,
            "epochs": f"{saved.state.epoch:,} completed",
            **{name: value for name, value in saved.provenance.items() if value},
        }
    )
    _print_parameters(saved.parameters)


def show_source(path: Path, kind: str, source: Source) -> None:
    """What was tested in the file of a landscape or of paths, and how."""
    tests = f"engine {source.engine}, seed {source.seed}"
    _print_facts({"file": path, "kind": kind, "trials": ", ".join(source.files), "tests": tests, **source.provenance})
    print_conditions(source.conditions)
    _print_parameters(source.parameters)


def _print_facts(facts: dict[str, object]) -> None:
    width = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        if value not in (None, ""):
            typer.echo(f"{printable(name):<{width}}{printable(str(value))}")


def _print_parameters(parameters: Parameters) -> None:
    named = preset(parameters.preset).values()
    typer.echo(f"\nparameters: preset {parameters.preset}")
    for row in parameters.rows():
        if row.value != named.get(row.name):
            usual = f" (preset: {plain(named[row.name])})" if row.name in named else ""
            typer.echo(f"  {row.name} = {plain(row.value)}{usual}")
    typer.echo()


@contextmanager
def ready_engines(name: str, parameters: Parameters, n: int = 1) -> Iterator[list[Engine]]:
    """So many engines, ready to run; says what has to be compiled for that, and how long it took."""
    compiling = engine_class(name).compiling()
    message = f"preparing the engine {name}{compiling and f' ({compiling})'}"
    console, began = Console(), time.monotonic()
    with ExitStack() as open_engines:
        if console.is_terminal:
            waiting = console.status(message)
        else:
            typer.echo(message)
            waiting = nullcontext()
        with waiting:
            engines = [open_engines.enter_context(engine_class(name)(parameters)) for _ in range(n)]
        if compiling and (seconds := time.monotonic() - began) > SOON_SECONDS:
            typer.echo(f"compiled in {seconds:.0f} s; the next start finds it done")
        yield engines


class Interrupted(Exception):
    """A run was stopped before its end; the message says what is left of its files.

    Attributes
    ----------
    exit_code : int
    """

    def __init__(self, message: str, cause: StopCause = StopCause.CTRL_C, go_on_with: str = ""):
        super().__init__(f"{cause.words}; {message}{f'; go on with: {go_on_with}' if go_on_with else ''}")
        self.exit_code = cause.exit_code
